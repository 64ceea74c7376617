"""What an experiment file may say, as frozen models. `experiment_file` reads one, `expansion` turns it into cells."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from harness.design.evaluation_settings import EvaluationSettings
from harness.design.factors import PLAIN, Hyperparameters, LevelLists, Levels, OwnPart
from harness.design.machine_settings import ResourceSettings, SlurmSettings
from harness.design.own_parts import is_own
from harness.design.report_settings import Claim, ReportSettings
from harness.design.settings import Count, Label, Model, Name, PathText
from harness.design.training_settings import TrainingSettings

__all__ = [
    "Claim",
    "CostSettings",
    "DataSettings",
    "EvaluationSettings",
    "Experiment",
    "Grid",
    "NamedCell",
    "ReportSettings",
    "ResourceSettings",
    "SlurmSettings",
    "TrainingSettings",
]

TRACKING_FILES = re.compile(r"mlflow\.db(-.*)?|mlartifacts", re.IGNORECASE)
"""What MLflow's own files beside the experiments' folders under `runs/` are called."""

WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|(com|lpt)[1-9]) *(\..*)?", re.IGNORECASE)
"""Names that are no files on Windows, whatever their extension."""

Seed = Annotated[int, Field(strict=True, ge=0, le=2**32 - 1)]
Seeds = Annotated[tuple[Seed, ...], Field(min_length=1, max_length=10_000)]

DataSource = Literal["digits", "mnist", "fashion-mnist", "cifar10", "folder"] | OwnPart

PUBLISHED_IMAGES = {
    ("digits", "train"): 1797,
    ("mnist", "train"): 60_000,
    ("mnist", "test"): 10_000,
    ("fashion-mnist", "train"): 60_000,
    ("fashion-mnist", "test"): 10_000,
    ("cifar10", "train"): 50_000,
    ("cifar10", "test"): 10_000,
}
"""How many images each split of a published data set has."""


class DataSettings(Model):
    """Which images are learned. Where they lie (`root`) is no part of a run's key; the rest is."""

    source: DataSource = Field(
        "digits", description="digits ships with scikit-learn; folder is your own images; FILE.py:NAME your own code"
    )
    root: PathText = Field("data", description="where data sets lie; for folder: the image folder itself")
    split: Literal["train", "test"] = Field(
        "train", description="split of mnist, fashion-mnist and cifar10; your own code is told it"
    )
    color: Literal["gray", "rgb"] | None = Field(
        None, description="folder and your own code only: channels; default rgb"
    )
    corrupt: Literal["error", "skip"] = Field("error", description="folder only: what an unreadable image does")
    images: Count | None = Field(
        None, description="folder and your own code only: how many images there are; needed to train by epochs"
    )

    @model_validator(mode="after")
    def _options_fit_source(self) -> Self:
        if self.source in ("digits", "folder") and self.split != "train":
            raise ValueError(f'{self.source} has one split; leave out split or say "train"')
        if not self.is_users and self.color is not None:
            raise ValueError(f'color is for source = "folder" and your own code; {self.source} has its own channels')
        if not self.is_users and self.images is not None:
            raise ValueError(f'images is for source = "folder" and your own code; {self.source} has {self.count:,}')
        if self.source != "folder" and self.corrupt != "error":
            raise ValueError(f'corrupt is for source = "folder"; {self.source} is read whole or not at all')
        return self

    @property
    def is_users(self) -> bool:
        """Whether the images are the user's: a folder, or what own code gives."""
        return self.source == "folder" or is_own(self.source)

    @property
    def channels(self) -> int:
        """1 for gray images, 3 for RGB."""
        if self.source == "cifar10":
            return 3
        return 1 if not self.is_users or self.color == "gray" else 3

    @property
    def count(self) -> int | None:
        """How many images there are, as far as it is known before they are read."""
        return self.images if self.is_users else PUBLISHED_IMAGES[self.source, self.split]

    def declared(self) -> dict[str, str | int]:
        """What of this belongs to a run's key: everything but where the images lie."""
        declared: dict[str, str | int] = {
            "source": self.source,
            "split": self.split,
            "channels": self.channels,
        }
        if self.source == "folder":
            declared |= {"crop": "center", "corrupt": self.corrupt}
        return declared


class Grid(Model):
    """One `[[grid]]`: levels and how they combine. Level names may be aliases."""

    kind: Literal["factorial", "one-at-a-time", "paired"] = Field("factorial", description="how levels combine")
    name: Name | None = Field(None, description="what people call this grid")
    levels: LevelLists = Field(description="levels.FACTOR = [LEVEL, ...]")
    seeds: Seeds | None = Field(None, description="seeds of these cells; default: the experiment's")

    @model_validator(mode="after")
    def _levels_combine(self) -> Self:
        levels = self.lists()
        if not levels:
            raise ValueError("a grid without levels; name some: levels.FACTOR = [LEVEL, ...]")
        if self.kind == "paired" and len({len(values) for values in levels.values()}) > 1:
            lengths = ", ".join(f"{name} has {len(values)}" for name, values in levels.items())
            raise ValueError(f"levels that walk together need lists of one length; {lengths}")
        return self

    def lists(self) -> dict[str, list[Any]]:
        """Levels by factor or alias, in file order."""
        given: dict[str, list[Any]] = self.levels.given()
        return given

    def count(self) -> int:
        """How many cells this grid proposes, without making them."""
        lengths = [len(values) for values in self.lists().values()]
        match self.kind:
            case "factorial":
                return math.prod(lengths)
            case "one-at-a-time":
                return sum(lengths)
            case "paired":
                return lengths[0]


class NamedCell(Levels):
    """One `[[cell]]`: a combination of levels with a name; everything beside `name` and `seeds` is a level."""

    name: Name | None = Field(None, description="what people call this cell; default: its levels")
    seeds: Seeds | None = Field(None, description="seeds of this cell; default: the experiment's")


def _names_a_level(levels: Levels) -> Levels:
    if not levels.given():
        raise ValueError("names no level, so that it would match every cell")
    return levels


Excluded = Annotated[Levels, AfterValidator(_names_a_level)]
"""One `[[exclude]]`: every cell that has all of these levels is left out."""


class CostSettings(Model):
    """What a machine costs, for `plan --check --time` and the report."""

    per_hour: Annotated[float, Field(strict=True, ge=0.0, le=1e6, allow_inf_nan=False)] = Field(
        description="price of one hour of the machine, whatever it trains in that hour"
    )
    currency: Annotated[str, Field(min_length=1, max_length=16, pattern=PLAIN)] = Field(
        "USD", description="what the price is in, for display"
    )


class Experiment(Model):
    """A checked experiment file. `baseline` holds the resolved reference level of every factor."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^\w[\w .-]*$")] = Field(
        description="names the folders under runs/ and reports/ and the MLflow experiment"
    )
    seeds: Seeds = Field((0,), description="seeds of every cell that has none of its own")
    max_runs: Count = Field(10_000, description="refuse to expand to more runs than this")
    include_baseline: bool = Field(True, strict=True, description="whether the baseline is a cell")
    data: DataSettings = Field(default_factory=DataSettings)
    baseline: Hyperparameters = Field(default_factory=Hyperparameters)
    training: TrainingSettings = Field(default_factory=TrainingSettings)
    evaluation: tuple[EvaluationSettings, ...] = ()
    grid: tuple[Grid, ...] = ()
    cell: tuple[NamedCell, ...] = ()
    exclude: tuple[Excluded, ...] = ()
    claim: tuple[Claim, ...] = ()
    report: ReportSettings = Field(default_factory=ReportSettings)
    cost: CostSettings | None = Field(None, description="what a machine costs")
    resources: ResourceSettings = Field(default_factory=ResourceSettings)
    slurm: SlurmSettings = Field(default_factory=SlurmSettings)
    labels: dict[str, Label] = Field(default_factory=dict, description='"FACTOR=LEVEL" = "text in tables"')

    @field_validator("name")
    @classmethod
    def _name_is_a_folder(cls, name: str) -> str:
        if name.rstrip(". ") != name:
            raise ValueError("a name may not end with a dot or a space")
        if TRACKING_FILES.fullmatch(name):
            raise ValueError(f"{name!r} is the name of MLflow's files under runs/; take another")
        if WINDOWS_DEVICES.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a folder on Windows; take another")
        return name
