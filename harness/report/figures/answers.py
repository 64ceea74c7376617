"""D(x), and D(G(z)) before and after the discriminator's update, for each cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.analysis.curves import Array
from harness.report.figures.style import empty_panel, figure_style, pages, panel_grid, top_legend
from harness.report.figures.thinning import FEW_POINTS, MOST_POINTS, thinned
from harness.report.figures.training import TrainingPanel, in_colors, last_step, panel_title, steps_to
from harness.report.language import ENGLISH, Language

BEFORE = "#9a9a9a"
AFTER = "#7a0177"
"""As dark as no cell's color is, so that before and after are told apart by lightness, too."""


@dataclass(frozen=True)
class _Look:
    """Of one curve of answers; color: empty where it is the cell's. on: dashes and gaps, empty where solid."""

    color: str
    width: float
    dashes: tuple[float, ...] = ()

    def line(self, color: str) -> Line2D:
        line = Line2D([], [], color=self.color or color, linewidth=self.width)
        if self.dashes:
            line.set_dashes(self.dashes)
        return line


_LOOKS = {
    "prob/real": _Look("", 1.6),
    "prob/fake_before": _Look(BEFORE, 2.6),  # wide and pale, under the dark dashes of the same after the update
    "prob/fake_after": _Look(AFTER, 1.3, (3.0, 1.5)),
}
ANSWERS = tuple(_LOOKS)


@figure_style()
def answer_curves(panels: Sequence[TrainingPanel], language: Language = ENGLISH) -> list[Figure]:
    """Three smoothed curves of answers for each cell, recorded ones pale behind them; 12 panels to a page.

    Of other seeds there is D(x), thin.
    """
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
    if panel.smooth_curves is not None:
        for metric in _LOOKS:
            _recorded(axes, panel, panel.curves, metric)
    for other in panel.other_curves:
        axes.plot(*thinned(other["step"], other["prob/real"], FEW_POINTS), color=panel.style.color, linewidth=0.6)
    _curves(axes, panel, panel.smooth_curves or panel.curves)
    axes.set_ylim(-0.03, 1.03)
    axes.set_yticks(np.linspace(0, 1, 5))
    steps_to(axes, end)


def _recorded(axes: Axes, panel: TrainingPanel, curves: Mapping[str, Array], metric: str) -> None:
    if metric in curves:
        color = _LOOKS[metric].color or panel.style.color
        axes.plot(*thinned(curves["step"], curves[metric], MOST_POINTS), color=color, linewidth=0.5, alpha=0.25)


def _curves(axes: Axes, panel: TrainingPanel, curves: Mapping[str, Array]) -> None:
    for metric, look in _LOOKS.items():
        if metric in curves:
            line = look.line(panel.style.color)
            line.set_data(*thinned(curves["step"], curves[metric], MOST_POINTS))
            axes.add_line(line)


def _handles(page: Sequence[TrainingPanel], language: Language) -> dict[str, Line2D | tuple[Line2D, ...]]:
    handles: dict[str, Line2D | tuple[Line2D, ...]] = {
        language.say("D(x), real images (cell's color)"): in_colors(page, 1.6),
        language.say("D(G(z)) before D's update"): _LOOKS["prob/fake_before"].line(""),
        language.say("D(G(z)) after D's update"): _LOOKS["prob/fake_after"].line(""),
    }
    if any(panel.other_curves for panel in page):
        handles[language.say("D(x) of other seeds")] = in_colors(page, 0.6)
    if any(panel.smooth_curves for panel in page):
        handles[language.say("recorded (raw)")] = Line2D([], [], color=BEFORE, linewidth=0.5, alpha=0.5)
    return handles | {"1/2": Line2D([], [], color="black", linewidth=0.8, linestyle=":")}
