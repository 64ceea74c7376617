"""Text and numbers as Markdown shows them, whatever people named their cells."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tabulate import tabulate

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$^]|=(?==)|%(?=%))")


def escape(text: object) -> str:
    """`text` as plain words on one line: no markup, table border, HTML or line break of its own takes effect."""
    line = " ".join(str(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", line)


def code(text: object) -> str:
    """`text` in a code span that holds any number of backticks; bars are for tables, too."""
    line = " ".join(str(text).split())
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
    """So many significant digits, without an exponent between 0.001 and a million; a dash for None."""
    if value is None:
        return "–"
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        decimals = max(0, digits - 1 - _magnitude(value))
        return f"{value:.{decimals}f}"
    return f"{value:.{digits - 1}e}"


def spread(value: float | None) -> str:
    """A standard deviation, to two significant digits."""
    return number(value, digits=2)


def _magnitude(value: float) -> int:
    return int(f"{value:e}".split("e")[1]) if value else 0


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)
