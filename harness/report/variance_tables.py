"""Where the values' variance comes from: a table of its components, and sentences on the error that cells share."""

from __future__ import annotations

from collections.abc import Iterable

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
    language, pool = content.language, against.comparison.pool
    if pool.p_equal is None:
        return ""
    p = p_equation(pool.p_equal)
    if pool.louder or pool.quieter:
        return language.say("The check that all cells vary alike gives {p}.", p=p)
    seeds = max(found.seeds for found in against.comparison.components.values())
    if seeds > FEW_SEEDS:
        return language.say("The check that all cells vary alike found nothing ({p}).", p=p)
    return language.say(
        "The check that all cells vary alike found nothing ({p}), but with {n} seeds of a cell it can hardly find "
        "anything: spreads that look unlike in the table may be so by chance or in truth.",
        p=p,
        n=seeds,
    )


def shared_error_text(content: Content, against: ColumnComparison) -> str:
    """Where p and intervals come from when seeds are few, for where a p first stands; empty where nothing is pooled."""
    pool, language = against.comparison.pool, content.language
    judged = [one for one in against.comparison.differences if one.error in ("pooled", "larger")]
    if pool.sd is None or not judged or len(pool.cells) < 3:
        return ""
    seeds = max(len(one.shared_seeds) for one in judged)
    return language.say(
        "p and intervals rest on the spread over seeds of {n} cells together ({freedom} degrees of freedom), since the "
        "{seeds} seeds of one cell alone say little of it.",
        n=len(pool.cells),
        freedom=f"{pool.freedom:.3g}",
        seeds=seeds,
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
