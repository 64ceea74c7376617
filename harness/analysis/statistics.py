"""Differences between cells, paired by seed, and what can be said of them. The method: docs/statistics.md.

Everything that a report needs of statistics is imported from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.analysis.comparison import (
    Asked,
    CellValues,
    Comparison,
    Components,
    Difference,
    FactorEffect,
    Pool,
    Scale,
    SeedsNeeded,
    SeedValues,
    Verdict,
)
from harness.analysis.factorial import factorial_effects
from harness.analysis.multiplicity import holm
from harness.analysis.paired_cells import PairedCells
from harness.analysis.variance import components
from harness.analysis.verdicts import ALPHA, verdict, with_seeds_needed
from harness.design.metrics import METRICS

__all__ = [
    "ALPHA",
    "Asked",
    "CellValues",
    "Comparison",
    "Components",
    "Difference",
    "FactorEffect",
    "Pool",
    "Scale",
    "SeedValues",
    "SeedsNeeded",
    "Verdict",
    "compare",
    "factorial_effects",
]


def compare(
    cells: Sequence[CellValues], *, metric: str, baseline: str | None, asked: Sequence[Asked] | None
) -> Comparison:
    """Every cell against the baseline, and every other pair that is asked for, at one checkpoint of each run.

    cells: of one metric under one protocol, each once. baseline: a cell's name; None: only what is asked for is
    compared. asked: the family of tests; None: every cell against the baseline. Of it Holm's adjustment counts those
    that two shared seeds allow to test.
    """
    paired = PairedCells(cells, metric)
    rows = [] if baseline is None else [Asked(cell.cell, baseline) for cell in cells]
    family = {_pair(one): one for one in (rows if asked is None else asked) if one.cell != one.against}
    wanted = {_pair(one): one for one in rows} | family
    plain = {pair: paired.difference(one) for pair, one in wanted.items()}
    tests = {pair: p for pair in family if (p := plain[pair].p) is not None}
    adjusted = dict(zip(tests, holm(list(tests.values())), strict=True))

    def judged(pair: tuple[str, str], found: Difference) -> Difference:
        if found.cell == found.against:
            return replace(found, verdict="baseline")
        if pair not in family:
            return found
        found = replace(found, p_holm=adjusted.get(pair))
        said = verdict(found, METRICS[metric].better, *map(paired.runs, pair))
        return with_seeds_needed(replace(found, verdict=said), len(tests), *map(paired.cell, pair))

    return Comparison(
        scale=paired.scale,
        better=METRICS[metric].better,
        alpha=ALPHA,
        baseline=baseline,
        components={cell.cell: found for cell in cells if (found := components(cell, paired.scale)) is not None},
        pool=paired.pool,
        differences=tuple(judged(pair, found) for pair, found in plain.items()),
        family=len(tests),
    )


def _pair(asked: Asked) -> tuple[str, str]:
    return asked.cell, asked.against
