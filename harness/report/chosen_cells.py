"""Which cells have panels of their own in a grid of many: figures that nobody looks at take long to draw."""

from __future__ import annotations

from harness.report.content import Content, ReportCell
from harness.report.figures.style import CellStyle
from harness.report.markdown import escape
from harness.report.pictures import styles_of
from harness.report.quality import leading_column, quality

MOST_LARGE = 24
"""Cells with panels that take a third of a page."""


def small_paneled(content: Content) -> list[tuple[ReportCell, CellStyle]]:
    """The cells that figures of many small panels show, with their looks: all, or as many as `[report] panels` says.

    Of more, the baseline and the best and the worst others, in order; the first others where fewer are measured, or no
    end of the first metric is the better one.
    """
    styles = styles_of(content)
    return [(cell, styles[cell.number - 1]) for cell in _chosen(content, _most_small(content))]


def small_paneled_text(content: Content) -> str:
    """Which cells those are; empty where all."""
    text = _text(content, _most_small(content))
    return content.language.paragraph(text, content.language.say("`panels` in `[report]` shows more.")) if text else ""


def large_paneled(content: Content) -> list[ReportCell]:
    """Likewise the cells that figures of large panels show, MOST_LARGE at most."""
    return _chosen(content, min(MOST_LARGE, _most_small(content)))


def large_paneled_text(content: Content) -> str:
    """Which cells those are; empty where all."""
    return _text(content, min(MOST_LARGE, _most_small(content)))


def _most_small(content: Content) -> int:
    return content.view.plan.experiment.report.panels


def _chosen(content: Content, most: int) -> list[ReportCell]:
    if len(content.cells) <= most:
        return list(content.cells)
    baseline = [cell for cell in content.cells if cell.cell.is_baseline]
    others = [cell for cell in content.cells if not cell.cell.is_baseline]
    room = most - len(baseline)
    ranked = _ranked(content, others)
    extremes = [*ranked[: room - room // 2], *ranked[len(ranked) - room // 2 :]]
    chosen = extremes if len(ranked) >= room else others[:room]
    return sorted((*baseline, *chosen), key=lambda cell: cell.number)


def _text(content: Content, most: int) -> str:
    n, say = len(content.cells), content.language.say
    if n <= most:
        return ""
    others = [cell for cell in content.cells if not cell.cell.is_baseline]
    has_baseline = len(others) < n
    column = leading_column(content)
    if column is None or len(_ranked(content, others)) < most - has_baseline:
        shown = (
            say("Of {n} cells, {most} are shown: the baseline and the first others.", n=n, most=most)
            if has_baseline
            else say("Of {n} cells, the first {most} are shown.", n=n, most=most)
        )
    else:
        metric = escape(column.title_in(content.language))
        shown = (
            say(
                "Of {n} cells, {most} are shown: the baseline, and those with the best and with the worst {metric}.",
                n=n,
                most=most,
                metric=metric,
            )
            if has_baseline
            else say(
                "Of {n} cells, {most} are shown: those with the best and with the worst {metric}.",
                n=n,
                most=most,
                metric=metric,
            )
        )
    return content.language.paragraph(shown, say("Tables have all cells."))


def _ranked(content: Content, cells: list[ReportCell]) -> list[ReportCell]:
    """Those of `cells` that are measured, the best first; none where no end of the metric is the better one."""
    column = leading_column(content)
    if column is None or column.measures.better == "neither":
        return []
    sign = 1 if column.measures.better == "lower" else -1
    found = [(sign * value, cell.number, cell) for cell in cells if (value := quality(content, cell)) is not None]
    return [cell for _, _, cell in sorted(found, key=lambda one: one[:2])]
