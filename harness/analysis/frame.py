"""Tidy frames from plain records: one row per observation, one column per variable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

EVALUATION_COLUMNS = ("cell", "seed", "key", "block", "step", "repeat", "metric", "value")


@dataclass(frozen=True)
class RunEvaluations:
    """One run's evaluations: block column (`digits`) -> checkpoint's step -> metric (`fid`) -> a value per repeat,
    or the one value of all repeats together."""

    cell: str
    seed: int
    key: str
    evaluations: Mapping[str, Mapping[int, Mapping[str, Sequence[float]]]] = field(default_factory=dict)


def evaluation_frame(runs: Iterable[RunEvaluations]) -> pd.DataFrame:
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
