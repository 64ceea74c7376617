"""Tidy frames from plain records: one row per observation, one column per variable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

RUN_COLUMNS = ("cell", "seed", "key")
TRAINING_METRICS = (
    "loss/generator",
    "loss/discriminator",
    "prob/real",
    "prob/fake_before",
    "prob/fake_after",
    "accuracy/real",
    "accuracy/fake",
)
EVALUATION_COLUMNS = (*RUN_COLUMNS, "block", "step", "repeat", "metric", "value")


@dataclass(frozen=True)
class RunRecords:
    """One run's plain records.

    metrics: records of training, ascending in step. evaluations: block column (`digits`) -> checkpoint's step ->
    metric (`fid`) -> one value per repeat.
    """

    cell: str
    seed: int
    key: str
    metrics: Sequence[Mapping[str, Any]] = ()
    evaluations: Mapping[str, Mapping[int, Mapping[str, Sequence[float]]]] = field(default_factory=dict)


def metrics_frame(runs: Iterable[RunRecords]) -> pd.DataFrame:
    """One row per record: cell, seed, key, step (last of the interval), n (steps averaged), then the metrics.

    A metric that a record lacks is NaN.
    """
    rows = [{"cell": run.cell, "seed": run.seed, "key": run.key, **record} for run in runs for record in run.metrics]
    return pd.DataFrame(rows, columns=[*RUN_COLUMNS, "step", "n", *TRAINING_METRICS])


def evaluation_frame(runs: Iterable[RunRecords]) -> pd.DataFrame:
    """One row per measured value: cell, seed, key, block (its column), step, repeat (from 0), metric, value."""
    rows = [
        (run.cell, run.seed, run.key, block, step, repeat, metric, value)
        for run in runs
        for block, by_step in run.evaluations.items()
        for step, by_metric in by_step.items()
        for metric, values in by_metric.items()
        for repeat, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=list(EVALUATION_COLUMNS))
