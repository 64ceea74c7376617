"""What `harness doctor` was asked for, as it goes to the process of each check."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from harness.design.experiment import Experiment
from harness.design.experiment_file import ExperimentFile, read_experiment_file
from harness.execution.options import ExecutorName
from harness.report.language import LanguageCode


@dataclass(frozen=True)
class Request:
    """file: None where the machine alone is looked at; the other fields are as the options of `harness run` are."""

    file: str | None
    sets: tuple[str, ...]
    runs_dir: str
    tracking_uri: str | None
    executor: ExecutorName
    ray_address: str | None
    language: LanguageCode

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Request:
        document = json.loads(text)
        return cls(**{**document, "sets": tuple(document["sets"])})

    @property
    def runs(self) -> Path:
        return Path(self.runs_dir)

    @property
    def wants_ray(self) -> bool:
        return self.executor == "ray" or self.ray_address is not None

    @property
    def wants_slurm(self) -> bool:
        return self.executor == "slurm"

    @property
    def wants_other_machines(self) -> bool:
        """Whether runs may train where this machine's own disks are not seen."""
        return self.wants_slurm or self.ray_address is not None

    @cached_property
    def opened(self) -> ExperimentFile | None:
        """The experiment file; ExperimentFileError as `plan` raises it."""
        return None if self.file is None else read_experiment_file(Path(self.file), self.sets)

    @property
    def experiment(self) -> Experiment | None:
        return self.opened.experiment if self.opened else None
