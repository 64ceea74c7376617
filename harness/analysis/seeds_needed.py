"""How many seeds would decide a comparison, and what their runs cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from harness.analysis.comparison import CellValues, SeedsNeeded

POWER = 0.8
MOST_SEEDS = 1000
SD_LEVEL = 0.8
"""Of the interval of the SD that gives the range of seeds."""

_NODES = (np.arange(40) + 0.5) / 40


@dataclass(frozen=True)
class StandingTest:
    """A comparison as it stands: what a power depends on beside the effect.

    sd: of one run beside its cell and its seed; freedom: of it, seeds - 1 of them from this comparison's own values.
    level: at which the test rejects, for a family of m tests alpha / m: Holm's first threshold, which the test surely
    has; it may have a larger one, so that fewer seeds may do.
    """

    sd: float
    freedom: float
    seeds: int
    level: float


def power(test: StandingTest, effect: float, seeds: int) -> float:
    """Probability that a true difference `effect` is found with `seeds` seeds of both cells, were `sd` the true one.

    The test's error is the larger one of the pooled and the comparison's own, so both are averaged over: each a
    chi-squared variable, the pooled a mean of the own and of what other cells add, at 40 equally likely values.
    """
    own_freedom = seeds - 1
    rest_freedom = max(0.0, test.freedom - (test.seeds - 1))
    own = _chi_squared(own_freedom)[:, None]
    rest = _chi_squared(rest_freedom)[None, :] if rest_freedom else np.zeros((1, 1))
    freedom = own_freedom + rest_freedom
    error = np.sqrt(np.maximum(own / own_freedom, (own + rest) / freedom))
    reach = float(special.stdtrit(freedom, 1 - test.level / 2)) * error
    shift = abs(effect) / test.sd * math.sqrt(seeds / 2)
    return float(np.mean(special.ndtr(shift - reach) + special.ndtr(-shift - reach)))


def seeds_for(test: StandingTest, effect: float) -> int | None:
    """The least seeds in all that find `effect` with 80 % power; None: more than 1000, or no effect to find."""
    if effect == 0 or power(test, effect, MOST_SEEDS) < POWER:
        return None
    low, high = 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(test, effect, middle) >= POWER else (middle, high)
    return high


def seeds_needed(test: StandingTest, effect: float, cell: CellValues, against: CellValues) -> SeedsNeeded | None:
    """The range of seeds over an 80 % interval of the SD, at least one more than now; None where even the smallest SD
    asks for more than 1000."""
    low = seeds_for(_with_sd(test, 0.5 + SD_LEVEL / 2), effect)
    if low is None:
        return None
    high = seeds_for(_with_sd(test, 0.5 - SD_LEVEL / 2), effect)
    low = max(low, test.seeds + 1)
    high = None if high is None else max(low, high)
    return SeedsNeeded(
        low=low,
        high=high,
        minutes_low=_minutes(low, cell, against),
        minutes_high=None if high is None else _minutes(high, cell, against),
    )


def _with_sd(test: StandingTest, share: float) -> StandingTest:
    """`test` with the SD that the estimate would be the `share` quantile of; a larger share gives a smaller SD."""
    variance = test.sd**2 * test.freedom / (2 * float(special.gammaincinv(test.freedom / 2, share)))
    return StandingTest(math.sqrt(variance), test.freedom, test.seeds, test.level)


def _minutes(seeds: int, cell: CellValues, against: CellValues) -> float | None:
    """Of the runs that are missing until so many seeds are shared: a seed that one cell has alone costs a run of the
    other, unless it diverged there, and every further one a run of both. The cheaper seeds are taken first."""
    one, two = _finite(cell), _finite(against)
    missing = max(0, seeds - len(one & two))
    alone = len(one - two - _lost(against)), len(two - one - _lost(cell))
    most = min(missing, alone[0]), min(missing, alone[1])
    ways = (most[0], min(missing - most[0], alone[1])), (min(missing - most[1], alone[0]), most[1])
    costs = [_cost((missing - first, cell), (missing - second, against)) for first, second in ways]
    return min((cost for cost in costs if cost is not None), default=None)


def _cost(*runs: tuple[int, CellValues]) -> float | None:
    if any(count and cell.minutes_per_run is None for count, cell in runs):
        return None
    return math.fsum(count * (cell.minutes_per_run or 0.0) for count, cell in runs)


def _finite(cell: CellValues) -> frozenset[int]:
    return frozenset(seed for seed, repeats in cell.values.items() if len(repeats) and all(map(math.isfinite, repeats)))


def _lost(cell: CellValues) -> frozenset[int]:
    return cell.diverged_seeds | (frozenset(cell.values) - _finite(cell))


def _chi_squared(freedom: float) -> NDArray[np.float64]:
    """40 equally likely values of a chi-squared variable."""
    return np.asarray(2 * special.gammaincinv(freedom / 2, _NODES), dtype=np.float64)
