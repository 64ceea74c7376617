"""The one table of all benchmarks, for a terminal and for a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from rows import Row

HEADER = ("what", "ours", "peer", "peer takes", "times better", "spread", "target", "met", "note")
BEGIN, END = "<!-- measured: all on cpu -->", "<!-- measured end -->"

Cells = tuple[str, ...]


def text_table(machine: dict[str, Any], rows: Sequence[Row], unmeasured: Sequence[tuple[str, str]]) -> str:
    """Columns side by side, under a line that names the machine."""
    lines = [HEADER, *_cells(rows, unmeasured)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([named(machine), "", *shown])


def markdown_table(rows: Sequence[Row], unmeasured: Sequence[tuple[str, str]]) -> str:
    lines = [HEADER, ("---",) * len(HEADER), *_cells(rows, unmeasured)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def page_part(page: str, machine: dict[str, Any], rows: Sequence[Row], unmeasured: Sequence[tuple[str, str]]) -> str:
    """`page` with its part between BEGIN and END made anew; ValueError where it has none."""
    require_part(page)
    part = f"{BEGIN}\n{named(machine)}\n\n{markdown_table(rows, unmeasured)}\n{END}"
    return re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: part, page, count=1, flags=re.DOTALL)


def require_part(page: str) -> None:
    """ValueError where the page has no part to be filled in."""
    if BEGIN not in page:
        raise ValueError(f"the page has no part {BEGIN}")


def named(machine: dict[str, Any]) -> str:
    """The kind of machine in one line."""
    device = machine["gpu"] or "no GPU"
    return f"{machine['cpu']}, {machine['cores']} cores, {device}, torch {machine['torch']}, {machine['system']}"


def _cells(rows: Iterable[Row], unmeasured: Iterable[tuple[str, str]]) -> list[Cells]:
    return [_line(row) for row in rows] + [(what, "unmeasured", *[""] * (len(HEADER) - 2)) for _, what in unmeasured]


def _line(row: Row) -> Cells:
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    spread = "" if row.ratio is None else f"{100 * row.noise:.0f} %"
    peer = "" if row.peer is None else f"{_number(row.peer)} {row.ours_unit}"
    ours = f"{_number(row.ours)} {row.ours_unit}"
    return (row.what, ours, row.peer_what, peer, ratio, spread, _target(row), _met(row), row.note)


def _target(row: Row) -> str:
    if row.target is None:
        return ""
    return f"{row.target:g} times" if row.target_of == "ratio" else f"{row.target:g} {row.ours_unit}"


def _met(row: Row) -> str:
    if row.target is None:
        return ""
    if row.target_of == "ours":
        return "yes" if row.ours <= row.target else "no"
    return "yes" if row.ratio is not None and row.ratio >= row.target else "no"


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"
