"""Stored evaluations: every repeat's values of one checkpoint under one protocol.

Written by the process that holds the run's lock; only ever extended (more repeats, more metrics).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
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

    def __post_init__(self) -> None:
        """TypeError for what is no evaluation, though its checksum may have been made to fit."""
        if type(self.step) is not int or not isinstance(self.protocol, dict) or not isinstance(self.values, dict):
            raise TypeError("step is a whole number, protocol and values are objects")
        if not all(isinstance(values, list) and all(map(_is_number, values)) for values in self.values.values()):
            raise TypeError("values are lists of numbers")

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


def evaluation_damage(run: RunDirectory, path: Path) -> str | None:
    """What is wrong with a file under `evaluations/`, None where it is whole; whether it is still asked for or not."""
    try:
        evaluation = Evaluation(**atomic.read_json(path))
    except DamagedFileError as error:
        return error.what
    except FileNotFoundError:
        return None  # removed since the folder was read
    except TypeError as error:
        return f"not an evaluation: {error}"
    if run.evaluation(evaluation.step, str(evaluation.protocol_sha256)) != path:
        return "it holds another evaluation than its name says"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def write_evaluation(run: RunDirectory, evaluation: Evaluation) -> None:
    atomic.write_json(run.evaluation(evaluation.step, evaluation.protocol_sha256), asdict(evaluation))
