"""What a comparison of cells starts from and what it finds, as plain values. The method: docs/statistics.md."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Scale = Literal["log", "linear"]
"""The scale that differences are taken on. log: a difference is the log of a ratio."""

SeedValues = Mapping[int, Sequence[float]]
"""Seed -> the values of its repeats at one checkpoint."""

Verdict = Literal[
    "helps", "hurts", "differs", "inconclusive", "one seed", "not measured", "not asked", "baseline"
]  # fmt: skip
"""helps, hurts: the difference is beyond chance, and closer to or farther from the real images; or all runs diverged
beside a cell that was measured whole (hurts). differs: beyond chance, of a metric of which neither direction is
closer. inconclusive: it may be chance, or a diverged run bars the verdict. one seed: numbers, no verdict. not
measured: no seed that both cells were measured with. not asked: outside the family of tests. baseline: the cell
itself."""


@dataclass(frozen=True)
class CellValues:
    """One cell's values of one metric under one protocol.

    values: of the seeds that were measured; a seed without a finite mean counts as a diverged one. seeds: runs that
    the file asks for. diverged: how many of them diverged, those without a finite mean among them or not.
    minutes_per_run: training and evaluation of one run, None where unknown. diverged_seeds: which ones, where known.
    """

    cell: str
    values: SeedValues
    seeds: int
    diverged: int
    minutes_per_run: float | None
    diverged_seeds: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Components:
    """A cell's variance components on the analysis scale: one-way random effects (Searle et al. 1992, chapter 3).

    sd_seeds: between seeds, what repeats add already taken off, so 0 where repeats alone explain the spread; where no
    seed has two repeats it holds theirs as well; None with one seed. sd_repeats: within seeds, None where no seed has
    two. repeats: least and most.
    """

    sd_seeds: float | None
    sd_repeats: float | None
    seeds: int
    repeats: tuple[int, int]


@dataclass(frozen=True)
class VarianceCheck:
    """The F test of the cell whose residuals stand out most from those of the other cells together.

    ratio: F, with freedom and rest_freedom; tests: cells and tails that it was chosen from, p being adjusted for them
    (Bonferroni). p_bartlett: of Bartlett's test of the spreads over seeds as they are, seeds not taken off; None where
    one of them is 0.
    """

    cell: str
    ratio: float
    freedom: int
    rest_freedom: int
    tests: int
    p: float
    p_bartlett: float | None


@dataclass(frozen=True)
class Pool:
    """The error that comparisons share: of one run beside its cell and its seed.

    sd: None without two cells that share two seeds. freedom: its degrees of freedom. cells: those pooled; louder,
    quieter: cells left out for a variance that is beyond chance larger or smaller than the others'.
    seed_correlation: intraclass correlation of seeds across cells (below 0 by chance alone), None where it cannot be
    told; p_seeds: of the F test that seeds explain nothing beside cells. check: that all cells'
    variances are equal, None below four cells.
    """

    sd: float | None
    freedom: float
    cells: tuple[str, ...]
    louder: tuple[str, ...]
    quieter: tuple[str, ...]
    seed_correlation: float | None
    check: VarianceCheck | None
    p_seeds: float | None = None


@dataclass(frozen=True)
class SeedsNeeded:
    """Seeds that would decide a comparison with 80 % power: a range, since the error is itself estimated.

    low, high: total seeds of either cell; high None: more than 1000. minutes_low, minutes_high: of the runs that are
    still missing, None where unknown.
    """

    low: int
    high: int | None
    minutes_low: float | None
    minutes_high: float | None


@dataclass(frozen=True)
class Asked:
    """One test of the family. smallest_effect: the smallest difference that matters, as a claim gives it: a share of
    the value for metrics that compare as ratios (0.1: 10 %), else in the metric's unit."""

    cell: str
    against: str
    smallest_effect: float | None = None


Error = Literal["pooled", "larger", "own", "none"]


@dataclass(frozen=True)
class Difference:
    """Cell minus `against`, on the analysis scale, over the seeds that both were measured with.

    se, freedom: standard error of the estimate and its degrees of freedom; None below two shared seeds. low, high:
    95 % interval, of this difference alone. p: two-sided; p_holm: adjusted over the family (Holm 1979), None outside
    it. p_sign_flip: exact, two-sided; least_sign_flip: the smallest that so many seeds can give. by_seed: the
    difference of each shared seed. diverged, seeds: of the cell; against_diverged, against_seeds: of `against`.
    is_barred: a diverged run speaks against the verdict that the estimate points to. error: where `se` comes from:
    pooled; larger: of this difference's own values, which is larger than the pooled one, with the freedom of the
    pool; own: beside a cell that left the pool as louder, with the freedom of its own. needed: of inconclusive ones
    that more seeds can decide; None too where that takes more than 1000. smallest_effect: on the analysis scale.
    within_smallest: the 90 % interval lies within it on either side (two one-sided tests, Schuirmann 1987): no
    difference that matters; None too where a run of either diverged.
    """

    cell: str
    against: str
    scale: Scale
    estimate: float | None
    se: float | None
    freedom: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    p_sign_flip: float | None
    least_sign_flip: float | None
    shared_seeds: tuple[int, ...]
    by_seed: tuple[float, ...]
    diverged: int
    seeds: int
    against_diverged: int
    against_seeds: int
    is_barred: bool
    error: Error
    verdict: Verdict
    needed: SeedsNeeded | None
    smallest_effect: float | None
    within_smallest: bool | None

    @property
    def ratio(self) -> float | None:
        """Cell over `against`; None on the linear scale."""
        return None if self.scale == "linear" or self.estimate is None else math.exp(self.estimate)


@dataclass(frozen=True)
class Comparison:
    """One metric under one protocol.

    scale: linear too where a value of a ratio metric is not above 0. components: by cell, of those measured.
    differences: every cell against the baseline in the order of the cells (the baseline's own row says so), then
    what else was asked. family: tests that Holm's adjustment counts.
    """

    scale: Scale
    better: Literal["lower", "higher", "neither"]
    alpha: float
    baseline: str | None
    components: Mapping[str, Components]
    pool: Pool
    differences: tuple[Difference, ...]
    family: int

    def of(self, cell: str, against: str | None = None) -> Difference | None:
        """The difference of `cell` to `against` (default: the baseline); None where it was not compared."""
        wanted = (cell, against or self.baseline)
        return next((one for one in self.differences if (one.cell, one.against) == wanted), None)


@dataclass(frozen=True)
class FactorEffect:
    """What a factor of a factorial grid does, over the seeds that all its cells share; scale as the comparison's.

    factors: one: a main effect, averaged over all other factors' levels; two: an interaction, a difference of
    differences. levels: against the grid's first level of each factor. low, high: 95 % interval. p: two-sided, not
    adjusted. seeds, cells: what went in. None below two seeds. at_levels: of an interaction, the first factor's effect
    at the second's reference level and at its other one, over the same seeds and cells; None for a main effect.
    """

    factors: tuple[str, ...]
    levels: tuple[str, ...]
    estimate: float
    se: float | None
    freedom: float | None
    low: float | None
    high: float | None
    p: float | None
    seeds: int
    cells: int
    at_levels: tuple[float, float] | None = None
