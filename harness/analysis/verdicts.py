"""What may be said of a difference."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

from harness.analysis.comparison import CellValues, Difference, SeedsNeeded, Verdict
from harness.analysis.paired_cells import Runs
from harness.analysis.seeds_needed import StandingTest, seeds_needed

ALPHA = 0.05
"""Probability, over the family, that a difference that is not there gets a verdict."""

Better = Literal["lower", "higher", "neither"]


def verdict(difference: Difference, better: Better, cell: Runs, against: Runs) -> Verdict:
    """Of a difference of the family, p_holm known.

    A diverged run bars the verdict that it speaks against. All of at least two runs diverged: "hurts", without an
    estimate and without a test, where at least two of `against` were measured and none of it diverged.
    """
    if cell.all_diverged and against.measured > 1 and not against.diverged and better != "neither":
        return "hurts"
    if not difference.shared_seeds:
        return "not measured"
    if len(difference.shared_seeds) == 1:
        return "one seed"
    if not is_beyond_chance(difference) or difference.estimate is None:
        return "inconclusive"
    if better == "neither":
        return "differs"
    if difference.is_barred:
        return "inconclusive"
    return "helps" if (difference.estimate < 0) == (better == "lower") else "hurts"


def is_beyond_chance(difference: Difference) -> bool:
    return difference.p_holm is not None and difference.p_holm <= ALPHA


def with_seeds_needed(difference: Difference, family: int, cell: CellValues, against: CellValues) -> Difference:
    """`difference` with the seeds that would decide it, where it is for want of seeds that it is inconclusive."""
    waits = difference.verdict == "inconclusive" and not is_beyond_chance(difference)
    if (
        not waits
        or difference.is_barred
        or difference.within_smallest
        or not difference.se
        or difference.freedom is None
    ):
        return difference
    seeds = len(difference.shared_seeds)
    test = StandingTest(difference.se * math.sqrt(seeds / 2), difference.freedom, seeds, ALPHA / max(1, family))
    effect = difference.smallest_effect or difference.estimate or 0.0
    needed: SeedsNeeded | None = seeds_needed(test, effect, cell, against)
    return replace(difference, needed=needed)
