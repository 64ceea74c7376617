"""How good each cell's images are, for sentences about training: the first metric's mean at the last checkpoint."""

from __future__ import annotations

from statistics import fmean

from harness.analysis.modes import LEAST_PRECISION
from harness.report.columns import Column
from harness.report.content import Content, ReportCell, ReportRun
from harness.report.markdown import escape, number


def leading_column(content: Content) -> Column | None:
    """The first metric of the first protocol, FID where it is measured; None where nothing is measured."""
    return next((group[0] for group in content.groups), None)


def quality(content: Content, cell: ReportCell) -> float | None:
    """The cell's mean over seeds in the leading column, at its last measured checkpoint."""
    column = leading_column(content)
    found = content.summary(cell, column) if column else None
    return found.last.mean if found else None


def quality_text(content: Content, cell: ReportCell) -> str:
    """`FID (digits) 72.1`; empty where the cell is not measured."""
    column, value = leading_column(content), quality(content, cell)
    if column is None or value is None:
        return ""
    name = escape(column.title_in(content.language))
    shown = number(value, 4 if abs(value) >= 1000 else 3)
    return content.language.say("{metric} {value}", metric=name, value=shown)


def best_cell(content: Content) -> ReportCell | None:
    """The cell whose mean is closest to the real images; None where that means nothing or fewer than two have one."""
    column = leading_column(content)
    if column is None or column.measures.better == "neither":
        return None
    found = [(value, cell) for cell in content.cells if (value := quality(content, cell)) is not None]
    sign = 1 if column.measures.better == "lower" else -1
    return min(found, key=lambda item: sign * item[0])[1] if len(found) > 1 else None


def unlike_the_data(content: Content, cell: ReportCell) -> bool:
    """Whether hardly any of the cell's images, over its seeds, are like real ones by the first Precision measured."""
    found = [value for run in cell.runs if (value := precision(content, run)) is not None]
    return bool(found) and fmean(found) < LEAST_PRECISION


def precision(content: Content, run: ReportRun) -> float | None:
    """The run's first Precision at its last measured checkpoint, the mean over repeats; None where not measured."""
    for column in content.columns:
        if column.metric == "precision" and (by_step := content.run_values(run, column)):
            return fmean(by_step[max(by_step)])
    return None
