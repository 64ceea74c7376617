"""Differences in words and numbers: verdicts, ratios, intervals, p-values, and how many seeds would decide."""

from __future__ import annotations

import math

from harness.analysis.statistics import Comparison, Difference, FactorEffect, Scale, SeedsNeeded, Verdict
from harness.design.experiment import CostSettings
from harness.report.language import Language
from harness.report.markdown import escape, number
from harness.report.rounding import significant

LARGEST_FACTOR = 1000.0
"""A ratio beyond which only the side is told."""
NO_RATIO = 1e-7
"""How far from 1 a ratio may be by rounding alone."""
LEVELS = (0.05, 0.01, 0.001)
"""Levels that p-values are compared with: that of verdicts, and those of the stars in tables for papers."""


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
    """`× 1.28 (1.10 to 1.49)`, or a difference in the metric's unit; without an interval where there is none."""
    change = sized(difference)
    if difference.low is None or difference.high is None:
        return change
    return language.say("{change} ({interval})", change=change, interval=interval_text(language, difference))


def sized(difference: Difference) -> str:
    """`× 1.28`, or `+0.12`: a difference as it stands in a sentence; a dash where there is none."""
    return "–" if difference.estimate is None else sized_value(difference.estimate, difference.scale)


def sized_value(value: float, scale: Scale) -> str:
    """`sized`, of a value on the analysis scale."""
    return f"× {factor_text(value)}" if scale == "log" else signed(value)


def size_text(difference: Difference) -> str:
    """`1.28`: a ratio; on the linear scale `+0.12`: a difference. As a column of them has it."""
    return "–" if difference.estimate is None else _size(difference.estimate, difference.scale)


def interval_text(language: Language, found: Difference | FactorEffect, scale: Scale | None = None) -> str:
    """`1.10 to 1.49`, as `size_text`; a dash where there is none. scale: of an effect, which has none of its own."""
    shown = found.scale if isinstance(found, Difference) else scale or "linear"
    if found.low is None or found.high is None:
        return "–"
    return language.say("{low} to {high}", low=_size(found.low, shown), high=_size(found.high, shown))


def p_text(p: float | None) -> str:
    """`0.012`, `< 0.001`, `> 0.99`: two significant digits; a dash for None.

    On which side of a level of the tests p lies is never rounded away: `> 0.05`.
    """
    if p is None:
        return "–"
    if p < 0.001:
        return "< 0.001"
    if p > 0.99:
        return "> 0.99"
    shown = f"{p:.2f}" if p >= 0.0995 else significant(p, 2)
    for level in LEVELS:
        if float(shown) == level and p != level:
            return f"< {level}" if p < level else f"> {level}"
    return shown


def p_equation(p: float) -> str:
    """`p = 0.012`, `p < 0.001`."""
    shown = p_text(p)
    return f"p {shown}" if shown[0] in "<>" else f"p = {shown}"


def factor_text(estimate: float) -> str:
    """exp of a value on the log scale: `1.28`, `35.1`, `> 1000`."""
    return ratio_number(math.exp(min(max(estimate, -50.0), 50.0)))


def ratio_number(ratio: float) -> str:
    """Two decimals between 0.1 and 10, else so many digits as that; what is not 1 is never shown as 1."""
    if ratio > LARGEST_FACTOR:
        return f"> {LARGEST_FACTOR:.0f}"
    if ratio < 1 / LARGEST_FACTOR:
        return f"< {1 / LARGEST_FACTOR:g}"
    if not 0.1 <= ratio < 9.995:
        return significant(ratio, 3 if ratio > 1 else 2)
    shown = f"{ratio:.2f}"
    if shown != "1.00" or abs(ratio - 1) < NO_RATIO:
        return shown
    return next(text for places in range(3, 9) if float(text := f"{ratio:.{places}f}") != 1)


def level_text(value: float) -> str:
    """A mean without its spread: three significant digits, and whole numbers from 1000 on."""
    return significant(value, 3 if abs(value) < 1000 else 4)


def signed(value: float) -> str:
    """With its sign, to three significant digits; minus is a true one."""
    return significant(value, 3) if value <= 0 else f"+{significant(value, 3)}"


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
            return language.say("The additional runs would take {low} or more at the pace of these runs.", low=low)
        if low == high:
            return language.say("The additional runs would take {low} at the pace of these runs.", low=low)
        return language.say(
            "The additional runs would take {low} to {high} at the pace of these runs.", low=low, high=high
        )
    cheap, currency = number(needed.minutes_low / 60 * cost.per_hour, 2), escape(cost.currency)
    if needed.minutes_high is None:
        return language.say(
            "The additional runs would take {low} ({price} {currency}) or more at the pace of these runs.",
            low=low,
            price=cheap,
            currency=currency,
        )
    return language.say(
        "The additional runs would take {low} to {high} at the pace of these runs ({price_low} to {price_high} "
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


def _size(value: float, scale: Scale) -> str:
    return factor_text(value) if scale == "log" else signed(value)
