"""Five curves for each cell: both losses, D(x), and D(G(z)) before and after the discriminator's update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.report.figures.style import GRAY, empty_panel, figure_style, new_figure, pages, top_legend
from harness.report.figures.thinning import thinned
from harness.report.figures.training import (
    TrainingPanel,
    draw_losses,
    last_step,
    loss_handles,
    loss_label,
    panel_title,
    steps_to,
)
from harness.report.language import ENGLISH, Language

CELLS_PER_PAGE = 6
_COLUMNS = 3
_DASHES: dict[str, Literal["-", "--", ":"]] = {"prob/real": "-", "prob/fake_before": "--", "prob/fake_after": ":"}
ANSWERS = tuple(_DASHES)


@figure_style()
def five_curves(panels: Sequence[TrainingPanel], language: Language = ENGLISH) -> list[Figure]:
    """The losses (raw and smoothed) over the answers, against ln 2 and 1/2; CELLS_PER_PAGE cells to a page."""
    return [_page(page, last_step(panels), language) for page in pages(panels, CELLS_PER_PAGE)]


def _page(page: Sequence[TrainingPanel], end: int, language: Language) -> Figure:
    columns = min(_COLUMNS, len(page))
    rows = -(-len(page) // columns)
    figure = new_figure(max(3.3 * columns, 6.6), 3.9 * rows + 1.1)
    axes = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[1.0, 0.9] * rows)
    for index, panel in enumerate(page):
        row, column = divmod(index, columns)
        _cell((axes[2 * row][column], axes[2 * row + 1][column]), panel, end, language)
        if column == 0:
            axes[2 * row][0].set_ylabel(loss_label(page, language))
            axes[2 * row + 1][0].set_ylabel(language.say("mean output of D"))
    for index in range(len(page), rows * columns):
        row, column = divmod(index, columns)
        axes[2 * row][column].remove()
        axes[2 * row + 1][column].remove()
    figure.supxlabel(language.say("step"), fontsize=9)
    handles = loss_handles(page, language) | _answer_handles(language)
    top_legend(figure, list(handles.values()), list(handles))
    return figure


def _cell(axes: tuple[Axes, Axes], panel: TrainingPanel, end: int, language: Language) -> None:
    losses, answers = axes
    panel_title(losses, panel, language)
    if panel.dynamics is None:
        empty_panel(losses, panel.missing)
    else:
        draw_losses(losses, panel.style, panel.dynamics)
        steps_to(losses, end)
        losses.tick_params(labelbottom=False)
    if panel.curves is None:
        empty_panel(answers, panel.missing)
        return
    for metric, dash in _DASHES.items():
        if metric in panel.curves:
            color = panel.style.color if metric == "prob/real" else GRAY
            steps, values = thinned(panel.curves["step"], panel.curves[metric])
            answers.plot(steps, values, color=color, linewidth=1.3, linestyle=dash)
    answers.axhline(0.5, color="black", linewidth=0.8)
    answers.set_ylim(-0.03, 1.03)
    answers.set_yticks(np.linspace(0, 1, 5))
    steps_to(answers, end)


def _answer_handles(language: Language) -> dict[str, Line2D]:
    labels = {
        "prob/real": language.say("D(x), real images (cell's color)"),
        "prob/fake_before": language.say("D(G(z)) before D's update"),
        "prob/fake_after": language.say("D(G(z)) after D's update"),
    }
    handles = {
        labels[metric]: Line2D(
            [], [], color="black" if metric == "prob/real" else GRAY, linewidth=1.4, linestyle=_DASHES[metric]
        )
        for metric in ANSWERS
    }
    return handles | {"1/2": Line2D([], [], color="black", linewidth=0.8)}
