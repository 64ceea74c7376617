"""Text and numbers as Markdown shows them, whatever people named their cells."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tabulate import tabulate

from harness.design.controls import spelled_out
from harness.report.rounding import significant

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$^]|=(?==)|%(?=%))")

_MARKER = re.compile(r"^(\d{0,9})([-+.)])(?=\s|$)")
"""What begins an item of a list, first in a text."""


def escape(text: object) -> str:
    """`text` as plain words on one line: no markup, table border, HTML or line break of its own takes effect."""
    line = spelled_out(" ".join(str(text).split()))
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKER.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", line))


def code(text: object) -> str:
    """`text` in a code span that holds any number of backticks; bars are for tables, too."""
    line = spelled_out(" ".join(str(text).split()))
    ticks = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}".replace("|", "\\|")


def fenced(text: str, language: str = "") -> str:
    """`text` as a fenced block that no fence inside it can end."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A pipe table of cells that are Markdown already; `right`: columns aligned to the right."""
    align = ["right" if index in right else "left" for index in range(len(headers))]
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True, colalign=align if rows else None)


def number(value: float | None, digits: int = 4) -> str:
    """So many significant digits, zero as `0`; a dash for None."""
    return "–" if value is None else significant(value, digits)


def spread(value: float | None) -> str:
    """A standard deviation, to two significant digits."""
    return number(value, digits=2)


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
