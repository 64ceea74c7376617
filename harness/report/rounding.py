"""Means and spreads as tables show them: a mean has no more digits than its standard deviation supports."""

from __future__ import annotations

import math
import re
from decimal import Decimal, InvalidOperation

MOST_DIGITS = 4
"""Significant digits of a mean."""
SPREAD_DIGITS = 2
"""Significant digits of a standard deviation."""
NOISE = 1e-12
"""Share of the mean up to which an SD is taken for zero: equal numbers add up to a little more or less."""
MOST_LEVEL_PLACES = 8
"""Decimal places up to which a factor's level is written without an exponent."""
MOST_PLACES = 6
"""Decimal places up to which a number is written without an exponent."""
_SMALL = re.compile(r"(?<=[=,])\d[\d.]*e-\d+(?![\w.])")
"""A small number as Python writes it, in a name made of levels."""


def rounded(mean: float, sd: float | None) -> str:
    """`72 ± 14`: the mean rounded to the SD's second digit; the mean alone where sd is None.

    The mean has four significant digits at most, and where it would have more the SD has one; zero is `0`, a negative
    mean has a true minus.
    """
    return " ± ".join(part for part in rounded_pair(mean, sd) if part)


def rounded_pair(mean: float, sd: float | None) -> tuple[str, str]:
    """Mean and SD as `rounded` shows them, apart; the second is empty where sd is None."""
    if sd is None or not math.isfinite(sd):
        return significant(mean), "" if sd is None else str(sd)
    if sd <= NOISE * abs(mean):
        shown = significant(mean)
        return (shown.rstrip("0").rstrip(".") if "." in shown and "e" not in shown else shown), "0"
    places = SPREAD_DIGITS - 1 - magnitude(sd, SPREAD_DIGITS)
    is_cut = mean != 0 and math.isfinite(mean) and places + magnitude(mean, MOST_DIGITS) + 1 > MOST_DIGITS
    return _to_place(mean, places), _cut(sd, 1 if is_cut else SPREAD_DIGITS)


def significant(value: float, digits: int = MOST_DIGITS) -> str:
    """So many significant digits, all those before the decimal point; an exponent only from a million on, and below
    0.0001 where six decimal places do not hold them."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else _signed(str(value))
    places = digits - 1 - magnitude(value, digits)
    if abs(value) >= 1e6 or (abs(value) < 1e-4 and places > MOST_PLACES):
        return _signed(f"{value:.{digits - 1}e}")
    return _signed(f"{value:.{max(0, places)}f}")


def plain_level(level: str) -> str:
    """A factor's level as people write it: `0.00005` for `5e-05`; other levels, and smaller ones, as they are."""
    parts = level.split(",")
    return ",".join(_plain(part) for part in parts)


def plain_name(name: str) -> str:
    """A cell's name that is made of levels, with these as people write them: `lr=0.00005` for `lr=5e-05`."""
    return _SMALL.sub(lambda found: _plain(found[0]), name)


def _plain(part: str) -> str:
    if "e-" not in part.lower():
        return part
    try:
        shown = format(Decimal(part), "f")
    except InvalidOperation:
        return part
    return shown if len(shown) <= len("0.") + MOST_LEVEL_PLACES else part


def magnitude(value: float, digits: int) -> int:
    """The power of ten of the first digit once `value` is rounded to so many: 1 of 14, -2 of 0.014, 0 of 0."""
    return int(f"{value:.{digits - 1}e}".partition("e")[2])


def _to_place(mean: float, places: int) -> str:
    """`mean` to so many decimal places (negative: tens, hundreds), with four significant digits at most."""
    if mean == 0 or not math.isfinite(mean):
        return significant(mean)
    shown = round(mean, places)
    if shown == 0:
        return f"{0:.{max(0, places)}f}"  # less than half of the last digit
    return _cut(shown, min(MOST_DIGITS, places + magnitude(shown, MOST_DIGITS) + 1))


def _cut(value: float, digits: int) -> str:
    """`significant`, with zeros in place of further digits before the decimal point: 1100 of 1128."""
    return significant(round(value, digits - 1 - magnitude(value, digits)), digits)


def _signed(text: str) -> str:
    """With a true minus before the number; an exponent keeps its own."""
    return f"−{text[1:]}" if text.startswith("-") else text
