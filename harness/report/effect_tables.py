"""Tables of differences and of where the values' variance comes from, with the sentences that explain the error."""

from __future__ import annotations

from collections.abc import Iterable

from harness.analysis.statistics import ALPHA, Comparison, Difference, Pool
from harness.analysis.variance import is_ratio
from harness.design.experiment import CostSettings
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content, ReportCell
from harness.report.language import Language
from harness.report.markdown import escape, number, spread, table
from harness.report.tables import cell_name
from harness.report.verdicts import (
    duration,
    interval_text,
    p_equation,
    p_text,
    seeds_range,
    size_text,
    spread_percent,
    verdict_text,
)

WORTH = 0.3
"""Correlation of seeds across cells from which pairing is called worth something."""


def differences_table(content: Content, against: ColumnComparison) -> str:
    """A row per cell but the baseline: estimate, interval, p-values, error, seeds and verdict.

    Where no cell has two seeds, neither has it the columns of an error.
    """
    say, is_log = content.language.say, against.comparison.scale == "log"
    found = [(cell, difference) for cell in against.others if (difference := against.of(cell))]
    has_errors = any(difference.se is not None for _, difference in found)
    has_needed = any(difference.needed for _, difference in found)
    headers = ["#", say("Cell"), say("Ratio") if is_log else say("Difference")]
    if has_errors:
        headers += [say("95 % interval"), "p", say("p (Holm)"), say("Sign-flip p (least)"), say("Error")]
    headers += [say("Seeds"), say("Verdict"), *([say("Seeds that it would take")] if has_needed else [])]
    cost = content.view.plan.experiment.cost
    rows = []
    for cell, difference in found:
        errors = _errors(content.language, difference) if has_errors else []
        needed = [_needed(content.language, difference, cost)] if has_needed else []
        rows.append([
            str(cell.number), cell_name(cell), size_text(difference), *errors, _seeds(content.language, difference),
            verdict_text(content.language, difference.verdict), *needed,
        ])  # fmt: skip
    return table(headers, rows, right=[0, 2]) if rows else ""


def _errors(language: Language, difference: Difference) -> list[str]:
    flip, p = "–", None if difference.verdict == "not asked" else difference.p
    if p is not None and difference.p_sign_flip is not None:
        flip = f"{p_text(difference.p_sign_flip)} ({p_text(difference.least_sign_flip)})"
    interval, holm = interval_text(language, difference), p_text(difference.p_holm)
    return [interval, p_text(p), holm, flip, error_text(language, difference)]


def _seeds(language: Language, difference: Difference) -> str:
    """Shared seeds of those that the file asks of the cell."""
    n, seeds = len(difference.shared_seeds), difference.seeds
    return str(n) if n == seeds else language.say("{n} of {runs}", n=n, runs=seeds)


def error_text(language: Language, difference: Difference) -> str:
    """Whose variance the interval rests on, with its degrees of freedom."""
    if difference.freedom is None:
        return "–"
    freedom = f"{difference.freedom:.3g}"
    if difference.error == "pooled":
        return language.say("pooled, {freedom} df", freedom=freedom)
    if difference.error == "larger":
        return language.say("larger than pooled, {freedom} df", freedom=freedom)
    return language.say("its own, {freedom} df", freedom=freedom)


def _needed(language: Language, difference: Difference, cost: CostSettings | None) -> str:
    needed = difference.needed
    if needed is None:
        return "–"
    seeds = seeds_range(needed)
    if needed.minutes_low is None:
        return seeds
    low, high = duration(language, needed.minutes_low), duration(language, needed.minutes_high)
    if needed.minutes_high is None:
        return language.say("{seeds} ({low} or more)", seeds=seeds, low=low)
    if cost is None and low == high:
        return language.say("{seeds} ({minutes})", seeds=seeds, minutes=low)
    if cost is None:
        return language.say("{seeds} ({low} to {high})", seeds=seeds, low=low, high=high)
    prices = [number(minutes / 60 * cost.per_hour, 2) for minutes in (needed.minutes_low, needed.minutes_high)]
    return language.say(
        "{seeds} ({low} to {high}; {price_low} to {price_high} {currency})",
        seeds=seeds,
        low=low,
        high=high,
        price_low=prices[0],
        price_high=prices[1],
        currency=escape(cost.currency),
    )


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
        say("Seeds"), say("Repeats"), say("Error"),
    ]  # fmt: skip
    return table(headers, rows, right=[0, 2, 3, 4, 5, 6]) if rows else ""


def _place(language: Language, comparison: Comparison, cell: ReportCell) -> str:
    """Whether a cell is in the pool."""
    name = cell.cell.name
    if name in comparison.pool.louder:
        return language.say("its own: louder")
    if name in comparison.pool.quieter:
        return language.say("not in the pool: quieter")
    return language.say("pooled") if name in comparison.pool.cells else "–"


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
    if pool.p_equal is not None:
        texts.append(
            language.say("The check that all cells vary alike gives {p}.", p=p_equation(pool.p_equal)),
        )
    return language.paragraph(*texts, _pairing_text(content, pool))


def _pairing_text(content: Content, pool: Pool) -> str:
    say, correlation = content.language.say, pool.seed_correlation
    if correlation is None:
        return say("Whether one seed is lucky in all cells alike cannot be told from so few seeds.")
    shown = f"{correlation:.2f}"
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
