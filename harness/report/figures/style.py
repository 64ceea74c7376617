"""How figures look: one style per cell in the whole report, panels in pages, and PNG bytes that repeat exactly."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Literal, TypeVar

import matplotlib
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from harness.report.figures.fonts import families, shown
from harness.report.palette import BASELINE, OTHERS

DPI = 150
PANELS_PER_PAGE = 12
PANEL_COLUMNS = 3
PANEL_WIDTH = 3.3
"""Inches."""
TITLE_WIDTH = 34
"""Letters that fit over one panel."""
MOST_STEP_TICKS = 5
"""Besides 0."""
WIDE = 10.0
"""Values that span more than this factor are shown on a logarithmic axis."""
MANY_TICKS = 100.0
"""A factor from which a logarithmic axis labels its powers of ten alone."""
GRAY = "#555555"
PALE = "#c8c8c8"

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
_DASHES: tuple[tuple[float, ...], ...] = (
    (), (5, 2), (1, 1.5), (6, 1.5, 1, 1.5), (11, 3), (3, 1.2, 1, 1.2, 1, 1.2), (1, 3.5), (9, 2, 3, 2),
)  # fmt: skip
_BREAKS = tuple(re.compile(rf"(?<={mark})") for mark in (", ", r"[\s,;]", r"[\s,;=/_-]"))
"""Where a label may be broken, the best places first."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class CellStyle:
    """Color, marker and dashes (on and off lengths; empty: solid) of one cell; the latter two tell cells in gray."""

    color: str
    marker: str
    dashes: tuple[float, ...]

    def line(self) -> Line2D:
        """A legend's handle."""
        handle = Line2D([], [], color=self.color, marker=self.marker, markersize=5)
        if self.dashes:
            handle.set_dashes(self.dashes)
        return handle


def cell_styles(are_baseline: Sequence[bool]) -> list[CellStyle]:
    """One style per cell, in the report's order: the baseline black and solid; pairs repeat after 56 cells."""
    styles = []
    others = 0
    for is_baseline in are_baseline:
        if is_baseline:
            styles.append(CellStyle(BASELINE, "o", ()))
            continue
        color = OTHERS[others % len(OTHERS)]
        mark = (others + 1) % len(_MARKERS)
        styles.append(CellStyle(color, _MARKERS[mark], _DASHES[mark]))
        others += 1
    return styles


@contextmanager
def figure_style() -> Iterator[None]:
    """Fonts, sizes and grid for drawing and saving, inside the block only. Labels are text, never mathematics."""
    style = {
        **sns.axes_style("whitegrid"),
        "font.family": families(),
        "font.size": 9,
        "axes.titlesize": 9,
        "axes.titley": 1.0,  # else it is searched for, at a sixth of the time of many panels
        "axes.labelsize": 9,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8.5,
        "legend.frameon": False,
        "axes.edgecolor": "#888888",
        "grid.color": "#e4e4e4",
        "text.parse_math": False,
        "figure.facecolor": "white",
        "figure.dpi": DPI,
        "savefig.dpi": DPI,
    }
    with matplotlib.rc_context(style):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An Agg figure of that size in inches; its layout keeps titles, labels and legends apart."""
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(h_pad=0.08, w_pad=0.08))
    FigureCanvasAgg(figure)
    return figure


def pages(items: Sequence[Item], size: int = PANELS_PER_PAGE) -> list[Sequence[Item]]:
    """`items` in runs of at most `size`."""
    return [items[start : start + size] for start in range(0, len(items), size)]


def panel_grid(
    count: int,
    panel_height: float,
    columns: int = PANEL_COLUMNS,
    panel_width: float = PANEL_WIDTH,
    legend_height: float = 0.8,
) -> tuple[Figure, list[Axes]]:
    """A figure with `count` panels, row by row, and a legend over them, in inches; surplus places stay empty."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = new_figure(max(panel_width * columns, 5.2), panel_height * rows + legend_height)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for surplus in axes[count:]:
        surplus.remove()
    return figure, axes[:count]


def top_legend(figure: Figure, handles: Sequence[Line2D | tuple[Line2D, ...]], labels: Sequence[str]) -> None:
    """One legend over all axes, in as many columns as the width holds, its rows filled alike.

    A handle of several lines is drawn as these side by side.
    """
    most = max(1, int(figure.get_figwidth() // 2.4))
    columns = ceil(len(labels) / ceil(len(labels) / most)) if labels else 1
    beside = {tuple: HandlerTuple(ndivide=None, pad=0.0)}
    figure.legend(  # type: ignore[call-overload]  # its handler takes tuples
        handles, labels, loc="outside upper center", ncols=columns, handlelength=2.6, handler_map=beside
    )


def cell_title(axes: Axes, label: str, style: CellStyle) -> None:
    """The cell's name over its panel, under a rule in the cell's color."""
    axes.set_title(label, color="black", pad=6)
    axes.spines["top"].set(color=style.color, linewidth=3)


def empty_panel(axes: Axes, reason: str) -> None:
    """Says in an otherwise empty panel why it is empty."""
    axes.set(xticks=[], yticks=[])
    axes.text(0.5, 0.5, wrapped(reason, 30, 5), transform=axes.transAxes, ha="center", va="center", color=GRAY)


def step_axis(axes: Axes, ticks: Sequence[int]) -> None:
    """Ticks at `ticks`, in plain numbers."""
    axes.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def round_steps(end: int) -> list[int]:
    """0 and at most five round numbers after it, evenly spaced, of which the last is as near to `end` as can be."""
    if end < 3:
        return list(range(end + 1))
    power = 10 ** (len(str(end)) - 2) if end >= 10 else 1
    apart = {int(mantissa * power) for mantissa in (1, 2, 2.5, 3, 4, 5, 10, 20, 25, 30)}
    fitting = [one for one in apart if 3 <= end // one <= MOST_STEP_TICKS]
    best = min(fitting, key=lambda one: (end % one, -one))
    return list(range(0, end + 1, best))


def span(values: Sequence[float]) -> float:
    """How many times the largest of positive values is the smallest; 1 where one is not positive or there are none."""
    return max(values) / min(values) if values and min(values) > 0 else 1.0


def log_axis(axes: Axes, name: Literal["x", "y"], factor: float) -> None:
    """Makes an axis logarithmic, labeled in plain numbers; factor: that its values span."""
    axis = axes.xaxis if name == "x" else axes.yaxis
    axes.set_xscale("log") if name == "x" else axes.set_yscale("log")
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if factor < MANY_TICKS else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def wrapped(label: str, width: int, lines: int = 3, mark: str = "") -> str:
    """`label` in lines of at most `width` letters (wide letters count two).

    Broken behind ", " where that suffices, else behind blanks , ; and, last, behind = / _ - . More than `lines` lines
    are cut with an ellipsis and `mark`, by which the whole name can be found; so is a name whose letters no font has.
    """
    text = shown(" ".join(label.split()), mark)
    rows = [""]
    for first in range(len(_BREAKS)):
        rows = [""]
        _fill(rows, text, width, _BREAKS[first:])
        if len(rows) <= lines:
            break
    rows = [row.strip() for row in rows]
    if len(rows) > lines:
        tail = f"… {mark}".rstrip()
        last = rows[lines - 1]
        while _letters(last + tail) > width:
            last = last[:-1]
        rows = [*rows[: lines - 1], last + tail]
    return "\n".join(rows)


def _fill(rows: list[str], text: str, width: int, breaks: Sequence[re.Pattern[str]]) -> None:
    """Appends `text` to `rows`, broken at the first of `breaks`; what is too long for a row, at the next."""
    for piece in breaks[0].split(text):
        length = _letters(piece.rstrip())
        if length > width and len(breaks) > 1:
            _fill(rows, piece, width, breaks[1:])
            continue
        for letters in _chunks(piece, width):
            if _letters(rows[-1] + letters.rstrip()) > width:
                rows.append("")
            rows[-1] += letters


def _chunks(piece: str, width: int) -> list[str]:
    chunks = [""]
    for letter in piece:
        if _letters(chunks[-1] + letter) > width and not letter.isspace():
            chunks.append("")
        chunks[-1] += letter
    return chunks


def _letters(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
