"""Whether cells were still learning: how far their values moved between the last checkpoints. No verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, geometric_mean

from harness.analysis.diagnosis import FAR, PROGRESS
from harness.analysis.summary import Measurement
from harness.design.metrics import METRICS

STILL = 0.05
"""A change between two checkpoints from which a cell is still on its way; as a share of the value."""
BEHIND = 5.0
"""How many times the closest cell's value one must be that has hardly changed, to say that it has not begun to learn;
one that is nearer may have been there by the first checkpoint."""


@dataclass(frozen=True)
class Progress:
    """One cell's means at its last checkpoint, at the one before and at its first, over the seeds that each two share.

    since_before, since_first: by how much the value was multiplied since then, geometric mean over these seeds.
    """

    cell: str
    step: int
    last: float
    before_step: int
    before: float
    since_before: float
    first_step: int
    first: float
    since_first: float


@dataclass(frozen=True)
class Unfinished:
    """How one column's cells stood at their last checkpoints.

    measured: cells with two checkpoints. improving: of them those that still came closer to the real images by 5 % or
    more, the fastest first; median: of their `since_before`, None without one. stuck: far from the real images and
    hardly changed since the first checkpoint.
    """

    measured: int
    improving: tuple[Progress, ...]
    median: float | None
    stuck: tuple[Progress, ...]


def unfinished(by_cell: Mapping[str, Sequence[Measurement]], floor: float | None = None) -> Unfinished:
    """by_cell: one metric's measurements under one protocol; floor: of real images, None where unknown.

    Nothing is said of a metric of which neither direction is closer to the real images, nor of values that are not
    above 0, which have no ratio.
    """
    found = [progress for of_cell in by_cell.values() if (progress := _progress(of_cell))]
    metric = next((of_cell[0].metric for of_cell in by_cell.values() if of_cell), None)
    if metric is None or METRICS[metric].better == "neither":
        return Unfinished(0, (), None, ())
    sign = 1 if METRICS[metric].better == "lower" else -1
    improving = [one for one in found if sign * math.log(one.since_before) <= math.log(1 - STILL)]
    improving.sort(key=lambda one: sign * one.since_before)
    stuck = tuple(one for one in found if abs(one.since_first - 1) < PROGRESS and _is_far(one, found, sign, floor))
    return Unfinished(len(found), tuple(improving), _median([one.since_before for one in improving]), stuck)


def _is_far(one: Progress, cells: Sequence[Progress], sign: int, floor: float | None) -> bool:
    """From the real images, as the diagnosis has it, and from the closest cell."""
    from_floor = None if floor is None or floor <= 0 else sign * math.log(one.last / floor)
    if from_floor is not None and from_floor <= math.log(FAR):
        return False
    if len(cells) == 1:
        return from_floor is not None
    closest = min(sign * math.log(other.last) for other in cells)
    return sign * math.log(one.last) - closest >= math.log(BEHIND)


def _progress(of_cell: Sequence[Measurement]) -> Progress | None:
    """None with one checkpoint, without shared seeds, and where a value is not above 0."""
    ordered = sorted(of_cell, key=lambda one: one.step)
    if len(ordered) < 2:
        return None
    first, before, last = ordered[0], ordered[-2], ordered[-1]
    since_before, since_first = _shared(before, last), _shared(first, last)
    if since_before is None or since_first is None:
        return None
    return Progress(
        cell=last.cell,
        step=last.step,
        last=fmean(late for _, late in since_first),
        before_step=before.step,
        before=fmean(early for early, _ in since_before),
        since_before=geometric_mean(late / early for early, late in since_before),
        first_step=first.step,
        first=fmean(early for early, _ in since_first),
        since_first=geometric_mean(late / early for early, late in since_first),
    )


def _shared(early: Measurement, late: Measurement) -> list[tuple[float, float]] | None:
    """Both values of every seed that both have; None where there is none, or where one has no ratio."""
    values = dict(zip(early.seeds, early.seed_means, strict=True))
    found = [(values[seed], mean) for seed, mean in zip(late.seeds, late.seed_means, strict=True) if seed in values]
    if not found or not all(math.isfinite(value) and value > 0 for pair in found for value in pair):
        return None
    return found


def _median(values: Sequence[float]) -> float | None:
    """On the log scale, as ratios have it."""
    if not values:
        return None
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else math.sqrt(ordered[middle - 1] * ordered[middle])
