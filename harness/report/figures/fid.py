"""A metric against the step, and at the last checkpoint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.analysis.summary import Measurement
from harness.report.figures.style import (
    GRAY,
    MOST_STEP_TICKS,
    PALE,
    TITLE_WIDTH,
    WIDE,
    CellStyle,
    cell_title,
    empty_panel,
    figure_style,
    log_axis,
    new_figure,
    pages,
    panel_grid,
    round_steps,
    span,
    step_axis,
    top_legend,
    wrapped,
)

MOST_LINES = 8
"""Cells that one panel can hold; more get a panel each."""
FARTHEST_FLOOR = 3.0
"""Ranges of the values that a floor may lie off them: farther, and it would press the values together."""
ROWS_PER_PAGE = 40
FLOOR_LABEL = "real images against\nreal images"


@dataclass(frozen=True)
class CellCurve:
    """One cell's measurements of one metric, ascending in step. mark: `#7`, its number in the tables."""

    label: str
    mark: str
    style: CellStyle
    points: Sequence[Measurement]


@dataclass(frozen=True)
class LastValues:
    """One cell at its last checkpoint: every repeat's value by seed; empty where nothing was measured."""

    label: str
    mark: str
    style: CellStyle
    is_baseline: bool
    values: dict[int, Sequence[float]]


@figure_style()
def against_step(cells: Sequence[CellCurve], title: str, floor: float | None = None) -> list[Figure]:
    """`title` against the step: mean over seeds, the band from the lowest to the highest seed.

    Up to eight cells share one panel; more get one each, with the others pale behind it, 12 to a page. floor: real
    images against real images, a dotted line where it is in view.
    """
    values = [mean for cell in cells for point in cell.points for mean in point.seed_means]
    factor = span(values)
    line = floor if floor is not None and is_in_view(floor, values) else None
    if len(cells) <= MOST_LINES:
        return [_one_panel(cells, title, factor, line)]
    return [_many_panels(page, cells, title, factor, line) for page in pages(cells)]


def is_in_view(floor: float, values: Sequence[float]) -> bool:
    """Whether a floor can be drawn beside `values`: at most three of their ranges off them, as their axis is scaled."""
    if not values:
        return False
    low, high = min(values), max(values)
    if span(values) > WIDE:
        if floor <= 0:
            return False
        floor, low, high = math.log(floor), math.log(low), math.log(high)
    return max(low - floor, floor - high) <= FARTHEST_FLOOR * (high - low)


def floor_line() -> Line2D:
    """A legend's handle of the floor."""
    return Line2D([], [], color=GRAY, linewidth=1, linestyle=":")


def draw_floor(axes: Axes, floor: float) -> None:
    """A dotted line across a panel."""
    axes.axhline(floor, color=GRAY, linewidth=1, linestyle=":")


def _one_panel(cells: Sequence[CellCurve], title: str, factor: float, floor: float | None) -> Figure:
    figure = new_figure(8.4, max(4.2, 0.55 * len(cells)))
    axes = figure.subplots()
    for cell in cells:
        curve(axes, cell)
    step_and_value(axes, cells, factor)
    axes.set(xlabel="step", ylabel=_axis_label(title, factor))
    labels = [
        wrapped(cell.label if cell.points else f"{cell.label} (not measured)", 30, 3, cell.mark) for cell in cells
    ]
    handles = [cell.style.line() for cell in cells]
    if floor is not None:
        draw_floor(axes, floor)
        handles.append(floor_line())
        labels.append(FLOOR_LABEL)
    figure.legend(handles, labels, loc="outside right upper", handlelength=3.4)
    return figure


def _many_panels(
    page: Sequence[CellCurve], cells: Sequence[CellCurve], title: str, factor: float, floor: float | None
) -> Figure:
    figure, panels = panel_grid(len(page), panel_height=2.3)
    for axes, cell in zip(panels, page, strict=True):
        cell_title(axes, wrapped(cell.label, TITLE_WIDTH, 3, cell.mark), cell.style)
        if not cell.points:
            empty_panel(axes, "not measured")
            continue
        for other in cells:
            axes.plot([p.step for p in other.points], [p.mean for p in other.points], color=PALE, linewidth=0.7)
        curve(axes, cell)
        if floor is not None:
            draw_floor(axes, floor)
        step_and_value(axes, cells, factor)
    drawn = [axes for axes, cell in zip(panels, page, strict=True) if cell.points]
    for axes in drawn[1:]:
        axes.sharex(drawn[0])
        axes.sharey(drawn[0])
    figure.supxlabel("step", fontsize=9)
    figure.supylabel(_axis_label(title, factor), fontsize=9)
    handles = [Line2D([], [], color="black", linewidth=1.8), Line2D([], [], color=PALE, linewidth=1)]
    labels = ["the panel's cell, in its color", "the other cells"]
    if floor is not None:
        handles.append(floor_line())
        labels.append(FLOOR_LABEL)
    top_legend(figure, handles, labels)
    return figure


def curve(axes: Axes, cell: CellCurve) -> None:
    """One cell's line of means over seeds, and the band from the lowest to the highest seed."""
    steps = [point.step for point in cell.points]
    low = [min(point.seed_means) for point in cell.points]
    high = [max(point.seed_means) for point in cell.points]
    axes.fill_between(steps, low, high, color=cell.style.color, alpha=0.15, linewidth=0)
    (line,) = axes.plot(
        steps,
        [point.mean for point in cell.points],
        color=cell.style.color,
        marker=cell.style.marker,
        markersize=5,
        linewidth=1.6,
    )
    if cell.style.dashes:
        line.set_dashes(cell.style.dashes)


def step_and_value(axes: Axes, cells: Sequence[CellCurve], factor: float) -> None:
    """Ticks at the measured steps, and a logarithmic axis of values that span a wide factor."""
    steps = sorted({point.step for cell in cells for point in cell.points})
    step_axis(axes, steps if len(steps) <= MOST_STEP_TICKS else round_steps(steps[-1]))
    if factor > WIDE:
        log_axis(axes, "y", factor)


@figure_style()
def at_last(cells: Sequence[LastValues], title: str, pooled: bool = False) -> list[Figure]:
    """`title` at the last checkpoint, a row per cell: every repeat a tick, every seed's mean a dot, their mean a bar.

    The baseline's mean over seeds is a vertical line. 40 rows to a page. pooled: whether each seed has one value of all
    its repeats together, so that there are no ticks.
    """
    everything = [value for cell in cells for values in cell.values.values() for value in values]
    baseline = next((_mean_over_seeds(cell) for cell in cells if cell.is_baseline and cell.values), None)
    return [_rows(page, title, baseline, everything, pooled) for page in pages(cells, ROWS_PER_PAGE)]


def _rows(
    cells: Sequence[LastValues], title: str, baseline: float | None, everything: Sequence[float], pooled: bool
) -> Figure:
    figure = new_figure(8.4, 1.5 + 0.42 * len(cells))
    axes = figure.subplots()
    for row, cell in enumerate(cells):
        _row(axes, row, cell, pooled)
    if baseline is not None:
        axes.axvline(baseline, color="black", linewidth=1, linestyle="--", zorder=1)
    names = [wrapped(cell.label, 36, 2, cell.mark) for cell in cells]
    axes.set_yticks(range(len(cells)), names)
    axes.set_ylim(len(cells) - 0.5, -0.5)
    axes.set_xlabel(_axis_label(title, span(everything)))
    if everything:
        margin = 0.05 * (max(everything) - min(everything)) or 0.05 * abs(everything[0]) or 1.0
        if span(everything) > WIDE:
            log_axis(axes, "x", span(everything))
            axes.set_xlim(min(everything) / 1.15, max(everything) * 1.15)
        else:
            axes.set_xlim(min(everything) - margin, max(everything) + margin)
    else:
        axes.set_xticks([])
    marks = _marks(pooled, any(len(cell.values) > 1 for cell in cells), baseline is not None)
    figure.legend(list(marks.values()), list(marks), loc="outside upper center", ncols=2, handlelength=2.2)
    return figure


def _marks(pooled: bool, several_seeds: bool, has_baseline: bool) -> dict[str, Line2D]:
    """The legend's handles by label."""
    dot = Line2D([], [], color=GRAY, marker="o", markersize=5, linestyle="")
    if pooled:
        marks = {"one seed, its repeats together": dot}
    else:
        tick = Line2D([], [], color=GRAY, marker="|", markersize=9, linestyle="")
        marks = {"one repeat": tick, "mean of one seed's repeats": dot}
    if several_seeds:
        bar = Line2D([], [], color="black", marker="|", markersize=13, markeredgewidth=1.2, linestyle="")
        marks["mean over seeds"] = bar
    if has_baseline:
        marks["the baseline's mean"] = Line2D([], [], color="black", linewidth=1, linestyle="--")
    return marks


def _row(axes: Axes, row: int, cell: LastValues, pooled: bool) -> None:
    if not cell.values:
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        place = axes.get_yaxis_transform()
        axes.text(0.02, row, "not measured", transform=place, va="center", color=GRAY, bbox=behind)
        return
    height = min(0.26, 0.6 / len(cell.values))
    for index, values in enumerate(cell.values.values()):
        y = row + (index - (len(cell.values) - 1) / 2) * height
        color, mean = cell.style.color, sum(values) / len(values)
        ticks = [] if pooled else values
        axes.plot(ticks, [y] * len(ticks), color=color, marker="|", markersize=11, linestyle="", alpha=0.6, zorder=3)
        axes.plot(
            mean, y, color=color, marker=cell.style.marker, markersize=5.5, markeredgecolor="white",
            markeredgewidth=0.6, linestyle="", zorder=4,
        )  # fmt: skip
    if len(cell.values) > 1:  # under the dots, which their white edge sets apart from it
        axes.vlines(_mean_over_seeds(cell), row - 0.36, row + 0.36, color="black", linewidth=1.2, zorder=2)


def _axis_label(title: str, factor: float) -> str:
    return f"{title}, log scale" if factor > WIDE else title


def _mean_over_seeds(cell: LastValues) -> float:
    means = [sum(values) / len(values) for values in cell.values.values()]
    return sum(means) / len(means)
