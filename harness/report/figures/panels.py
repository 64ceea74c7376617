"""Several metrics of one protocol against the step, as one page of small panels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from harness.report.figures.fid import CellCurve, curve, draw_floor, floor_label, floor_line, step_and_value
from harness.report.figures.style import (
    WIDE,
    empty_panel,
    figure_style,
    new_figure,
    span,
    wrapped,
)
from harness.report.language import ENGLISH, Language

PANEL_COLUMNS = 2
LEGEND_WIDTH = 2.6
"""Inches."""


@dataclass(frozen=True)
class MetricPanel:
    """title: `KID ↓`; floor: real images against real images, None where it was not measured."""

    title: str
    cells: Sequence[CellCurve]
    floor: float | None = None


@figure_style()
def metric_panels(panels: Sequence[MetricPanel], source: str, language: Language = ENGLISH) -> list[Figure]:
    """One panel per metric, all cells in each; their legend is beside them. For as many cells as one panel can hold."""
    rows = -(-len(panels) // PANEL_COLUMNS)
    columns = min(PANEL_COLUMNS, len(panels))
    figure = new_figure(3.2 * columns + LEGEND_WIDTH, max(2.6 * rows + 0.5, 0.55 * len(panels[0].cells)))
    all_axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for surplus in all_axes[len(panels) :]:
        surplus.remove()
    has_floor = False
    for axes, panel in zip(all_axes, panels, strict=False):
        values = [mean for cell in panel.cells for point in cell.points for mean in point.seed_means]
        factor = span(values)
        title = language.say("{title}, log scale", title=panel.title) if factor > WIDE else panel.title
        axes.set_title(title, pad=6)
        if not values:
            empty_panel(axes, language.say("not measured"))
            continue
        for cell in panel.cells:
            curve(axes, cell)
        if panel.floor is not None and factor <= WIDE:
            draw_floor(axes, panel.floor)
            has_floor = True
        step_and_value(axes, panel.cells, factor)
    figure.supxlabel(language.say("step"), fontsize=9)
    figure.suptitle(language.say("extractor: {source}", source=source), fontsize=9)
    _legend(figure, panels[0].cells, floor_label(language) if has_floor else "")
    return [figure]


def _legend(figure: Figure, cells: Sequence[CellCurve], floor: str) -> None:
    handles = [cell.style.line() for cell in cells]
    labels = [wrapped(cell.label, 30, 3, cell.mark) for cell in cells]
    if floor:
        handles.append(floor_line())
        labels.append(floor)
    figure.legend(handles, labels, loc="outside right upper", handlelength=3.4)
