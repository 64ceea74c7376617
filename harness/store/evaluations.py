"""Stored evaluations: every repeat's values of one checkpoint under one protocol, with the floor to read them by.

Written by the process that holds the run's lock; only ever extended (more repeats, more metrics).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.design.metrics import METRICS, MetricName
from harness.errors import DamagedFileError
from harness.store import atomic
from harness.store.looks import look_at
from harness.store.rundir import RunDirectory


@dataclass(frozen=True)
class Floor:
    """Real images against other real images, as a generator without fault would measure under the protocol.

    samples: real images in the place of the generated ones, fewer than the protocol's where the data are short;
    reference: in the place of the real ones; values[metric][i]: of the i-th random split.
    """

    samples: int
    reference: int
    values: dict[str, list[float]]

    def __post_init__(self) -> None:
        """TypeError for what is no floor, as `Evaluation`."""
        if not isinstance(self.values, dict) or not all(map(_is_list_of_numbers, self.values.values())):
            raise TypeError("a floor's values are lists of numbers")
        if type(self.samples) is not int or type(self.reference) is not int:
            raise TypeError("a floor's samples and reference are whole numbers")


@dataclass(frozen=True)
class Evaluation:
    """values[metric][i] belongs to repeat i; protocol: all that the values depend on besides the generator.

    pooled[metric][K]: of the images of the first K repeats together, K as text. class_counts[i]: of repeat i, the
    generated images by class; classes: the classes' names; reference_class_counts: the real images by class.
    feature_dims: of the extractor; 0 where it was not noted.
    """

    step: int
    checkpoint_sha256: str
    protocol_sha256: str
    protocol: dict[str, Any]
    values: dict[str, list[float]]
    seconds: float = field(default=0.0)
    pooled: dict[str, dict[str, float]] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)
    class_counts: list[list[int]] = field(default_factory=list)
    reference_class_counts: list[int] = field(default_factory=list)
    floor: Floor | None = None
    feature_dims: int = 0

    def __post_init__(self) -> None:
        """TypeError for what is no evaluation, though its checksum may have been made to fit."""
        if type(self.step) is not int or not isinstance(self.protocol, dict) or not isinstance(self.values, dict):
            raise TypeError("step is a whole number, protocol and values are objects")
        if not all(map(_is_list_of_numbers, self.values.values())):
            raise TypeError("values are lists of numbers")
        if not isinstance(self.pooled, dict) or not all(_are_numbers(of_metric) for of_metric in self.pooled.values()):
            raise TypeError("pooled values are numbers by the number of repeats")
        self._check_classes()
        if not _is_number(self.seconds) or type(self.feature_dims) is not int:
            raise TypeError("seconds and feature_dims are numbers")

    def _check_classes(self) -> None:
        if not isinstance(self.classes, list) or not all(isinstance(name, str) for name in self.classes):
            raise TypeError("classes are texts")
        counted = self.class_counts
        if not isinstance(counted, list) or not all(map(_is_list_of_counts, [*counted, self.reference_class_counts])):
            raise TypeError("counts by class are whole numbers")
        if any(len(counts) != len(self.classes) for counts in [*counted, self.reference_class_counts]):
            raise TypeError("there is a count for each class")

    def has(self, metrics: Sequence[str], repeats: int) -> bool:
        """Whether all `metrics` are there for at least `repeats` repeats, pooled ones for exactly these."""
        return all(len(self.series(metric, repeats)) >= (1 if _is_pooled(metric) else repeats) for metric in metrics)

    def series(self, metric: str, repeats: int) -> list[float]:
        """The values of the first `repeats` repeats, as far as they are there; of a pooled metric the one value."""
        if _is_pooled(metric):
            value = self.pooled.get(metric, {}).get(str(repeats))
            return [] if value is None else [value]
        return self.values.get(metric, [])[:repeats]

    def lacking(self, metrics: Iterable[MetricName], repeat: int) -> list[MetricName]:
        """Those of `metrics` that this repeat has no value of; pooled ones are of no single repeat."""
        return [metric for metric in metrics if not _is_pooled(metric) and len(self.values.get(metric, ())) <= repeat]

    def with_repeat(
        self, repeat: int, values: Mapping[str, float], class_counts: list[int] | None, *, seconds: float
    ) -> Evaluation:
        """With what one more repeat measured; ValueError where an earlier repeat has no value of its metrics."""
        for metric in values:
            if len(self.values.get(metric, ())) != repeat:
                raise ValueError(f"{metric} has {len(self.values.get(metric, ()))} repeats; {repeat} is not the next")
        counts = self.class_counts
        if class_counts is not None and len(counts) == repeat:
            counts = [*counts, class_counts]
        return replace(
            self,
            values={**self.values, **{metric: [*self.values.get(metric, []), new] for metric, new in values.items()}},
            class_counts=counts,
            seconds=round(self.seconds + seconds, 3),
        )

    def with_pooled(self, repeats: int, values: Mapping[str, float]) -> Evaluation:
        """With pooled values of the first `repeats` repeats."""
        added = {metric: {**self.pooled.get(metric, {}), str(repeats): value} for metric, value in values.items()}
        return replace(self, pooled={**self.pooled, **added})


def read_evaluation(
    run: RunDirectory, step: int, protocol: str, checkpoint_sha256: str | None = None
) -> Evaluation | None:
    """The stored evaluation of `step`; None where there is none that is whole and belongs to its checkpoint.

    checkpoint_sha256: of the checkpoint that was committed, whether its file is there or not; None: of the file.
    """
    path = run.evaluation(step, protocol)
    try:
        evaluation = look_at(run.looks, path, Evaluation, lambda: _evaluation(atomic.read_json(path)))
    except (DamagedFileError, FileNotFoundError, TypeError):
        return None
    if evaluation.protocol_sha256 != protocol or evaluation.step != step:
        return None
    if evaluation.checkpoint_sha256 != (checkpoint_sha256 or atomic.stored_hash(run.checkpoint(step))):
        return None  # measured on another checkpoint: it is done again
    return evaluation


def evaluation_damage(run: RunDirectory, path: Path) -> str | None:
    """What is wrong with a file under `evaluations/`, None where it is whole; whether it is still asked for or not."""
    try:
        evaluation = _evaluation(atomic.read_json(path))
    except DamagedFileError as error:
        return error.what
    except FileNotFoundError:
        return None  # removed since the folder was read
    except TypeError as error:
        return f"not an evaluation: {error}"
    if run.evaluation(evaluation.step, str(evaluation.protocol_sha256)) != path:
        return "it holds another evaluation than its name says"
    return None


def _evaluation(document: atomic.Json) -> Evaluation:
    """What a file holds; TypeError for what is no evaluation."""
    floor = document.get("floor")
    return Evaluation(**{**document, "floor": None if floor is None else Floor(**floor)})


def _is_pooled(metric: str) -> bool:
    return metric in METRICS and METRICS[metric].pooled


def _are_numbers(values: object) -> bool:
    return isinstance(values, dict) and all(map(_is_number, values.values()))


def _is_list_of_numbers(values: object) -> bool:
    return isinstance(values, list) and all(map(_is_number, values))


def _is_list_of_counts(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def write_evaluation(run: RunDirectory, evaluation: Evaluation) -> None:
    atomic.write_json(run.evaluation(evaluation.step, evaluation.protocol_sha256), asdict(evaluation))
