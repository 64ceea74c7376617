"""The comparison table's numbers: means and spreads per cell, with the n of each. No verdicts.

Seeds are replicates, repeats are not: a cell's mean is the mean over seeds of each seed's mean over repeats, and the
two spreads are kept apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from harness.design.metrics import METRICS


@dataclass(frozen=True)
class Measurement:
    """One metric of one cell at one checkpoint's step, in the metric's unit.

    seeds: those measured, ascending. sd_seeds: sample SD (ddof 1) of the seeds' means, None with one seed.
    sd_repeats: sample SD over repeats, pooled within seeds, None where no seed has two repeats.
    repeats: smallest and largest number of repeats of these seeds; 1 where a metric has one value of all together.
    even_mean, odd_mean: the mean over seeds of each seed's mean over its even-numbered repeats (0, 2, ...), and over
    the odd ones; None where a seed has one repeat.
    """

    cell: str
    block: str
    metric: str
    step: int
    seeds: tuple[int, ...]
    seed_means: tuple[float, ...]
    mean: float
    sd_seeds: float | None
    sd_repeats: float | None
    repeats: tuple[int, int]
    even_mean: float | None = None
    odd_mean: float | None = None


@dataclass(frozen=True)
class Best:
    """The checkpoint of the lowest mean over even-numbered repeats (the highest where higher is closer to the real
    images) among those measured on as many seeds as the last one.

    mean: over its odd-numbered repeats, which had no say in the choice, so that a lucky draw of images is not
    reported. It still flatters: the choice is made on the same training runs. chosen_by: mean over the even ones.
    """

    step: int
    mean: float
    chosen_by: float
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class CellSummary:
    """last: at the last checkpoint that any seed was measured at, and the one to compare. best: None where neither
    direction is closer, and where a seed has one repeat or the metric one value of all repeats together."""

    last: Measurement
    best: Best | None


@dataclass(frozen=True)
class StateCounts:
    """How many of a cell's runs stand where; unfinished: pending, running or interrupted."""

    runs: int
    complete: int
    diverged: int
    failed: int

    @property
    def unfinished(self) -> int:
        return self.runs - self.complete - self.diverged - self.failed


def measurements(evaluations: pd.DataFrame) -> list[Measurement]:
    """Every (cell, block, metric, step) of an evaluation frame, in order of first appearance and ascending step."""
    found: list[Measurement] = []
    for _, group in evaluations.groupby(["cell", "block", "metric"], sort=False):
        found += [_measurement(at_step) for _, at_step in group.groupby("step", sort=True)]
    return found


def summarize(of_one_cell: Iterable[Measurement]) -> CellSummary | None:
    """Last and best of one cell's measurements of one metric under one block; None where there are none."""
    ordered = sorted(of_one_cell, key=lambda measurement: measurement.step)
    if not ordered:
        return None
    return CellSummary(ordered[-1], _best(ordered))


def _best(ordered: Sequence[Measurement]) -> Best | None:
    """The best of one cell's measurements of one metric, by ascending step; of equal ones the first."""
    last = ordered[-1]
    better = METRICS[last.metric].better
    halved = [
        Best(one.step, one.odd_mean, one.even_mean, one.seeds)
        for one in ordered
        if one.even_mean is not None and one.odd_mean is not None and len(one.seeds) >= len(last.seeds)
    ]
    if better == "neither" or not halved:
        return None
    choose = min if better == "lower" else max
    return choose(halved, key=lambda checkpoint: checkpoint.chosen_by)


def count_states(states: Iterable[str]) -> StateCounts:
    """Counts of the run states of one cell (`store.status.RunState`)."""
    held = list(states)
    return StateCounts(len(held), held.count("complete"), held.count("diverged"), held.count("failed"))


def _measurement(values: pd.DataFrame) -> Measurement:
    first = values.iloc[0]
    seeds: list[int] = []
    seed_means: list[float] = []
    counts: list[int] = []
    halves: list[tuple[float, float]] = []
    squares = 0.0
    for seed, of_seed in values.groupby("seed", sort=True):
        repeats = of_seed["value"].to_numpy(dtype=np.float64)
        seeds.append(int(str(seed)))
        seed_means.append(float(repeats.mean()))
        counts.append(len(repeats))
        is_even = of_seed["repeat"].to_numpy() % 2 == 0
        if is_even.any() and not is_even.all():
            halves.append((float(repeats[is_even].mean()), float(repeats[~is_even].mean())))
        squares += float(np.sum((repeats - repeats.mean()) ** 2))
    freedom = sum(counts) - len(counts)
    even, odd = np.mean(halves, axis=0) if len(halves) == len(seeds) else (None, None)
    return Measurement(
        cell=str(first["cell"]),
        block=str(first["block"]),
        metric=str(first["metric"]),
        step=int(first["step"]),
        seeds=tuple(seeds),
        seed_means=tuple(seed_means),
        mean=float(np.mean(seed_means)),
        sd_seeds=float(np.std(seed_means, ddof=1)) if len(seed_means) > 1 else None,
        sd_repeats=float(np.sqrt(squares / freedom)) if freedom else None,
        repeats=(min(counts), max(counts)),
        even_mean=None if even is None else float(even),
        odd_mean=None if odd is None else float(odd),
    )
