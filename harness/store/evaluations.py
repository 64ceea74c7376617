"""Stored evaluations: every repeat's values of one checkpoint under one protocol.

Written by the process that holds the run's lock; only ever extended (more repeats, more metrics).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from harness.errors import DamagedFileError
from harness.store import atomic
from harness.store.rundir import RunDirectory


@dataclass(frozen=True)
class Evaluation:
    """values[metric][i] belongs to repeat i; protocol: all that the values depend on besides the generator."""

    step: int
    checkpoint_sha256: str
    protocol_sha256: str
    protocol: dict[str, Any]
    values: dict[str, list[float]]
    seconds: float = field(default=0.0)

    def has(self, metrics: Sequence[str], repeats: int) -> bool:
        """Whether all `metrics` are there for at least `repeats` repeats."""
        return all(len(self.values.get(metric, ())) >= repeats for metric in metrics)


def read_evaluation(run: RunDirectory, step: int, protocol: str) -> Evaluation | None:
    """The stored evaluation of `step`; None where there is none that is whole and belongs to its checkpoint."""
    try:
        evaluation = Evaluation(**atomic.read_json(run.evaluation(step, protocol)))
    except (DamagedFileError, FileNotFoundError, TypeError):
        return None
    if evaluation.protocol_sha256 != protocol or evaluation.step != step:
        return None
    if evaluation.checkpoint_sha256 != atomic.stored_hash(run.checkpoint(step)):
        return None  # measured on another checkpoint: it is done again
    return evaluation


def write_evaluation(run: RunDirectory, evaluation: Evaluation) -> None:
    atomic.write_json(run.evaluation(evaluation.step, evaluation.protocol_sha256), asdict(evaluation))
