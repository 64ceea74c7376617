"""Training curves as small multiples: loss crossings, and what the discriminator believes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.analysis.dynamics import EQUILIBRIUM_NATS, Array, LossDynamics
from harness.report.figures.style import (
    GRAY,
    TITLE_WIDTH,
    CellStyle,
    cell_title,
    empty_panel,
    figure_style,
    pages,
    panel_grid,
    round_steps,
    step_axis,
    top_legend,
    wrapped,
)

PROBABILITIES: dict[str, tuple[str, Literal["-", "--", ":"]]] = {
    "prob/real": ("D(x), real images", "-"),
    "prob/fake_before": ("D(G(z)) before D's update", "--"),
    "prob/fake_after": ("D(G(z)) after D's update", ":"),
}


@dataclass(frozen=True)
class TrainingPanel:
    """One cell, shown by one seed. dynamics, curves: None where the run has no records, and `missing` says why.

    curves: steps of the records under "step", then the metrics of PROBABILITIES that they have. end: the last
    record's step.
    """

    label: str
    mark: str
    style: CellStyle
    seed: int
    dynamics: LossDynamics | None = None
    curves: Mapping[str, Array] | None = None
    missing: str = ""
    end: int = 0


@figure_style()
def loss_crossings(panels: Sequence[TrainingPanel]) -> list[Figure]:
    """G's loss and D's (per term where it adds two), raw (pale) beside smoothed; 12 panels to a page.

    Where both losses meet at ln 2, their crossings and ln 2 as well.
    """
    return [_loss_page(page, _end(panels)) for page in pages(panels)]


def _loss_page(page: Sequence[TrainingPanel], end: int) -> Figure:
    figure, all_axes = panel_grid(len(page), panel_height=2.5)
    for axes, panel in zip(all_axes, page, strict=True):
        _title(axes, panel)
        if panel.dynamics is None:
            empty_panel(axes, panel.missing)
        else:
            _losses(axes, panel.style, panel.dynamics)
            _steps(axes, end)
    figure.supxlabel("step", fontsize=9)
    shown = [panel.dynamics for panel in page if panel.dynamics]
    comparable = [dynamics.comparable for dynamics in shown]
    figure.supylabel("loss [nats]" if all(comparable) else "loss, in its own units", fontsize=9)
    discriminator = _discriminator_label({dynamics.terms for dynamics in shown})
    handles = {
        "G, smoothed (cell's color)": Line2D([], [], color="black", linewidth=1.8),
        discriminator: Line2D([], [], color=GRAY, linewidth=1.8, linestyle="--"),
        "recorded (raw)": Line2D([], [], color=GRAY, linewidth=0.7, alpha=0.5),
        "crossing": _crossing_handle(),
        "ln 2": Line2D([], [], color="black", linewidth=0.8, linestyle=":"),
    }
    if not any(panel.dynamics and panel.dynamics.crossings for panel in page):
        del handles["crossing"]
    if comparable and not any(comparable):
        del handles["ln 2"]
    top_legend(figure, list(handles.values()), list(handles))
    return figure


def _discriminator_label(terms: set[Literal[1, 2]]) -> str:
    match sorted(terms):
        case [1]:
            return "D, smoothed"
        case [1, 2]:
            return "D (per term if it has two), smoothed"
        case _:
            return "D per term, smoothed"


def _losses(axes: Axes, style: CellStyle, dynamics: LossDynamics) -> None:
    axes.plot(dynamics.steps, dynamics.generator, color=style.color, linewidth=0.7, alpha=0.35)
    axes.plot(dynamics.steps, dynamics.discriminator, color=GRAY, linewidth=0.7, alpha=0.35)
    axes.plot(dynamics.steps, dynamics.smooth_generator, color=style.color, linewidth=1.8)
    axes.plot(dynamics.steps, dynamics.smooth_discriminator, color=GRAY, linewidth=1.8, linestyle="--")
    highest = max(dynamics.generator.max(), dynamics.discriminator.max())
    lowest = min(dynamics.generator.min(), dynamics.discriminator.min())
    if not dynamics.comparable:
        room = 0.2 * float(highest - lowest) or 1.0  # for the words above the curves
        axes.set_ylim(float(lowest) - 0.3 * room, float(highest) + room)
        words = "losses do not meet: crossings not counted"
        axes.text(0.5, 0.97, words, transform=axes.transAxes, ha="center", va="top", color=GRAY, fontsize=6)
        return
    axes.axhline(EQUILIBRIUM_NATS, color="black", linewidth=0.8, linestyle=":")
    axes.plot(
        [crossing.step for crossing in dynamics.crossings],
        [crossing.loss for crossing in dynamics.crossings],
        color="black", marker="o", markersize=5.5, markerfacecolor="white", linestyle="", zorder=5,
    )  # fmt: skip
    axes.set_ylim(0, max(1.0, 1.06 * float(highest)))


@figure_style()
def probabilities(panels: Sequence[TrainingPanel]) -> list[Figure]:
    """D(x) and D(G(z)) before and after D's update, against 1/2; 12 panels to a page."""
    return [_probability_page(page, _end(panels)) for page in pages(panels)]


def _probability_page(page: Sequence[TrainingPanel], end: int) -> Figure:
    figure, all_axes = panel_grid(len(page), panel_height=2.5)
    for axes, panel in zip(all_axes, page, strict=True):
        _title(axes, panel)
        if panel.curves is None:
            empty_panel(axes, panel.missing)
            continue
        for metric, (_, dash) in PROBABILITIES.items():
            color = panel.style.color if metric == "prob/real" else GRAY
            if metric in panel.curves:
                axes.plot(panel.curves["step"], panel.curves[metric], color=color, linewidth=1.3, linestyle=dash)
        axes.axhline(0.5, color="black", linewidth=0.8)
        axes.set_ylim(-0.03, 1.03)
        axes.set_yticks(np.linspace(0, 1, 5))
        _steps(axes, end)
    figure.supxlabel("step", fontsize=9)
    figure.supylabel("mean output of D", fontsize=9)
    handles = [
        Line2D([], [], color="black" if metric == "prob/real" else GRAY, linewidth=1.4, linestyle=dash)
        for metric, (_, dash) in PROBABILITIES.items()
    ]
    labels = [label for label, _ in PROBABILITIES.values()]
    labels[0] += " (cell's color)"
    top_legend(figure, [*handles, Line2D([], [], color="black", linewidth=0.8)], [*labels, "1/2"])
    return figure


def _end(panels: Sequence[TrainingPanel]) -> int:
    """The last step of all panels, so that all have one axis."""
    return max((panel.end for panel in panels), default=0)


def _steps(axes: Axes, end: int) -> None:
    axes.set_xlim(0, 1.03 * max(end, 1))
    step_axis(axes, round_steps(end))


def _title(axes: Axes, panel: TrainingPanel) -> None:
    cell_title(axes, f"{wrapped(panel.label, TITLE_WIDTH, 3, panel.mark)}\nseed {panel.seed}", panel.style)


def _crossing_handle() -> Line2D:
    return Line2D([], [], color="black", marker="o", markersize=5.5, markerfacecolor="white", linestyle="")
