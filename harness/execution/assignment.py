"""What a worker is told to do, and what it answers. Plain values that cross process borders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.data.own_code import OwnCode
from harness.design.experiment import DataSettings, EvaluationSettings, TrainingSettings
from harness.design.factors import Hyperparameters
from harness.evaluation.protocol import Protocol
from harness.store.attempts import Work
from harness.store.pictures import AskedPicture
from harness.store.rundir import RunDirectory

WorkOutcome = Literal["finished", "interrupted", "diverged", "failed", "elsewhere"]
Trouble = Literal["none", "memory", "device", "no device"]
"""What failed a run besides itself: memory that ran out, an error of its GPU, or a GPU that cannot be used at all."""


@dataclass(frozen=True)
class EvaluationAssignment:
    """One `[[evaluation]]` block for one run. reference_images: the cached array at the protocol's resolution.

    images: generated images that the whole experiment is measured on with the block's extractor, of all blocks.
    """

    settings: EvaluationSettings
    protocol: Protocol
    reference_images: Path
    images: int


@dataclass(frozen=True)
class Assignment:
    """One run to bring to `training.steps` with all its evaluations.

    training: what this cell trains; own_code: copies of the files that parts of one's own come from; sources:
    SHA-256 of each own file, by FILE; images: the cached array at the run's resolution; device:
    `cpu`, `mps`, `cuda` or `cuda:1`; retry: train though it diverged before; threads: CPU threads of torch;
    pictures: of the last checkpoint; alone: it ran out of memory beside other runs, and now has its GPU to itself.
    """

    directory: RunDirectory
    work: Work
    retry: bool
    experiment: str
    cell: str
    seed: int
    key: str
    hyperparameters: Hyperparameters
    data: DataSettings
    data_sha256: str
    training: TrainingSettings
    own_code: OwnCode
    sources: Mapping[str, str]
    evaluations: tuple[EvaluationAssignment, ...]
    samples: int
    images: Path
    cache: Path
    device: str
    threads: int
    pictures: tuple[AskedPicture, ...] = ()
    alone: bool = False

    @property
    def name(self) -> str:
        return f"{self.cell} seed {self.seed}"


@dataclass(frozen=True)
class WorkResult:
    """How one attempt ended. elsewhere: another process holds the run. step: where the run stands."""

    outcome: WorkOutcome
    step: int = 0
    reason: str = ""
    trouble: Trouble = "none"
