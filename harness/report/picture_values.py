"""What stands beside images: the value that was measured of the very run and checkpoint that drew them."""

from __future__ import annotations

from harness.report.columns import Column
from harness.report.content import Content, ReportCell, ReportRun
from harness.report.rounding import significant


def value_of(content: Content, cell: ReportCell, run: ReportRun, step: int) -> str:
    """`FID 62.1`, the first metric that the cell is measured by, mean over repeats; empty where it was not measured."""
    column = _column(content, cell)
    found = content.run_values(run, column).get(step) if column else None
    if column is None or not found:
        return ""
    language, mean = content.figure_language, sum(found) / len(found)
    value = significant(mean, 4 if abs(mean) >= 1000 else 3)
    return language.say("{metric} {value}", metric=language.say(column.measures.title), value=value)


def _column(content: Content, cell: ReportCell) -> Column | None:
    return next((group[0] for group in content.groups if cell in content.cells_in(group[0])), None)
