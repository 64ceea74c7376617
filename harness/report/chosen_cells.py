"""Which cells have large panels of their own in a grid of many: figures that nobody looks at take long to draw."""

from __future__ import annotations

from harness.report.content import Content, ReportCell
from harness.report.markdown import escape

MOST_CELLS = 24


def chosen_cells(content: Content) -> list[ReportCell]:
    """All cells where they are no more than MOST_CELLS, else the baseline and the first others, in order."""
    first = sorted(content.cells, key=lambda cell: not cell.cell.is_baseline)[:MOST_CELLS]
    return sorted(first, key=lambda cell: cell.number)


def choice_text(content: Content) -> str:
    """Which cells were chosen; empty where all are."""
    chosen, language = chosen_cells(content), content.language
    if len(chosen) == len(content.cells):
        return ""
    return language.say(
        "Of {n} cells, the baseline and the first others are shown, {shown} in all: {cells}. Tables have all cells.",
        n=len(content.cells),
        shown=len(chosen),
        cells=language.listed(escape(cell.label) for cell in chosen),
    )
