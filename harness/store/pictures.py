"""Pictures that workers draw for the report beside sample grids: what is asked for, and whether it is there.

Each lies in `RunDirectory.picture(step, kind)`; its PNG text names the checkpoint and the settings that it depends on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from harness.design.experiment import ReportSettings
from harness.store.png import CHECKPOINT_TEXT, picture_texts
from harness.store.reading import read_bytes
from harness.store.rundir import RunDirectory

PictureKind = Literal["interpolations", "classes"]
PICTURE_KINDS: tuple[PictureKind, ...] = get_args(PictureKind)
WalkPath = Literal["lerp", "slerp"]

SETTINGS_TEXT = "harness:settings"


@dataclass(frozen=True)
class Interpolations:
    """Walks between two latents each: `pairs` rows of `points` images, t from `start` to `end`, both included.

    t = 0 and t = 1 are the two latents; beyond them the walk extrapolates.
    """

    pairs: int
    points: int
    path: WalkPath = "lerp"
    start: float = 0.0
    end: float = 1.0

    kind: ClassVar[PictureKind] = "interpolations"

    @property
    def settings(self) -> dict[str, Any]:
        """What the picture depends on besides the checkpoint."""
        return {
            "pairs": self.pairs,
            "points": self.points,
            "path": self.path,
            "from": float(self.start),
            "to": float(self.end),
        }


@dataclass(frozen=True)
class ClassSheet:
    """Images with the class that an extractor takes each for.

    extractor: its name for people; extractor_sha256: of its weights; weights: the generator's; resolution: pixels that
    images are brought to for the extractor, as where it measures.
    """

    images: int
    extractor: str
    extractor_sha256: str
    weights: Literal["raw", "ema"]
    resolution: int

    kind: ClassVar[PictureKind] = "classes"

    @property
    def settings(self) -> dict[str, Any]:
        """What the picture depends on besides the checkpoint; its text also holds `counts`, images by class."""
        return {
            "images": self.images,
            "extractor": self.extractor,
            "extractor_sha256": self.extractor_sha256,
            "weights": self.weights,
            "resolution": self.resolution,
        }


AskedPicture = Interpolations | ClassSheet


def asked_pictures(report: ReportSettings, classes: ClassSheet | None) -> tuple[AskedPicture, ...]:
    """What `[report]` asks for at the last checkpoint of each run.

    classes: the sheet of classes; None where none is asked for, or nothing can tell them.
    """
    asked: list[AskedPicture] = []
    if report.interpolations:
        asked.append(Interpolations(*report.interpolations))
    if classes:
        asked.append(classes)
    return tuple(asked)


def missing_pictures(
    run: RunDirectory, step: int, checkpoint_sha256: str | None, asked: Sequence[AskedPicture]
) -> tuple[AskedPicture, ...]:
    """Those of `asked` that are not there, not whole, or of another checkpoint or other settings.

    checkpoint_sha256 None: of no checkpoint at all.
    """
    return tuple(
        picture for picture in asked if not is_drawn(run.picture(step, picture.kind), checkpoint_sha256, picture)
    )


def is_drawn(path: Path, checkpoint_sha256: str | None, asked: AskedPicture) -> bool:
    """Whether `path` is a whole picture of this checkpoint with these settings; StoreError where it is no file."""
    try:
        texts = picture_texts(read_bytes(path))
    except FileNotFoundError:
        return False
    if texts is None or checkpoint_sha256 is None or texts.get(CHECKPOINT_TEXT) != checkpoint_sha256:
        return False
    return asked.settings.items() <= picture_settings(texts).items()


def picture_settings(texts: Mapping[str, str]) -> dict[str, Any]:
    """The settings that a picture's texts hold; empty where they hold none."""
    try:
        settings = json.loads(texts[SETTINGS_TEXT])
    except (KeyError, ValueError, RecursionError):
        return {}
    return settings if isinstance(settings, dict) else {}


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings as a PNG text: canonical JSON in ASCII, which every chunk of text can hold."""
    return json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False)
