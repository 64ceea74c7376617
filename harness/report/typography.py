"""Blanks that no line may break at, so that `95 %`, `× 0.54`, `72 ± 14` and `p = 0.04` stay whole on a page."""

from __future__ import annotations

import re

NO_BREAK = "\u00a0"

_KEPT = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)|\]\([^)]*\)")
"""Code spans and the targets of links, in which a blank is a blank."""
_SEAMS = re.compile(
    r"(?<=\d) (?=%)"  # 95 %
    r"|(?<=×) (?=[\d<>])"  # × 0.54
    r"|(?<=[\d%]) (?=± )|(?<=±) (?=[\d–])"  # 72 ± 14
    r"|(?<=\bp) (?=[=<>] \d)|(?<=[=<>]) (?=\d)"  # p = 0.04, > 0.99
)


def unbroken(markdown: str) -> str:
    """`markdown` with no-break spaces inside its numbers; code stays as it is."""
    lines, fence = [], ""
    for line in markdown.split("\n"):
        ticks = re.match(r" *(`{3,})", line)
        if fence:
            fence = "" if ticks and line.strip() == fence else fence
        elif ticks:
            fence = ticks[1]
        else:
            line = _unbroken_line(line)
        lines.append(line)
    return "\n".join(lines)


def _unbroken_line(line: str) -> str:
    shown, at = "", 0
    for kept in _KEPT.finditer(line):
        shown += _SEAMS.sub(NO_BREAK, line[at : kept.start()]) + kept[0]
        at = kept.end()
    return shown + _SEAMS.sub(NO_BREAK, line[at:])
