"""Differences to the baseline as a forest plot, and interactions of two factors as lines that are parallel or not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from harness.analysis.statistics import Verdict
from harness.report.figures.style import (
    GRAY,
    WIDE,
    cell_styles,
    figure_style,
    log_axis,
    new_figure,
    pages,
    panel_grid,
    span,
    wrapped,
)

ROWS_PER_PAGE = 30
MOST_PANELS = 6
"""Pairs of factors whose interaction is drawn."""
FLATTEST = 3.0
"""Times the range of one panel's values that an axis of all panels may span."""
WIDTH_OF_LEGEND = 60
"""Letters that fit under a panel."""
_DECADES = tuple(10.0**power for power in range(-4, 5))
_HALVES = tuple(digit * 10.0**power for power in range(-4, 5) for digit in (2, 5))
_NEAR = (0.3, 0.7, 0.8, 0.9, 1.1, 1.25, 1.5, 3.0, 30.0)
"""Ratios that an axis is labeled with, the roundest first."""
_MOST_TICKS = 9

Look = Literal["closer", "farther", "other", "open", "reference"]
_LOOKS: Mapping[Look, tuple[str, str, str]] = {
    "closer": ("#0173b2", "o", "#0173b2"),
    "farther": ("#d55e00", "s", "#d55e00"),
    "other": (GRAY, "D", GRAY),
    "open": (GRAY, "o", "white"),
    "reference": ("black", "|", "black"),
}
"""Line's color, marker, marker's filling; the marker tells them in gray print."""


@dataclass(frozen=True)
class ForestRow:
    """One cell's difference to the baseline, on the analysis scale; the baseline itself stands at 0.

    note: stands in the place of what is missing.
    text: the numbers, to the right of the row. low, high: None with one seed.
    """

    label: str
    mark: str
    verdict: Verdict
    estimate: float | None
    low: float | None
    high: float | None
    text: str
    note: str = ""


@dataclass(frozen=True)
class ForestLabels:
    """What stands on the axes and in the legend. verdicts: by verdict, as the legend says it."""

    axis: str
    baseline: str
    verdicts: Mapping[Verdict, str]


@dataclass(frozen=True)
class InteractionPanel:
    """Two crossed factors. levels: of the first, along the axis; lines: by level of the second, the mean at each of
    them, and every seed's value. note: the interaction in numbers, under the title.

    means, points: values in the metric's unit.
    """

    title: str
    xlabel: str
    levels: tuple[str, ...]
    lines: Mapping[str, Sequence[float]]
    points: Mapping[str, Sequence[Sequence[float]]]
    note: str = ""


def look_of(verdict: Verdict) -> Look:
    """helps and hurts stand out; what nobody knows is pale, and one seed is an open circle."""
    match verdict:
        case "helps":
            return "closer"
        case "hurts":
            return "farther"
        case "one seed":
            return "open"
        case "baseline":
            return "reference"
        case _:
            return "other"


@figure_style()
def forest(rows: Sequence[ForestRow], labels: ForestLabels, *, is_log: bool) -> list[Figure]:
    """Estimates with their 95 % intervals, a row per cell, against a line for the baseline; 30 rows to a page.

    is_log: differences are logs of ratios, shown on a logarithmic axis of ratios. An interval that leaves the axis
    ends in an arrow.
    """
    limits = _limits(rows, is_log)
    return [_forest_page(page, rows, labels, limits, is_log=is_log) for page in pages(rows, ROWS_PER_PAGE)]


def _forest_page(
    page: Sequence[ForestRow],
    rows: Sequence[ForestRow],
    labels: ForestLabels,
    limits: tuple[float, float],
    *,
    is_log: bool,
) -> Figure:
    figure = new_figure(8.4, 1.5 + 0.36 * len(page))
    axes = figure.subplots()
    for place, row in enumerate(page):
        _forest_row(axes, place, row, limits)
    axes.axvline(0, color="black", linewidth=1, linestyle="--", zorder=1)
    axes.set_xlim(limits)
    axes.set_ylim(len(page) - 0.5, -0.5)
    axes.set_yticks(range(len(page)), [wrapped(row.label, 34, 2, row.mark) for row in page])
    axes.set_xlabel(labels.axis)
    if is_log:
        ticks = _ratio_ticks(limits)
        axes.xaxis.set_major_locator(FixedLocator([math.log(tick) for tick in ticks]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{math.exp(value):.3g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    numbers = axes.secondary_yaxis("right")
    numbers.set_yticks(range(len(page)), [row.text for row in page])
    numbers.tick_params(length=0, pad=9)
    numbers.spines["right"].set_visible(False)
    handles, names = [Line2D([], [], color="black", linewidth=1, linestyle="--")], [labels.baseline]
    for verdict, name in labels.verdicts.items():
        if any(row.verdict == verdict and row.estimate is not None for row in rows):
            color, marker, fill = _LOOKS[look_of(verdict)]
            width = 0 if verdict == "one seed" else 1.8
            handles.append(
                Line2D([], [], color=color, marker=marker, markersize=6, markerfacecolor=fill, linewidth=width)
            )
            names.append(name)
    figure.legend(handles, names, loc="outside upper center", ncols=len(names), handlelength=2.2, columnspacing=1.4)
    return figure


def _forest_row(axes: Axes, place: int, row: ForestRow, limits: tuple[float, float]) -> None:
    color, marker, fill = _LOOKS[look_of(row.verdict)]
    if row.estimate is None:
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        place_of_text = axes.get_yaxis_transform()
        axes.text(0.02, place, row.note, transform=place_of_text, va="center", color=GRAY, fontsize=8, bbox=behind)
        return
    if row.low is not None and row.high is not None:
        low, high = max(row.low, limits[0]), min(row.high, limits[1])
        if low < high:
            axes.hlines(place, low, high, color=color, linewidth=1.8, zorder=2)
        for end, arrow in ((row.low, "<"), (row.high, ">")):
            if not limits[0] <= end <= limits[1]:
                at = limits[0] if end < limits[0] else limits[1]
                axes.plot(at, place, color=color, marker=arrow, markersize=7, linestyle="", clip_on=False, zorder=3)
    axes.plot(
        row.estimate, place, color=color, marker=marker, markersize=7, markerfacecolor=fill, markeredgecolor=color,
        linestyle="", zorder=4,
    )  # fmt: skip


def _limits(rows: Sequence[ForestRow], is_log: bool) -> tuple[float, float]:
    """Of the axis: all estimates and 0, and intervals as far as they do not press these together."""
    estimates = [row.estimate for row in rows if row.estimate is not None]
    low, high = min([0.0, *estimates]), max([0.0, *estimates])
    room = max(0.6 * (high - low), math.log(1.5) if is_log else 0.0)
    ends = [end for row in rows for end in (row.low, row.high) if end is not None]
    low, high = max(min([low, *ends]), low - room), min(max([high, *ends]), high + room)
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def _ratio_ticks(limits: tuple[float, float]) -> list[float]:
    """Round ratios inside the axis, spread over it, 1 among them."""
    apart = (limits[1] - limits[0]) / _MOST_TICKS
    ticks = [1.0]
    for ratios in (_DECADES, _HALVES, _NEAR):
        for ratio in sorted(ratios, key=lambda ratio: abs(math.log(ratio))):
            is_inside = limits[0] <= math.log(ratio) <= limits[1]
            if is_inside and all(abs(math.log(ratio / tick)) >= apart for tick in ticks):
                ticks.append(ratio)
    return sorted(ticks)


@figure_style()
def interactions(panels: Sequence[InteractionPanel], ylabel: str, *, is_log: bool) -> list[Figure]:
    """One panel for each pair of factors: lines that are parallel show that one's effect is the same at the other's
    levels. Panels share the vertical axis unless that presses one of them flat. is_log: effects are ratios, so that
    it is logarithmic."""
    if not panels:
        return []
    shown = panels[:MOST_PANELS]
    columns = min(2, len(shown))
    figure, grid = panel_grid(len(shown), 3.5, columns=columns, panel_width=4.2, legend_height=0.0)
    together = _range([value for panel in shown for value in _values(panel)], is_log)
    alone = [_range(_values(panel), is_log) for panel in shown]
    is_shared = all(_length(together, is_log) <= FLATTEST * _length(one, is_log) for one in alone)
    for index, (axes, panel) in enumerate(zip(grid, shown, strict=True)):
        _interaction(axes, panel)
        _value_axis(axes, together if is_shared else alone[index], is_log=is_log)
        if index % columns == 0 or not is_shared:
            axes.set_ylabel(ylabel)
    return [figure]


def _interaction(axes: Axes, panel: InteractionPanel) -> None:
    styles = cell_styles([index == 0 for index in range(len(panel.lines))])
    places = range(len(panel.levels))
    for index, (style, (name, means)) in enumerate(zip(styles, panel.lines.items(), strict=True)):
        aside = 0.05 * (index - (len(panel.lines) - 1) / 2)
        (line,) = axes.plot(places, means, color=style.color, marker=style.marker, markersize=6, label=name)
        if style.dashes:
            line.set_dashes(style.dashes)
        for place, at in zip(places, panel.points[name], strict=True):
            axes.plot(
                [place + aside] * len(at), at, color=style.color, marker="o", markersize=3.5, linestyle="", alpha=0.5
            )
    axes.set_xticks(list(places), [wrapped(level, 14, 2) for level in panel.levels])
    axes.set_xlim(-0.3, len(panel.levels) - 0.7)
    axes.set_xlabel(panel.xlabel)
    axes.set_title("\n".join(filter(None, (wrapped(panel.title, 52, 2), panel.note))))
    widest = max(map(len, panel.lines), default=0)
    columns = min(len(panel.lines), max(1, int(WIDTH_OF_LEGEND // (widest + 8))))
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=columns, handlelength=2.4, columnspacing=1.2)


def _values(panel: InteractionPanel) -> list[float]:
    return [value for of_line in panel.points.values() for at in of_line for value in at]


def _range(values: Sequence[float], is_log: bool) -> tuple[float, float]:
    """With some room on either side."""
    low, high = min(values), max(values)
    if is_log:
        room = max(span(values), 1.2) ** 0.08
        return low / room, high * room
    room = 0.08 * (high - low) or 1.0
    return low - room, high + room


def _length(limits: tuple[float, float], is_log: bool) -> float:
    return math.log(limits[1] / limits[0]) if is_log else limits[1] - limits[0]


def _value_axis(axes: Axes, limits: tuple[float, float], *, is_log: bool) -> None:
    if is_log:
        log_axis(axes, "y", span(limits))
        if span(limits) < WIDE:  # too few round powers: plain round numbers
            ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(*limits)
            axes.yaxis.set_major_locator(FixedLocator([tick for tick in ticks if tick > 0]))
        axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylim(limits)
