"""Cells on the analysis scale, and differences between them before anything is said of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.analysis.comparison import Asked, CellValues, Difference, Scale
from harness.analysis.multiplicity import least_sign_flip, sign_flip
from harness.analysis.paired import estimate, t_quantile
from harness.analysis.variance import Means, is_ratio, pooled, scale_of, seed_means, shared_means
from harness.design.metrics import METRICS

EQUIVALENCE_LEVEL = 0.9
"""Of the interval that must lie within the smallest effect: two one-sided tests at 5 % each (Schuirmann 1987)."""


@dataclass(frozen=True)
class Runs:
    """How a cell's runs stand. diverged: those with a value that is not finite too. seeds: asked for by the file."""

    measured: int
    diverged: int
    seeds: int

    @property
    def all_diverged(self) -> bool:
        return self.measured == 0 and self.diverged >= max(2, self.seeds)


def is_barred(estimate: float, better: Literal["lower", "higher", "neither"], cell: Runs, against: Runs) -> bool:
    """Whether a diverged run speaks against the verdict that the estimate points to: one of the cell bars "helps", one
    of `against` "hurts", since only what survived was measured."""
    if better == "neither" or estimate == 0:
        return False
    helps = (estimate < 0) == (better == "lower")
    return (cell.diverged if helps else against.diverged) > 0


class PairedCells:
    """The values of all cells on one scale, and the error that their comparisons share."""

    def __init__(self, cells: Sequence[CellValues], metric: str) -> None:
        self.metric = metric
        self.scale: Scale = scale_of(cells, metric)
        self.means: Mapping[str, Means] = {cell.cell: seed_means(cell, self.scale) for cell in cells}
        self.pool = pooled(self.means)
        self._cells = {cell.cell: cell for cell in cells}

    def cell(self, name: str) -> CellValues:
        """The cell of that name, or one of which nothing was measured."""
        return self._cells.get(name) or CellValues(name, {}, 0, 0, None)

    def runs(self, name: str) -> Runs:
        cell, means = self.cell(name), self.means.get(name, {})
        lost = cell.diverged_seeds | {seed for seed in cell.values if seed not in means}
        return Runs(len(means), max(cell.diverged, len(lost)), cell.seeds)

    def difference(self, asked: Asked) -> Difference:
        """Numbers alone: without p_holm and needed, and with the verdict of what nobody asks for."""
        runs, other, smallest = self.runs(asked.cell), self.runs(asked.against), self._smallest_effect(asked)
        bare = Difference(
            cell=asked.cell, against=asked.against, scale=self.scale, diverged=runs.diverged, seeds=runs.seeds,
            estimate=None, se=None, freedom=None, low=None, high=None, p=None, p_holm=None, p_sign_flip=None,
            least_sign_flip=None, shared_seeds=(), by_seed=(), error="none", verdict="not asked", needed=None,
            smallest_effect=smallest, within_smallest=None, against_diverged=other.diverged, against_seeds=other.seeds,
            is_barred=False,
        )  # fmt: skip
        seeds, values = shared_means([self.means.get(asked.cell, {}), self.means.get(asked.against, {})])
        if asked.cell == asked.against or not seeds:
            return bare
        by_seed = tuple(float(value) for value in values[0] - values[1])
        loud = not {asked.cell, asked.against}.isdisjoint(self.pool.louder)
        found = estimate(by_seed, (1.0, -1.0), self.pool, loud=loud, size=float(abs(values).max()))
        within = None
        is_whole = not runs.diverged and not other.diverged
        if is_whole and smallest is not None and found.se is not None and found.freedom is not None:
            within = abs(found.value) + t_quantile(EQUIVALENCE_LEVEL, found.freedom) * found.se <= smallest
        return replace(
            bare, estimate=found.value, se=found.se, freedom=found.freedom, low=found.low, high=found.high, p=found.p,
            p_sign_flip=sign_flip(by_seed), least_sign_flip=least_sign_flip(len(seeds)), shared_seeds=seeds,
            by_seed=by_seed, error=found.error, within_smallest=within,
            is_barred=is_barred(found.value, METRICS[self.metric].better, runs, other),
        )  # fmt: skip

    def _smallest_effect(self, asked: Asked) -> float | None:
        """On the analysis scale. A share of the value is a log ratio; where that scale is lost, so much of the mean."""
        share = asked.smallest_effect
        if share is None or not is_ratio(self.metric):
            return share
        if self.scale == "log":
            return math.log1p(share)
        means = self.means.get(asked.against, {})
        return share * abs(math.fsum(means.values()) / len(means)) if means else None
