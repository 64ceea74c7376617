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
from harness.report.language import ENGLISH, Language

MOST_LINES = 8
"""Cells that one panel can hold; more get a panel each."""
FARTHEST_FLOOR = 3.0
"""Ranges of the values that a floor may lie off them: farther, and it would press the values together."""
ROWS_PER_PAGE = 40


def floor_label(language: Language) -> str:
    """A legend's label of the floor, in two lines."""
    return language.say("real images against\nreal images")


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

    @property
    def mean(self) -> float:
        """Over seeds of each seed's mean over repeats; 0 where nothing was measured."""
        means = [sum(values) / len(values) for values in self.values.values()]
        return sum(means) / len(means) if means else 0.0


@figure_style()
def against_step(
    cells: Sequence[CellCurve],
    title: str,
    floor: float | None = None,
    language: Language = ENGLISH,
    shown: Sequence[CellCurve] | None = None,
) -> list[Figure]:
    """`title` against the step: mean over seeds, the band from the lowest to the highest seed.

    Up to eight cells share one panel; more get one each, with the others pale behind it, 12 to a page. shown: those
    that get one, by default all. floor: real images against real images, a dotted line where it is in view.
    """
    values = [mean for cell in cells for point in cell.points for mean in point.seed_means]
    factor = span(values)
    line = floor if floor is not None and is_in_view(floor, values) else None
    if len(cells) <= MOST_LINES:
        return [_one_panel(cells, _axis_label(title, factor, language), factor, line, language)]
    label = _axis_label(title, factor, language)
    return [_many_panels(page, cells, label, line, language) for page in pages(cells if shown is None else shown)]


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


def _one_panel(
    cells: Sequence[CellCurve], label: str, factor: float, floor: float | None, language: Language
) -> Figure:
    figure = new_figure(8.4, max(4.2, 0.55 * len(cells)))
    axes = figure.subplots()
    for cell in cells:
        curve(axes, cell)
    step_and_value(axes, cells, factor)
    axes.set(xlabel=language.say("step"), ylabel=label)
    names = [cell.label if cell.points else language.say("{cell} (not measured)", cell=cell.label) for cell in cells]
    labels = [wrapped(name, 30, 3, cell.mark) for name, cell in zip(names, cells, strict=True)]
    handles = [cell.style.line() for cell in cells]
    if floor is not None:
        draw_floor(axes, floor)
        handles.append(floor_line())
        labels.append(floor_label(language))
    figure.legend(handles, labels, loc="outside right upper", handlelength=3.4)
    return figure


def _many_panels(
    page: Sequence[CellCurve], cells: Sequence[CellCurve], label: str, floor: float | None, language: Language
) -> Figure:
    factor = span([mean for cell in cells for point in cell.points for mean in point.seed_means])
    figure, panels = panel_grid(len(page), panel_height=2.3)
    behind = _one_after_the_other(cells)
    for axes, cell in zip(panels, page, strict=True):
        cell_title(axes, wrapped(cell.label, TITLE_WIDTH, 3, cell.mark), cell.style)
        if not cell.points:
            empty_panel(axes, language.say("not measured"))
            continue
        axes.plot(*behind, color=PALE, linewidth=0.7)
        curve(axes, cell)
        if floor is not None:
            draw_floor(axes, floor)
        step_and_value(axes, cells, factor)
    drawn = [axes for axes, cell in zip(panels, page, strict=True) if cell.points]
    for axes in drawn[1:]:
        axes.sharex(drawn[0])
        axes.sharey(drawn[0])
    figure.supxlabel(language.say("step"), fontsize=9)
    figure.supylabel(label, fontsize=9)
    handles = [Line2D([], [], color="black", linewidth=1.8), Line2D([], [], color=PALE, linewidth=1)]
    labels = [language.say("the panel's cell, in its color"), language.say("the other cells")]
    if floor is not None:
        handles.append(floor_line())
        labels.append(floor_label(language))
    top_legend(figure, handles, labels)
    return figure


def _one_after_the_other(cells: Sequence[CellCurve]) -> tuple[list[float], list[float]]:
    """Steps and means of all cells as one line with gaps: a line of its own for each takes a minute for 100 cells."""
    steps = [step for cell in cells for step in (*(point.step for point in cell.points), math.nan)]
    means = [mean for cell in cells for mean in (*(point.mean for point in cell.points), math.nan)]
    return steps, means


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
def at_last(
    cells: Sequence[LastValues], title: str, pooled: bool = False, language: Language = ENGLISH
) -> list[Figure]:
    """`title` at the last checkpoint, a row per cell: every repeat a tick, every seed's mean a dot, their mean a bar.

    The baseline's mean over seeds is a vertical line. 40 rows to a page. pooled: whether each seed has one value of all
    its repeats together, so that there are no ticks.
    """
    everything = [value for cell in cells for values in cell.values.values() for value in values]
    baseline = next((cell.mean for cell in cells if cell.is_baseline and cell.values), None)
    label = _axis_label(title, span(everything), language)
    marks = _Marks(pooled, any(len(cell.values) > 1 for cell in cells), baseline)
    return [_rows(page, label, everything, marks, language) for page in pages(cells, ROWS_PER_PAGE)]


@dataclass(frozen=True)
class _Marks:
    """What is drawn. baseline: its mean over seeds, None where it has none; several_seeds: whether any cell has."""

    pooled: bool
    several_seeds: bool
    baseline: float | None


def _rows(
    cells: Sequence[LastValues], label: str, everything: Sequence[float], marks: _Marks, language: Language
) -> Figure:
    figure = new_figure(8.4, 1.5 + 0.42 * len(cells))
    axes = figure.subplots()
    for row, cell in enumerate(cells):
        _row(axes, row, cell, marks.pooled, language)
    if marks.baseline is not None:
        axes.axvline(marks.baseline, color="black", linewidth=1, linestyle="--", zorder=1)
    names = [wrapped(cell.label, 36, 2, cell.mark) for cell in cells]
    axes.set_yticks(range(len(cells)), names)
    axes.set_ylim(len(cells) - 0.5, -0.5)
    axes.set_xlabel(label)
    if everything:
        margin = 0.05 * (max(everything) - min(everything)) or 0.05 * abs(everything[0]) or 1.0
        if span(everything) > WIDE:
            log_axis(axes, "x", span(everything))
            axes.set_xlim(min(everything) / 1.15, max(everything) * 1.15)
        else:
            axes.set_xlim(min(everything) - margin, max(everything) + margin)
    else:
        axes.set_xticks([])
    handles = _handles(marks, language)
    figure.legend(list(handles.values()), list(handles), loc="outside upper center", ncols=2, handlelength=2.2)
    return figure


def _handles(marks: _Marks, language: Language) -> dict[str, Line2D]:
    """The legend's handles by label."""
    say = language.say
    dot = Line2D([], [], color=GRAY, marker="o", markersize=5, linestyle="")
    if marks.pooled:
        handles = {say("one seed, its repeats together"): dot}
    else:
        tick = Line2D([], [], color=GRAY, marker="|", markersize=9, linestyle="")
        handles = {say("one repeat"): tick, say("mean of one seed's repeats"): dot}
    if marks.several_seeds:
        bar = Line2D([], [], color="black", marker="|", markersize=13, markeredgewidth=1.2, linestyle="")
        handles[say("mean over seeds")] = bar
    if marks.baseline is not None:
        handles[say("the baseline's mean")] = Line2D([], [], color="black", linewidth=1, linestyle="--")
    return handles


def _row(axes: Axes, row: int, cell: LastValues, pooled: bool, language: Language) -> None:
    if not cell.values:
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        place = axes.get_yaxis_transform()
        axes.text(0.02, row, language.say("not measured"), transform=place, va="center", color=GRAY, bbox=behind)
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
        axes.vlines(cell.mean, row - 0.36, row + 0.36, color="black", linewidth=1.2, zorder=2)


def _axis_label(title: str, factor: float, language: Language) -> str:
    return language.say("{title}, log scale", title=title) if factor > WIDE else title
