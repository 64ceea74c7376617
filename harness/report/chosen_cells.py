"""Which cells have panels of their own in a grid of many: figures that nobody looks at take long to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.report.columns import Column
from harness.report.content import Content, ReportCell
from harness.report.figures.style import CellStyle
from harness.report.markdown import escape
from harness.report.pictures import styles_of
from harness.report.quality import leading_column

MOST_LARGE = 24
"""Cells with panels that take a third of a page."""


@dataclass(frozen=True)
class Choice:
    """cells: in order; text: which of more they are, empty where they are all."""

    cells: tuple[ReportCell, ...]
    text: str = ""


def small_panels(content: Content, column: Column | None = None) -> Choice:
    """The cells that a figure of many small panels shows, `[report] panels` at most.

    Of more, the baseline and the best and the worst others; where fewer are measured, those that have results before
    those that have none. column: whose cells and values count; default: all cells, and the first column.
    """
    cells = content.cells if column is None else content.cells_in(column)
    choice = _choice(content, cells, column or leading_column(content), _most_small(content))
    more = content.language.say("`panels` in `[report]` shows more.")
    return Choice(choice.cells, content.language.paragraph(choice.text, more) if choice.text else "")


def large_panels(content: Content, cells: Sequence[ReportCell] | None = None) -> Choice:
    """Likewise of `cells`, by default all, those that figures of large panels show, MOST_LARGE at most."""
    among = content.cells if cells is None else cells
    return _choice(content, among, leading_column(content), min(MOST_LARGE, _most_small(content)))


def with_styles(content: Content, choice: Choice) -> list[tuple[ReportCell, CellStyle]]:
    """The chosen cells with their looks, which are the same in every figure."""
    styles = styles_of(content)
    return [(cell, styles[cell.number - 1]) for cell in choice.cells]


def _most_small(content: Content) -> int:
    return content.view.plan.experiment.report.panels


def _choice(content: Content, cells: Sequence[ReportCell], column: Column | None, most: int) -> Choice:
    if len(cells) <= most:
        return Choice(tuple(cells))
    baseline = [cell for cell in cells if cell.cell.is_baseline]
    others = [cell for cell in cells if not cell.cell.is_baseline]
    room = most - len(baseline)
    ranked = _ranked(content, others, column)
    if column is None or len(ranked) < room:
        chosen = sorted(others, key=_lacks_results)[:room]
        text = _first_text(content, len(cells), most, has_baseline=bool(baseline))
    else:
        chosen = [*ranked[: room - room // 2], *ranked[len(ranked) - room // 2 :]]
        metric = escape(column.title_in(content.language))
        text = _extremes_text(content, len(cells), most, metric, has_baseline=bool(baseline))
    shown = sorted((*baseline, *chosen), key=lambda cell: cell.number)
    return Choice(tuple(shown), content.language.paragraph(text, content.language.say("Tables have all cells.")))


def _first_text(content: Content, n: int, most: int, *, has_baseline: bool) -> str:
    say = content.language.say
    if has_baseline:
        return say(
            "Of {n} cells, {most} are shown: the baseline and the first others, those with results before the rest.",
            n=n,
            most=most,
        )
    return say("Of {n} cells, the first {most} are shown, those with results before the rest.", n=n, most=most)


def _extremes_text(content: Content, n: int, most: int, metric: str, *, has_baseline: bool) -> str:
    say = content.language.say
    if has_baseline:
        return say(
            "Of {n} cells, {most} are shown: the baseline, and those with the best and with the worst {metric}, among "
            "the worst those that diverged unmeasured.",
            n=n,
            most=most,
            metric=metric,
        )
    return say(
        "Of {n} cells, {most} are shown: those with the best and with the worst {metric}, among the worst those that "
        "diverged unmeasured.",
        n=n,
        most=most,
        metric=metric,
    )


def _lacks_results(cell: ReportCell) -> bool:
    return not any(run.metrics for run in cell.runs)


def _ranked(content: Content, cells: Sequence[ReportCell], column: Column | None) -> list[ReportCell]:
    """Those of `cells` that are measured, the best first, and at the end those that diverged before they were; none
    where no end of the metric is the better one."""
    if column is None or column.measures.better == "neither":
        return []
    sign = 1 if column.measures.better == "lower" else -1
    measured, diverged = [], []
    for cell in cells:
        if (found := content.summary(cell, column)) is not None:
            measured.append((sign * found.last.mean, cell.number, cell))
        elif any(run.view.status.state == "diverged" for run in cell.runs):
            diverged.append(cell)
    return [*(cell for _, _, cell in sorted(measured, key=lambda one: one[:2])), *diverged]
