"""Differences in words and numbers: verdicts, ratios, intervals, p-values, and how many seeds would decide."""

from __future__ import annotations

import math

from harness.analysis.statistics import Comparison, Difference, SeedsNeeded, Verdict
from harness.design.experiment import CostSettings
from harness.report.language import Language
from harness.report.markdown import escape, number

LARGEST_PERCENT = 100_000.0
"""A percentage beyond which only the side is told."""
LARGEST_FACTOR = 1000.0


def verdict_text(language: Language, verdict: Verdict) -> str:
    """One or two words for a table."""
    say = language.say
    match verdict:
        case "helps":
            return say("helps")
        case "hurts":
            return say("hurts")
        case "differs":
            return say("differs")
        case "inconclusive":
            return say("inconclusive")
        case "one seed":
            return say("one seed: no verdict")
        case "not measured":
            return say("not measured")
        case "not asked":
            return say("not tested")
        case "baseline":
            return "–"


def change_text(language: Language, difference: Difference) -> str:
    """`+28 % (+10 to +49)`, or a difference in the metric's unit; without an interval where there is none."""
    if difference.estimate is None:
        return "–"
    is_log = difference.scale == "log"
    change = _percent(difference.estimate) if is_log else signed(difference.estimate)
    estimate = f"{change} %" if is_log else change
    if difference.low is None or difference.high is None:
        return estimate
    low, high = (_percent(value) if is_log else signed(value) for value in (difference.low, difference.high))
    return language.say("{estimate} ({low} to {high})", estimate=estimate, low=low, high=high)


def size_text(difference: Difference) -> str:
    """`1.28`: a ratio; on the linear scale `+0.12`: a difference."""
    return _size(difference, difference.estimate)


def interval_text(language: Language, difference: Difference) -> str:
    """`1.10 to 1.49`, as `size_text`; a dash where there is none."""
    if difference.low is None or difference.high is None:
        return "–"
    low, high = _size(difference, difference.low), _size(difference, difference.high)
    return language.say("{low} to {high}", low=low, high=high)


def p_text(p: float | None) -> str:
    """`0.012`, `< 0.001`; a dash for None."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def p_equation(p: float) -> str:
    """`p = 0.012`, `p < 0.001`."""
    return f"p {p_text(p)}" if p < 0.001 else f"p = {p_text(p)}"


def factor_text(estimate: float) -> str:
    """exp of a value on the log scale: `1.28`, `35.1`, `> 1000`."""
    factor = math.exp(min(max(estimate, -50.0), 50.0))
    if factor > LARGEST_FACTOR:
        return f"> {LARGEST_FACTOR:.0f}"
    if factor < 1 / LARGEST_FACTOR:
        return f"< {1 / LARGEST_FACTOR:g}"
    return number(factor, 3)


def signed(value: float) -> str:
    """With its sign, to three significant digits."""
    return number(value, 3) if value < 0 else f"+{number(value, 3)}"


def seeds_range(needed: SeedsNeeded) -> str:
    """`4–9`, `≥ 70`; the total number of seeds, as a table has it."""
    if needed.high is None:
        return f"≥ {needed.low}"
    return str(needed.low) if needed.low == needed.high else f"{needed.low}–{needed.high}"


def needed_text(language: Language, difference: Difference, cost: CostSettings | None) -> str:
    """How many seeds would decide a comparison, and what they cost; empty where that is not known."""
    needed = difference.needed
    if needed is None:
        return ""
    told = _observed_text if difference.smallest_effect is None else _smallest_text
    return language.paragraph(told(language, needed), _price_text(language, needed, cost))


def _observed_text(language: Language, needed: SeedsNeeded) -> str:
    shown: dict[str, object] = {"low": needed.low, "high": needed.high}
    if needed.high is None:
        return language.say(
            "It would take {low} seeds in all, or over 1000, to find a difference as large as the one observed.",
            **shown,
        )
    if needed.low == needed.high:
        return language.say(
            "It would take {low} seeds in all to find a difference as large as the one observed.", **shown
        )
    return language.say(
        "It would take {low} to {high} seeds in all to find a difference as large as the one observed.", **shown
    )


def _smallest_text(language: Language, needed: SeedsNeeded) -> str:
    shown: dict[str, object] = {"low": needed.low, "high": needed.high}
    if needed.high is None:
        return language.say(
            "It would take {low} seeds in all, or over 1000, to find the smallest difference that matters.", **shown
        )
    if needed.low == needed.high:
        return language.say("It would take {low} seeds in all to find the smallest difference that matters.", **shown)
    return language.say(
        "It would take {low} to {high} seeds in all to find the smallest difference that matters.", **shown
    )


def _price_text(language: Language, needed: SeedsNeeded, cost: CostSettings | None) -> str:
    if needed.minutes_low is None:
        return ""
    low, high = duration(language, needed.minutes_low), duration(language, needed.minutes_high)
    if cost is None:
        if needed.minutes_high is None:
            return language.say("The runs still missing take {low} or more at the pace of these runs.", low=low)
        if low == high:
            return language.say("The runs still missing take {low} at the pace of these runs.", low=low)
        return language.say(
            "The runs still missing take {low} to {high} at the pace of these runs.", low=low, high=high
        )
    cheap, currency = number(needed.minutes_low / 60 * cost.per_hour, 2), escape(cost.currency)
    if needed.minutes_high is None:
        return language.say(
            "The runs still missing take {low} ({price} {currency}) or more at the pace of these runs.",
            low=low,
            price=cheap,
            currency=currency,
        )
    return language.say(
        "The runs still missing take {low} to {high} at the pace of these runs ({price_low} to {price_high} "
        "{currency}).",
        low=low,
        high=high,
        price_low=cheap,
        price_high=number(needed.minutes_high / 60 * cost.per_hour, 2),
        currency=currency,
    )


def duration(language: Language, minutes: float | None) -> str:
    """`40 s`, `12 min`, `3.5 h`; a dash for None."""
    if minutes is None:
        return "–"
    if minutes < 1:
        return language.say("{seconds} s", seconds=f"{60 * minutes:.0f}")
    if minutes < 120:
        return language.say("{minutes} min", minutes=f"{minutes:.0f}" if minutes >= 10 else f"{minutes:.1f}")
    return language.say("{hours} h", hours=number(minutes / 60, 2 if minutes < 6000 else 3))


def spread_percent(comparison: Comparison, sd: float) -> str:
    """A standard deviation of the analysis scale for people: on the log scale about `12 %`, else in the unit."""
    if comparison.scale == "linear":
        return number(sd, 2)
    percent = 100 * (math.exp(sd) - 1)
    return f"{number(percent, 2)} %"


def _percent(value: float) -> str:
    """Of a value on the log scale: `+28`, `-3.1`."""
    percent = 100 * (math.exp(min(value, 50.0)) - 1)
    if percent > LARGEST_PERCENT:
        return f"> +{LARGEST_PERCENT:.0f}"
    return f"{percent:+.0f}" if 10 <= abs(percent) < 99 or percent >= 99 else f"{percent:+.1f}"


def _size(difference: Difference, value: float | None) -> str:
    if value is None:
        return "–"
    return signed(value) if difference.scale == "linear" else factor_text(value)
