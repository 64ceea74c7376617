"""How much values vary: the scale of a metric, a cell's variance components, and the error that cells share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from harness.analysis.comparison import CellValues, Components, Pool, Scale, VarianceCheck

CHECK_LEVEL = 0.25
"""Level of the check that variances are equal: lenient, as a check before a test should be (Bancroft 1964)."""

FEWEST = 3
"""Cells that stay in the pool: of three, the two that agree best would always make it too small."""

SMALLEST = 1e-12
"""Spreads below this share of the values are rounding, not noise."""

_LOG_METRICS = frozenset({"fid", "fid_pooled", "fid_infinity", "inception_score"})

Means = Mapping[int, float]
"""Seed -> mean over its repeats, on the analysis scale."""


def scale_of(cells: Iterable[CellValues], metric: str) -> Scale:
    """log for metrics that compare as ratios where every finite value is above 0, else linear."""
    values = (value for cell in cells for repeats in cell.values.values() for value in repeats)
    above = all(value > 0 for value in values if math.isfinite(value))
    return "log" if is_ratio(metric) and above else "linear"


def is_ratio(metric: str) -> bool:
    """Whether values of the metric compare as ratios."""
    return metric in _LOG_METRICS


def seed_means(cell: CellValues, scale: Scale) -> dict[int, float]:
    """Mean over repeats of each seed whose values are all finite, ascending by seed, on the analysis scale."""
    means = {
        seed: math.fsum(repeats) / len(repeats)
        for seed, repeats in sorted(cell.values.items())
        if len(repeats) and all(map(math.isfinite, repeats))
    }
    return {seed: math.log(mean) for seed, mean in means.items()} if scale == "log" else means


def components(cell: CellValues, scale: Scale) -> Components | None:
    """A cell's variance components; None where no seed was measured."""
    means = seed_means(cell, scale)
    if not means:
        return None
    repeats = [np.asarray(cell.values[seed], dtype=np.float64) for seed in means]
    counts = [len(values) for values in repeats]
    freedom = sum(counts) - len(counts)
    scaled = [np.log(values) if scale == "log" else values for values in repeats]
    squares = math.fsum(float(np.sum((values - values.mean()) ** 2)) for values in scaled)
    within = squares / freedom if freedom else None
    between = None
    if len(means) > 1:
        added = (within or 0.0) * float(np.mean([1 / count for count in counts]))
        between = max(0.0, float(np.var(list(means.values()), ddof=1)) - added)
    return Components(
        sd_seeds=None if between is None else math.sqrt(between),
        sd_repeats=None if within is None else math.sqrt(within),
        seeds=len(means),
        repeats=(min(counts), max(counts)),
    )


@dataclass(frozen=True)
class _Fit:
    """Least squares of cell + seed. squares, freedom: of the residuals; of_cell: the part of either that goes with a
    cell's own values; seed_squares, seed_freedom: what seeds explain beside cells."""

    squares: float
    freedom: int
    of_cell: Mapping[str, tuple[float, int]]
    seed_squares: float
    seed_freedom: int
    within_cells: int

    def ratio(self, cell: str) -> float:
        """A cell's variance over that of the others; infinite where these do not vary, 1 where nothing can be told."""
        own, own_freedom = self.of_cell[cell]
        rest, rest_freedom = self.squares - own, self.freedom - own_freedom
        if own_freedom < 1 or rest_freedom < 1 or self.squares == 0:
            return 1.0
        if rest <= SMALLEST * self.squares:
            return math.inf
        return max(0.0, own) / own_freedom / (rest / rest_freedom)

    def tails(self, cell: str) -> tuple[float, float]:
        """P(F at least as large), P(F at most as large) of a cell's variance over that of the others, were they equal.

        The cell's part is what the residuals lose without the cell, so that both are independent and F is exact.
        """
        own_freedom = self.of_cell[cell][1]
        rest_freedom = self.freedom - own_freedom
        if own_freedom < 1 or rest_freedom < 1 or self.squares == 0:
            return 1.0, 1.0
        ratio = self.ratio(cell)
        if math.isinf(ratio):
            return 0.0, 1.0
        lower = float(special.fdtr(own_freedom, rest_freedom, ratio))
        return float(special.fdtrc(own_freedom, rest_freedom, ratio)), lower


def pooled(means: Mapping[str, Means]) -> Pool:
    """The error of one run beside its cell and its seed, over the cells whose variances agree.

    means: by cell; those with one seed say nothing about it. The loudest cell leaves until none is beyond chance
    (Bonferroni over cells and tails); then the quieter ones leave, which would make the error too small for others.
    """
    replicated = {cell: of_seed for cell, of_seed in means.items() if len(of_seed) > 1}
    first = _fit(replicated)
    if first is None:
        return Pool(None, 0.0, (), (), (), None, None)
    limit = CHECK_LEVEL / (2 * len(replicated))
    kept, fit, louder = dict(replicated), first, list[str]()
    while len(kept) > FEWEST:
        tails = {cell: fit.tails(cell)[0] for cell in kept}
        loudest = min(tails, key=lambda cell: tails[cell])
        left = {cell: of_seed for cell, of_seed in kept.items() if cell != loudest}
        found = _fit(left)
        if tails[loudest] > limit or found is None:
            break
        louder.append(loudest)
        kept, fit = left, found
    quieter = [cell for cell in kept if fit.tails(cell)[1] <= limit]
    others = {cell: of_seed for cell, of_seed in kept.items() if cell not in quieter}
    if quieter and len(others) >= FEWEST and (found := _fit(others)) is not None:
        kept, fit = others, found
    else:
        quieter = []
    return Pool(
        sd=math.sqrt(fit.squares / fit.freedom),
        freedom=float(fit.freedom),
        cells=tuple(kept),
        louder=tuple(cell for cell in replicated if cell in louder),
        quieter=tuple(quieter),
        seed_correlation=_seed_correlation(fit),
        check=_check(first, replicated) if len(replicated) > FEWEST else None,
        p_seeds=_p_seeds(fit),
    )


def _check(fit: _Fit, means: Mapping[str, Means]) -> VarianceCheck:
    """Of the cell with the smallest tail."""
    tails = {cell: min(fit.tails(cell)) for cell in means}
    cell, tests = min(tails, key=lambda name: tails[name]), 2 * len(means)
    freedom = fit.of_cell[cell][1]
    return VarianceCheck(
        cell=cell,
        ratio=fit.ratio(cell),
        freedom=freedom,
        rest_freedom=fit.freedom - freedom,
        tests=tests,
        p=min(1.0, tests * tails[cell]),
        p_bartlett=_bartlett(list(means.values())),
    )


def _bartlett(means: Sequence[Means]) -> float | None:
    """P of equal variances (Bartlett 1937), cells being independent; None where one does not vary."""
    freedom = np.array([len(of_seed) - 1 for of_seed in means], dtype=np.float64)
    variances = np.array([np.var(list(of_seed.values()), ddof=1) for of_seed in means])
    largest = max(abs(x) for of_seed in means for x in of_seed.values())
    if len(means) < 2 or np.any(np.sqrt(variances) <= SMALLEST * largest):
        return None
    total = float(freedom.sum())
    statistic = total * math.log(float(freedom @ variances) / total) - float(freedom @ np.log(variances))
    correction = 1 + (float((1 / freedom).sum()) - 1 / total) / (3 * (len(means) - 1))
    return float(special.chdtrc(len(means) - 1, max(0.0, statistic / correction)))


def _fit(means: Mapping[str, Means]) -> _Fit | None:
    """None where no freedom is left: fewer than two cells that share two seeds."""
    cells = list(means)
    seeds = sorted({seed for of_seed in means.values() for seed in of_seed})
    if len(cells) < 2 or len(seeds) < 2:
        return None
    rows = [(cells.index(cell), seeds.index(seed), x) for cell in cells for seed, x in means[cell].items()]
    at_cell = np.array([row[0] for row in rows])
    at_seed = np.array([row[1] for row in rows])
    x = np.array([row[2] for row in rows])
    x = x - np.array([x[at_cell == index].mean() for index in range(len(cells))])[at_cell]
    size = float(np.abs([row[2] for row in rows]).max())
    design = np.concatenate([np.eye(len(cells))[at_cell], np.eye(len(seeds))[at_seed]], axis=1)
    keeps, rank = _residual_maker(design)
    freedom = len(rows) - rank
    if freedom < 1:
        return None
    residuals = keeps @ x
    residuals[np.abs(residuals) <= SMALLEST * size] = 0.0
    squares = float(residuals @ residuals)
    return _Fit(
        squares=squares,
        freedom=freedom,
        of_cell={
            cell: _part(keeps[np.ix_(at_cell == index, at_cell == index)], residuals[at_cell == index])
            for index, cell in enumerate(cells)
        },
        seed_squares=float(x @ x) - squares,
        seed_freedom=rank - len(cells),
        within_cells=len(rows) - len(cells),
    )


def _residual_maker(design: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """The projection onto what the columns of `design` leave, and their rank."""
    left, sizes, _ = np.linalg.svd(design, full_matrices=False)
    rank = int(np.sum(sizes > 1e-9 * sizes[0]))
    basis = left[:, :rank]
    return np.eye(len(design)) - basis @ basis.T, rank


def _part(keeps: NDArray[np.float64], residuals: NDArray[np.float64]) -> tuple[float, int]:
    """By how much squares and freedom of the residuals fall when these rows are left out."""
    sizes, vectors = np.linalg.eigh(keeps)
    counted = sizes > 1e-9
    return float(np.sum((vectors.T @ residuals)[counted] ** 2 / sizes[counted])), int(np.sum(counted))


def _p_seeds(fit: _Fit) -> float | None:
    """Of the F test of seeds beside cells; None where nothing is left to test with."""
    if fit.seed_freedom < 1 or fit.squares == 0:
        return None
    ratio = max(0.0, fit.seed_squares) / fit.seed_freedom / (fit.squares / fit.freedom)
    return float(special.fdtrc(fit.seed_freedom, fit.freedom, ratio))


def _seed_correlation(fit: _Fit) -> float | None:
    """Intraclass correlation by the method of fitting constants (Searle et al. 1992, section 5.4)."""
    if fit.seed_freedom < 1:
        return None
    error = fit.squares / fit.freedom
    between = (fit.seed_squares - fit.seed_freedom * error) / fit.within_cells
    total = between + error
    return between / total if total > 0 else None


def shared_means(means: Sequence[Means]) -> tuple[tuple[int, ...], NDArray[np.float64]]:
    """Seeds that all have, ascending, and their values: shape (len(means), seeds)."""
    seeds = tuple(sorted(set.intersection(*(set(of_seed) for of_seed in means))))
    return seeds, np.array([[of_seed[seed] for seed in seeds] for of_seed in means], dtype=np.float64)
