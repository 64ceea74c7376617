"""Tables of differences, with the sentences that go with them."""

from __future__ import annotations

from harness.analysis.statistics import ALPHA, Difference, Verdict
from harness.design.experiment import CostSettings
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content
from harness.report.language import Language
from harness.report.markdown import escape, number, table
from harness.report.tables import cell_name
from harness.report.verdicts import (
    duration,
    interval_text,
    p_text,
    seeds_range,
    size_text,
    verdict_text,
)

VERDICTS: tuple[Verdict, ...] = (
    "helps", "hurts", "differs", "inconclusive", "one seed", "not measured", "not asked",
)  # fmt: skip
"""In the order in which they are counted."""


def differences_table(content: Content, against: ColumnComparison) -> str:
    """A row per cell but the baseline: estimate, interval, p-values, error, seeds and verdict.

    Where no cell has two seeds, neither has it the columns of an error.
    """
    say, is_log = content.language.say, against.comparison.scale == "log"
    found = [(cell, difference) for cell in against.others if (difference := against.of(cell))]
    has_errors = any(difference.se is not None for _, difference in found)
    has_needed = any(difference.needed for _, difference in found)
    has_flips = flips_can_tell(against)
    headers = ["#", say("Cell"), say("Ratio") if is_log else say("Difference")]
    if has_errors:
        flip = [say("Sign-flip p (least)")] if has_flips else []
        headers += [say("95 % interval"), "p", say("p (Holm)"), *flip, say("Error")]
    headers += [say("Seeds"), say("Verdict"), *([say("Seeds that it would take")] if has_needed else [])]
    cost = content.view.plan.experiment.cost
    rows = []
    for cell, difference in found:
        errors = _errors(content.language, difference, has_flips) if has_errors else []
        needed = [_needed(content.language, difference, cost)] if has_needed else []
        rows.append([
            str(cell.number), cell_name(cell), size_text(difference), *errors, _seeds(content.language, difference),
            verdict_text(content.language, difference.verdict), *needed,
        ])  # fmt: skip
    return table(headers, rows, right=[0, 2]) if rows else ""


def verdict_counts(content: Content, against: ColumnComparison) -> str:
    """How many cells have which verdict, as one sentence; empty where there can be none."""
    found = [one.verdict for cell in against.others if (one := against.of(cell))]
    if not found or not against.has_several_seeds:
        return ""
    language = content.language
    counts = [
        language.say("{verdict} {n}", verdict=verdict_text(language, verdict), n=found.count(verdict))
        for verdict in VERDICTS
        if verdict in found
    ]
    return language.plural(
        "Verdict on {n} cell beside the baseline: {verdicts}.",
        "Verdicts on {n} cells beside the baseline: {verdicts}.",
        len(found),
        verdicts=language.listed(counts),
    )


def _errors(language: Language, difference: Difference, has_flips: bool) -> list[str]:
    flip, p = "–", None if difference.verdict == "not asked" else difference.p
    if p is not None and difference.p_sign_flip is not None:
        flip = f"{p_text(difference.p_sign_flip)} ({p_text(difference.least_sign_flip)})"
    interval, holm = interval_text(language, difference), p_text(difference.p_holm)
    return [interval, p_text(p), holm, *([flip] if has_flips else []), error_text(language, difference)]


def flips_can_tell(against: ColumnComparison) -> bool:
    """Whether any difference has seeds enough for a sign-flip p of at most 5 %."""
    return any(one.least_sign_flip is not None and one.least_sign_flip <= ALPHA for one in _tested(against))


def flips_text(content: Content, against: ColumnComparison) -> str:
    """Why the sign-flip test is left out; empty where it is not, or where nothing was tested."""
    tested = _tested(against)
    if not tested or flips_can_tell(against):
        return ""
    seeds = max(len(one.shared_seeds) for one in tested)
    least = min(one.least_sign_flip for one in tested if one.least_sign_flip is not None)
    return content.language.say(
        "The sign-flip test, which assumes no distribution, cannot go below p = {least} with {n} seeds, so it is left "
        "out here.",
        least=p_text(least),
        n=seeds,
    )


def _tested(against: ColumnComparison) -> list[Difference]:
    found = [one for one in against.comparison.differences if one.verdict != "not asked"]
    return [one for one in found if one.p is not None and one.least_sign_flip is not None]


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
