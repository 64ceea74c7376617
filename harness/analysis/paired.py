"""The error of a paired difference, and what t says about it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from harness.analysis.comparison import Error, Pool
from harness.analysis.multiplicity import sign_flip
from harness.analysis.variance import SMALLEST

LEVEL = 0.95
"""Of intervals."""


@dataclass(frozen=True)
class Estimate:
    """A difference, or another contrast of cells. None: below two seeds."""

    value: float
    se: float | None
    freedom: float | None
    low: float | None
    high: float | None
    p: float | None
    error: Error


def estimate(by_seed: Sequence[float], weights: Sequence[float], pool: Pool, *, loud: bool, size: float) -> Estimate:
    """What a contrast's values, one of each seed, say of its mean.

    weights: of the cells in it (1 and -1 for a difference), what the pooled error counts with. loud: one of the cells
    varies beyond the others, so that only the contrast's own degrees of freedom count. size: of the values that went
    in, below a share of which a spread is rounding.

    The standard error is the larger one of the pooled and the contrast's own: the pooled alone finds too much where a
    cell varies more than the check of variances can see, the own alone finds next to nothing in two or three seeds.
    """
    value = math.fsum(by_seed) / len(by_seed)
    if len(by_seed) < 2:
        return Estimate(value, None, None, None, None, None, "none")
    own = float(np.std(by_seed, ddof=1)) / math.sqrt(len(by_seed))
    shared = math.sqrt(math.fsum(weight**2 for weight in weights) / len(by_seed)) * (pool.sd or 0.0)
    se = max(own, shared)
    if se <= SMALLEST * size:
        return Estimate(value, 0.0, None, None, None, _without_error(by_seed), "none")
    alone = loud or pool.sd is None
    freedom = float(len(by_seed) - 1) if alone else pool.freedom
    reach = t_quantile(LEVEL, freedom) * se
    p = 2 * float(special.stdtr(freedom, -abs(value) / se))
    error: Error = "own" if alone else "larger" if own > shared else "pooled"
    return Estimate(value, se, freedom, value - reach, value + reach, p, error)


def _without_error(by_seed: Sequence[float]) -> float:
    """The sign-flip p of differences that are all alike, however many."""
    p = sign_flip(by_seed)
    if p is not None:
        return p
    return 2.0 ** (1 - len(by_seed)) if any(by_seed) else 1.0


def t_quantile(level: float, freedom: float) -> float:
    """What |t| stays below with probability `level`."""
    return float(special.stdtrit(freedom, 0.5 + level / 2))
