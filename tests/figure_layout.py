"""Finds what overlaps or leaves the figure, from the bounding boxes that the renderer itself reports."""

from __future__ import annotations

from itertools import combinations

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

SLACK = 1.0
"""Pixels that boxes may share: rounding."""


def layout_defects(figure: Figure) -> list[str]:
    """What is wrong with the layout of `figure`, one line each; empty where nothing is.

    Texts may not overlap one another, legends not axes, axes not each other, and all lie inside the figure.
    """
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    figure.draw_without_rendering()
    renderer = canvas.get_renderer()
    inside = Bbox.from_bounds(0, 0, figure.bbox.width, figure.bbox.height)
    legends = [("legend", legend.get_window_extent(renderer)) for legend in figure.legends]
    panels = [(f"axes {index}", axes.get_window_extent(renderer)) for index, axes in enumerate(figure.axes)]
    texts = [(repr(text.get_text()), text.get_window_extent(renderer)) for text in _texts(figure)]
    defects = [f"{name} leaves the figure" for name, box in [*legends, *panels, *texts] if not _holds(inside, box)]
    for (one, box), (other, other_box) in [
        *combinations(texts, 2),
        *combinations(panels, 2),
        *combinations(legends, 2),
        *((legend, panel) for legend in legends for panel in panels),
        *((text, panel) for text in _outside_texts(figure, renderer) for panel in panels),
    ]:
        if _overlap(box, other_box):
            defects.append(f"{one} overlaps {other}")
    return defects


def _texts(figure: Figure) -> list[Text]:
    """Every visible text: of the figure, its legends, and titles, labels and ticks of its axes."""
    found = [*figure.texts, *(text for legend in figure.legends for text in legend.get_texts())]
    found += [text for text in (figure._supxlabel, figure._supylabel, figure._suptitle) if text]  # type: ignore[attr-defined]
    found += [part._suptitle for part in figure.subfigs if part._suptitle]  # type: ignore[attr-defined]
    for axes in figure.axes:
        found += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts, *_ticks(axes)]
    return [text for text in dict.fromkeys(found) if text.get_visible() and text.get_text().strip()]


def _ticks(axes: Axes) -> list[Text]:
    low, high = sorted(axes.get_ylim())
    left, right = sorted(axes.get_xlim())
    drawn = [text for text in axes.get_xticklabels() if left <= text.get_position()[0] <= right]
    return drawn + [text for text in axes.get_yticklabels() if low <= text.get_position()[1] <= high]


def _outside_texts(figure: Figure, renderer: object) -> list[tuple[str, Bbox]]:
    """Titles, labels and legend texts, which belong beside the axes and never over one."""
    inner = {text for axes in figure.axes for text in axes.texts}
    return [
        (repr(text.get_text()), text.get_window_extent(renderer))  # type: ignore[arg-type]
        for text in _texts(figure)
        if text not in inner
    ]


def _holds(outer: Bbox, box: Bbox) -> bool:
    return bool(
        box.x0 >= outer.x0 - SLACK
        and box.y0 >= outer.y0 - SLACK
        and box.x1 <= outer.x1 + SLACK
        and box.y1 <= outer.y1 + SLACK
    )


def _overlap(one: Bbox, other: Bbox) -> bool:
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return bool(width > SLACK and height > SLACK)
