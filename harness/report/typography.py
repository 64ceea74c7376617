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


_BEFORE_PERCENT = re.compile(r"(?<=\d)[ \u00a0](?=%)")


def in_chinese(markdown: str) -> str:
    """`unbroken`, and without the blank before %, which Chinese does not set."""
    return _outside_code(unbroken(markdown), _BEFORE_PERCENT, "")


def unbroken(markdown: str) -> str:
    """`markdown` with no-break spaces inside its numbers; code stays as it is."""
    return _outside_code(markdown, _SEAMS, NO_BREAK)


def _outside_code(markdown: str, what: re.Pattern[str], by: str) -> str:
    lines, fence = [], ""
    for line in markdown.split("\n"):
        ticks = re.match(r" *(`{3,})", line)
        if fence:
            fence = "" if ticks and line.strip() == fence else fence
        elif ticks:
            fence = ticks[1]
        else:
            line = _in_line(line, what, by)
        lines.append(line)
    return "\n".join(lines)


def _in_line(line: str, what: re.Pattern[str], by: str) -> str:
    shown, at = "", 0
    for kept in _KEPT.finditer(line):
        shown += what.sub(by, line[at : kept.start()]) + kept[0]
        at = kept.end()
    return shown + what.sub(by, line[at:])
