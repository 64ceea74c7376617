"""Grids drawn at random, whose truth is known, and what the report's statistics say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from harness.analysis.multiplicity import holm
from harness.analysis.paired_cells import PairedCells
from harness.analysis.statistics import ALPHA, Asked, CellValues
from harness.analysis.variance import Means


@dataclass(frozen=True)
class Grid:
    """Log FID of each run: the cell's own + the seed's + noise, all normal; the first cell is the baseline.

    sds: of each cell's noise. effects: of each cell, beside the baseline's. seed_sd: of what a seed adds to all cells.
    """

    seeds: int
    sds: tuple[float, ...]
    effects: tuple[float, ...]
    seed_sd: float = 0.0

    def draw(self, generator: np.random.Generator) -> NDArray[np.float64]:
        """Shape (cells, seeds)."""
        noise = generator.normal(size=(len(self.sds), self.seeds)) * np.array(self.sds)[:, None]
        return noise + np.array(self.effects)[:, None] + self.seed_sd * generator.normal(size=self.seeds)


@dataclass(frozen=True)
class Found:
    """Over simulations (rows) and the cells beside the baseline (columns): p, Holm's p, and whether the 95 % interval
    holds the true difference. For comparison p of two plainer tests: unpaired, a t test with the variance within all
    cells, which ignores seeds; pooled_alone, paired, with the error of all cells and no check of variances."""

    p: NDArray[np.float64]
    p_holm: NDArray[np.float64]
    covered: NDArray[np.bool_]
    unpaired: NDArray[np.float64]
    pooled_alone: NDArray[np.float64]

    def false_positives(self) -> NDArray[np.float64]:
        """Of each cell, at 5 % without adjustment."""
        return np.asarray((self.p <= ALPHA).mean(axis=0))

    def family_wise(self, nothing: Sequence[int]) -> float:
        """Share of simulations in which one of these cells gets a verdict."""
        return float((self.p_holm[:, list(nothing)] <= ALPHA).any(axis=1).mean())

    def family_wise_pooled_alone(self) -> float:
        return float((self.pooled_alone.min(axis=1) <= ALPHA / self.p.shape[1]).mean())

    def power(self, cell: int) -> float:
        return float((self.p_holm[:, cell] <= ALPHA).mean())

    def coverage(self) -> float:
        return float(self.covered.mean())


def simulate(grid: Grid, simulations: int, seed: int) -> Found:
    """`simulations` grids, each compared as a report compares it."""
    generator = np.random.default_rng(seed)
    p, adjusted, covered, unpaired, pooled_alone = [], [], [], [], []
    for _ in range(simulations):
        x = grid.draw(generator)
        paired = PairedCells(cells_of(x), "fid")
        found = [paired.difference(Asked(f"cell {index}", "cell 0")) for index in range(1, len(x))]
        p.append([one.p or 0.0 for one in found])
        adjusted.append(holm(p[-1]))
        covered.append([_holds(one.low, one.high, effect) for one, effect in zip(found, grid.effects[1:], strict=True)])
        unpaired.append(_unpaired(x))
        pooled_alone.append(_pooled_alone(x))
    return Found(*map(np.array, (p, adjusted, covered, unpaired, pooled_alone)))


def cells_of(x: NDArray[np.float64]) -> list[CellValues]:
    """Log FID of shape (cells, seeds) as what a comparison starts from."""
    values: list[Means] = [dict(enumerate(np.exp(3 + row).tolist())) for row in x]
    return [
        CellValues(f"cell {index}", {seed: [value] for seed, value in row.items()}, x.shape[1], 0, 1.0)
        for index, row in enumerate(values)
    ]


def standard_error(rate: float, simulations: int) -> float:
    """Of a simulated rate."""
    return float(np.sqrt(rate * (1 - rate) / simulations))


def _holds(low: float | None, high: float | None, effect: float) -> bool:
    return low is not None and high is not None and low <= effect <= high


def _unpaired(x: NDArray[np.float64]) -> list[float]:
    cells, seeds = x.shape
    return _p_values(x, x.var(axis=1, ddof=1).mean(), cells * (seeds - 1))


def _pooled_alone(x: NDArray[np.float64]) -> list[float]:
    cells, seeds = x.shape
    residuals = x - x.mean(axis=1, keepdims=True) - x.mean(axis=0) + x.mean()
    freedom = (cells - 1) * (seeds - 1)
    return _p_values(x, float((residuals**2).sum()) / freedom, freedom)


def _p_values(x: NDArray[np.float64], variance: float, freedom: int) -> list[float]:
    t = (x[1:].mean(axis=1) - x[0].mean()) / np.sqrt(2 * variance / x.shape[1])
    return [float(value) for value in 2 * special.stdtr(freedom, -np.abs(t))]
