"""A run's records as arrays, and means over parts of it. Every record holds means over an interval of steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.store.record_columns import Columns

Array = NDArray[np.float64]

CURVES = (
    "loss/generator", "loss/discriminator", "prob/real", "prob/fake_before", "prob/fake_after",
    "accuracy/real", "accuracy/fake",
)  # fmt: skip
"""The metrics that records may hold, in order."""
LAST_STEPS = 100
"""The end of training that its numbers and the rules of diagnosis are about."""


@dataclass(frozen=True, eq=False)
class RunCurves:
    """ends [n]: each record's last step, ascending; counts [n]: the steps that its means are over.

    values: those of CURVES that any record has, [n] each, NaN in records without it.
    """

    ends: Array
    counts: Array
    values: Mapping[str, Array]

    @property
    def centers(self) -> Array:
        """The middle of each interval."""
        return self.ends - self.counts / 2

    @property
    def end(self) -> float:
        """The last record's step, 0 without records."""
        return float(self.ends[-1]) if len(self.ends) else 0.0

    @property
    def last_part(self) -> float:
        """Steps at the end whose means tell how a run ended: LAST_STEPS, and half of a run shorter than twice that."""
        return min(float(LAST_STEPS), self.end / 2)

    def held(self, *names: str) -> RunCurves:
        """The records that have all of these curves, and these curves alone."""
        nothing = np.full(len(self.ends), np.nan)
        values = {name: self.values.get(name, nothing) for name in names}
        whole = np.isfinite(np.stack(list(values.values()))).all(axis=0)
        return RunCurves(self.ends[whole], self.counts[whole], {name: curve[whole] for name, curve in values.items()})

    def over_last(self, name: str, steps: float) -> float | None:
        """The mean of one curve over the run's last `steps` steps; intervals that this cuts count by the part inside.

        None where not all of these steps are recorded.
        """
        curve = self.values.get(name)
        return None if curve is None else self.mean_over_last(curve, steps)

    def mean_over_last(self, curve: Array, steps: float) -> float | None:
        """Likewise of a curve [n] made of this run's."""
        parts = np.minimum(self.counts, np.maximum(self.ends - (self.end - steps), 0.0))
        inside = parts > 0
        if steps <= 0 or parts.sum() < steps - 1e-6 or not np.isfinite(curve[inside]).all():
            return None
        return float(np.average(curve[inside], weights=parts[inside]))


def curves_of(columns: Columns) -> RunCurves:
    """The curves of one run's records as columns (step, n, and some of CURVES each)."""
    nothing = np.empty(0)
    ends, counts = (columns.get(name, nothing).astype(np.float64) for name in ("step", "n"))
    values = {name: columns[name].astype(np.float64, copy=False) for name in CURVES if name in columns}
    return RunCurves(ends, counts, values)


def moving_average(ends: Array, counts: Array, means: Array, window: int) -> Array:
    """Centred moving average of interval means over `window` steps, at each interval's middle.

    Interval i holds the mean over the `counts[i]` steps up to `ends[i]`; intervals that the window cuts count by the
    part inside. NaN where the window reaches over an edge of the data or over a gap: a shorter window there would be
    noisier, a one-sided one would lag.
    """
    if not len(ends):
        return means.copy()
    centers = ends - counts / 2
    edges = np.ravel(np.column_stack([ends - counts, ends]))
    total = np.ravel(np.column_stack([np.cumsum(means * counts) - means * counts, np.cumsum(means * counts)]))
    known = np.ravel(np.column_stack([np.cumsum(counts) - counts, np.cumsum(counts)]))
    low, high = centers - window / 2, centers + window / 2
    inside = np.interp(high, edges, known) - np.interp(low, edges, known)
    sums = np.interp(high, edges, total) - np.interp(low, edges, total)
    whole = inside >= window - 1e-6
    average = np.full(len(ends), np.nan)
    average[whole] = sums[whole] / window
    return average


def evenly_spaced(curves: RunCurves, curve: Array, start: float) -> tuple[Array, float]:
    """Means of a curve [n] over equal intervals from step `start` to the run's end, and their length in steps.

    The length is that of the longest interval there, so that no value is made up. Empty where records are missing.
    """
    held = curves.ends > start
    if not held.any() or not np.isfinite(curve[held]).all():
        return np.empty(0), 0.0
    length = float(curves.counts[held].max())
    number = int((curves.end - start) / length + 1e-9)
    first = curves.end - number * length
    if not number or curves.counts[held].sum() < curves.end - first - 1e-6:
        return np.empty(0), 0.0
    edges = np.concatenate([[curves.ends[held][0] - curves.counts[held][0]], curves.ends[held]])
    total = np.concatenate([[0.0], np.cumsum(curve[held] * curves.counts[held])])
    sums = np.interp(first + length * np.arange(number + 1), edges, total)
    return np.diff(sums) / length, length
