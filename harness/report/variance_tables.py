"""Where the values' variance comes from: a table of its components, and sentences on the error that cells share."""

from __future__ import annotations

import math
from collections.abc import Iterable

from harness.analysis.comparison import VarianceCheck
from harness.analysis.statistics import ALPHA, Comparison, Pool
from harness.analysis.variance import is_ratio
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content, ReportCell
from harness.report.language import Language
from harness.report.markdown import escape, spread, table
from harness.report.tables import cell_name
from harness.report.verdicts import p_equation, spread_percent

FEW_SEEDS = 3
"""Seeds up to which a cell's own spread is next to unknown."""
WORTH = 0.3
"""Correlation of seeds across cells from which pairing is called worth something."""


def components_table(content: Content, against: ColumnComparison) -> str:
    """A row per measured cell: SD over seeds and over repeats on the analysis scale, and the seeds' share."""
    say, rows = content.language.say, []
    for cell in against.cells:
        found = against.comparison.components.get(cell.cell.name)
        if found is None:
            continue
        share = "–"
        if found.sd_seeds is not None and found.sd_repeats is not None and found.sd_seeds + found.sd_repeats > 0:
            share = f"{100 * found.sd_seeds**2 / (found.sd_seeds**2 + found.sd_repeats**2):.0f} %"
        low, high = found.repeats
        repeats = str(low) if low == high else say("{low} to {high}", low=low, high=high)
        rows.append([
            str(cell.number), cell_name(cell), spread(found.sd_seeds), spread(found.sd_repeats), share,
            str(found.seeds), repeats, _place(content.language, against.comparison, cell),
        ])  # fmt: skip
    headers = [
        "#", say("Cell"), say("SD over seeds"), say("SD over repeats"), say("Share of seeds in the variance"),
        say("Seeds"), say("Repeats"), say("In the pool"),
    ]  # fmt: skip
    return table(headers, rows, right=[0, 2, 3, 4, 5, 6]) if rows else ""


def _place(language: Language, comparison: Comparison, cell: ReportCell) -> str:
    """Whether a cell is in the pool."""
    name = cell.cell.name
    if name in comparison.pool.louder:
        return language.say("no: louder")
    if name in comparison.pool.quieter:
        return language.say("no: quieter")
    return language.say("yes") if name in comparison.pool.cells else "–"


def pool_text(content: Content, against: ColumnComparison) -> str:
    """The error that comparisons share, which cells left it, and whether pairing by seed is worth anything."""
    language, pool = content.language, against.comparison.pool
    log = against.comparison.scale == "log"
    lost = ""
    if is_ratio(against.column.metric) and not log:
        lost = language.say(
            "A value of {metric} is not above 0, so cells are compared by differences here and not by ratios.",
            metric=escape(language.say(against.column.measures.title)),
        )
    if pool.sd is None:
        nothing = language.say(
            "No two cells share two seeds, so there is no error to judge differences by, and no verdict."
        )
        return language.paragraph(lost, nothing)
    shared = {"n": len(pool.cells), "sd": spread(pool.sd), "freedom": f"{pool.freedom:.3g}"}
    texts = [
        lost,
        language.say(
            "The error is pooled over {n} cells: one run varies beside its cell and its seed by an SD of {sd} on the "
            "log scale, about {percent}, with {freedom} degrees of freedom.",
            percent=spread_percent(against.comparison, pool.sd),
            **shared,
        )
        if log
        else language.say(
            "The error is pooled over {n} cells: one run varies beside its cell and its seed by an SD of {sd}, with "
            "{freedom} degrees of freedom.",
            **shared,
        ),
    ]
    if pool.louder:
        texts.append(
            language.say(
                "Beyond chance more variable than the others, and judged by their own variance: {cells}.",
                cells=language.shortened(labels(against, pool.louder)),
            )
        )
    if pool.quieter:
        texts.append(
            language.say(
                "Beyond chance less variable, left out of the pool lest they shrink it, and judged by it: {cells}.",
                cells=language.shortened(labels(against, pool.quieter)),
            )
        )
    return language.paragraph(*texts, _equal_text(content, against), _pairing_text(content, pool))


def _equal_text(content: Content, against: ColumnComparison) -> str:
    """What the check of equal variances found, and how little it can find with few seeds."""
    language, pool, check = content.language, against.comparison.pool, against.comparison.pool.check
    if check is None:
        return ""
    named = language.say(
        "The check that all cells vary alike sets each cell's residuals, with cell and seed taken off, against those "
        "of the other cells (F tests). Most unlike the others is {cell}: F = {ratio} with {freedom} and {rest} "
        "degrees of freedom, {p} after Bonferroni's adjustment for {tests} tests.",
        cell=labels(against, [check.cell])[0],
        ratio="∞" if math.isinf(check.ratio) else f"{check.ratio:.3g}",
        freedom=check.freedom,
        rest=check.rest_freedom,
        p=p_equation(check.p),
        tests=check.tests,
    )
    if pool.louder or pool.quieter:
        return named
    seeds = max(found.seeds for found in against.comparison.components.values())
    few = language.say(
        "So the check shows nothing, but with {n} seeds of a cell it can hardly find anything: spreads that look "
        "unlike in the table may be so by chance or in truth.",
        n=seeds,
    )
    nothing = few if seeds <= FEW_SEEDS else language.say("So the check shows nothing.")
    return language.paragraph(named, nothing, _bartlett_text(language, check))


def _bartlett_text(language: Language, check: VarianceCheck) -> str:
    """What the spreads alone say; empty where one of them is 0."""
    if check.p_bartlett is None:
        return ""
    p = p_equation(check.p_bartlett)
    if check.p_bartlett > ALPHA:
        return language.say(
            "Bartlett's test of the spreads over seeds as they are, which takes cells as independent, gives {p}.", p=p
        )
    return language.say(
        "Bartlett's test of the spreads over seeds as they are, which takes cells as independent, gives {p}: by it "
        "cells do not vary alike, so the pooled spread is a rough one for any single cell.",
        p=p,
    )


def shared_error_text(content: Content, against: ColumnComparison) -> str:
    """Where p and intervals come from when seeds are few, for where a p first stands; empty where nothing is pooled."""
    pool, language = against.comparison.pool, content.language
    judged = [one for one in against.comparison.differences if one.error in ("pooled", "larger")]
    if pool.sd is None or not judged or len(pool.cells) < 3:
        return ""
    told = language.plural(
        "p and interval rest on the larger of two spreads over seeds: that of {cells} cells together ({freedom} "
        "degrees of freedom), and that of the comparison's own differences by seed, of which there are few (up to "
        "{seeds}). The latter is the larger one in {larger} of {n} comparison.",
        "p and intervals rest on the larger of two spreads over seeds: that of {cells} cells together ({freedom} "
        "degrees of freedom), and that of a comparison's own differences by seed, of which there are few (up to "
        "{seeds}). The latter is the larger one in {larger} of {n} comparisons.",
        len(judged),
        cells=len(pool.cells),
        freedom=f"{pool.freedom:.3g}",
        seeds=max(len(one.shared_seeds) for one in judged),
        larger=sum(one.error == "larger" for one in judged),
    )
    check = pool.check
    if check is None or check.p_bartlett is None or check.p_bartlett > ALPHA:
        return told
    return language.paragraph(
        told,
        language.say(
            "They hold as far as cells vary alike, which Bartlett's test doubts here ({p}): take a p between 0.01 and "
            "0.05 as a hint.",
            p=p_equation(check.p_bartlett),
        ),
    )


def shares_text(content: Content, against: ColumnComparison) -> str:
    """That shares of variance from few seeds are rough; empty where there are more seeds."""
    seeds = max((found.seeds for found in against.comparison.components.values()), default=0)
    if not 1 < seeds <= FEW_SEEDS:
        return ""
    return content.language.say(
        "From {n} seeds these shares are rough: one that is near 0 % or 100 % here may be anything in between.", n=seeds
    )


def _pairing_text(content: Content, pool: Pool) -> str:
    say, correlation = content.language.say, pool.seed_correlation
    if correlation is None:
        return say("Whether one seed is lucky in all cells alike cannot be told from so few seeds.")
    shown = f"{correlation:.2f}".replace("-", "−")
    if correlation >= WORTH and (pool.p_seeds is None or pool.p_seeds > ALPHA):
        return say(
            "Whether one seed is lucky in all cells alike cannot be told from so few seeds (correlation across cells "
            "{correlation}).",
            correlation=shown,
        )
    if correlation >= WORTH:
        return say(
            "A seed tends to be lucky or unlucky in all cells alike (correlation across cells {correlation}), so "
            "comparing cells seed by seed makes differences more exact.",
            correlation=shown,
        )
    return say(
        "A seed's luck in one cell says little of its luck in another (correlation across cells {correlation}), so "
        "comparing cells seed by seed gains little here.",
        correlation=shown,
    )


def labels(against: ColumnComparison, names: Iterable[str]) -> list[str]:
    """Cells' labels by their names, as Markdown."""
    by_name = {cell.cell.name: escape(cell.label) for cell in against.cells}
    return [by_name[name] for name in names]
