"""D(x), and D(G(z)) before and after the discriminator's update, for each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.analysis.curves import Array
from harness.report.figures.style import GRAY, empty_panel, figure_style, pages, panel_grid, top_legend
from harness.report.figures.thinning import FEW_POINTS, MOST_POINTS, thinned
from harness.report.figures.training import TrainingPanel, in_colors, last_step, panel_title, steps_to
from harness.report.language import ENGLISH, Language

_DASHES: dict[str, Literal["-", "--", ":"]] = {"prob/real": "-", "prob/fake_before": "--", "prob/fake_after": ":"}
ANSWERS = tuple(_DASHES)


@figure_style()
def answer_curves(panels: Sequence[TrainingPanel], language: Language = ENGLISH) -> list[Figure]:
    """Three curves of answers for each cell against 1/2, those of other seeds thin; 12 panels to a page."""
    return [_page(page, last_step(panels), language) for page in pages(panels)]


def _page(page: Sequence[TrainingPanel], end: int, language: Language) -> Figure:
    figure, all_axes = panel_grid(len(page), panel_height=2.5)
    for axes, panel in zip(all_axes, page, strict=True):
        panel_title(axes, panel, language)
        _cell(axes, panel, end)
    figure.supxlabel(language.say("step"), fontsize=9)
    figure.supylabel(language.say("mean output of D"), fontsize=9)
    handles = _handles(page, language)
    top_legend(figure, list(handles.values()), list(handles))
    return figure


def _cell(axes: Axes, panel: TrainingPanel, end: int) -> None:
    if panel.curves is None:
        empty_panel(axes, panel.missing)
        return
    axes.axhline(0.5, color="black", linewidth=0.8, linestyle=":")
    for other in panel.other_curves:
        _curves(axes, panel, other, 0.6, FEW_POINTS)
    _curves(axes, panel, panel.curves, 1.4, MOST_POINTS)
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks(np.linspace(0, 1, 5))
    steps_to(axes, end)


def _curves(axes: Axes, panel: TrainingPanel, curves: Mapping[str, Array], width: float, points: int) -> None:
    for metric, dash in _DASHES.items():
        if metric in curves:
            color = panel.style.color if metric == "prob/real" else GRAY
            steps, values = thinned(curves["step"], curves[metric], points)
            axes.plot(steps, values, color=color, linewidth=width, linestyle=dash)


def _handles(page: Sequence[TrainingPanel], language: Language) -> dict[str, Line2D | tuple[Line2D, ...]]:
    def gray(metric: str) -> Line2D:
        return Line2D([], [], color=GRAY, linewidth=1.4, linestyle=_DASHES[metric])

    handles: dict[str, Line2D | tuple[Line2D, ...]] = {
        language.say("D(x), real images (cell's color)"): in_colors(page, 1.4),
        language.say("D(G(z)) before D's update"): gray("prob/fake_before"),
        language.say("D(G(z)) after D's update"): gray("prob/fake_after"),
    }
    if any(panel.other_curves for panel in page):
        handles[language.say("other seeds")] = in_colors(page, 0.6)
    return handles | {"1/2": Line2D([], [], color="black", linewidth=0.8, linestyle=":")}
