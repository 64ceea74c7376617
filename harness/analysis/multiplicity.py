"""p values that need no distribution, and those of several tests at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

MOST_FLIPPED = 20
"""Seeds up to which all signs are tried (a million of them)."""


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p values in the order given: at most alpha where Holm's procedure rejects at alpha (Holm 1979)."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, (len(p_values) - place) * p_values[index])
        adjusted[index] = min(1.0, largest)
    return tuple(adjusted)


def sign_flip(differences: Sequence[float]) -> float | None:
    """Exact two-sided p of paired differences: the share of all sign patterns whose sum is as far from 0 (Fisher 1935,
    Pitman 1937). It needs no normal distribution, only that a difference is as likely to be negative as positive.
    None below two seeds, and above 20.
    """
    if not 2 <= len(differences) <= MOST_FLIPPED:
        return None
    sums = np.zeros(1)
    for difference in differences:
        sums = np.concatenate([sums + difference, sums - difference])
    observed = abs(math.fsum(differences))
    rounding = 1e-12 * math.fsum(map(abs, differences))
    return float(np.mean(np.abs(sums) >= observed - rounding))


def least_sign_flip(seeds: int) -> float | None:
    """The smallest p that so many seeds can give: 2 of the 2^seeds patterns. None below two seeds."""
    return 2.0 ** (1 - seeds) if seeds > 1 else None
