"""Rank correlations across cells: which number of training goes with which quality. Exploration, no tests of claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from scipy.stats import rankdata

from harness.analysis.curves import Array

LEAST_CELLS = 4
"""Below, even perfect agreement has a p of 1/3 or more."""
MOST_EXACT = 8
"""Cells up to which all orders are gone through (40320); more are drawn from."""
DRAWS = 20_000


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rho in [-1, 1] over `cells` cells; p: two-sided, of a permutation test. Both None where too few cells
    have both numbers, or one of the numbers is the same in all of them."""

    name: str
    cells: int
    rho: float | None
    p: float | None


def rank_correlations(
    numbers: Mapping[str, Mapping[str, float]], quality: Mapping[str, float]
) -> tuple[RankCorrelation, ...]:
    """Of each number with a quality, across cells. numbers: by name, then cell; quality: by cell; means over seeds."""
    found = []
    for name, by_cell in numbers.items():
        cells = [cell for cell in quality if cell in by_cell]
        pairs = np.array([[by_cell[cell], quality[cell]] for cell in cells], dtype=np.float64).reshape(-1, 2)
        rho, p = spearman(pairs[:, 0], pairs[:, 1])
        found.append(RankCorrelation(name, len(cells), rho, p))
    return tuple(found)


def spearman(first: Array, second: Array) -> tuple[float | None, float | None]:
    """Spearman's rho of two samples [n], ties at their mean rank, and its two-sided p under random pairing.

    p is exact up to MOST_EXACT values; beyond, (1 + as extreme) / (1 + DRAWS) of random orders, the same at each call.
    (None, None) with fewer than LEAST_CELLS values or where all of one sample are equal.
    """
    if len(first) < LEAST_CELLS or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None, None
    one, other = _standardized(first), _standardized(second)
    rho = float(one @ other)
    if len(one) <= MOST_EXACT:
        orders = np.array(list(permutations(range(len(other)))))
        extreme = np.abs(other[orders] @ one) >= abs(rho) - 1e-9
        return rho, float(extreme.mean())
    drawn = np.random.default_rng(0).permuted(np.tile(other, (DRAWS, 1)), axis=1)
    extreme = np.abs(drawn @ one) >= abs(rho) - 1e-9
    return rho, float((1 + extreme.sum()) / (1 + DRAWS))


def _standardized(values: Array) -> Array:
    """Ranks with mean 0 and length 1."""
    ranks = rankdata(values)
    centered = ranks - ranks.mean()
    return np.asarray(centered / np.sqrt(np.sum(centered**2)), dtype=np.float64)
