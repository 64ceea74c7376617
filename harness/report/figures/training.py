"""Loss curves: small multiples with their crossings, and all cells over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.analysis.crossings import Role
from harness.analysis.curves import Array
from harness.analysis.dynamics import EQUILIBRIUM_NATS, LossDynamics
from harness.report.figures.style import (
    GRAY,
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
from harness.report.figures.thinning import FEW_POINTS, thinned
from harness.report.language import ENGLISH, Language

MOST_OVERLAID = 8
"""Cells that have a color and a name of their own where all lie over each other."""
MOST_NUMBERED = 24
"""Cells up to which gray lines have their numbers at their ends."""
APART = 0.037
"""Of the height of an overlay's axes: between the numbers of two cells."""
LEADERS_END = 1.035
"""Of the width of an overlay's axes: where the thin lines to the numbers of cells end."""
MOST_OTHERS = 4
"""Seeds besides the shown one that a panel has thin lines of."""


@dataclass(frozen=True)
class TrainingPanel:
    """One cell, shown by one seed. dynamics, curves: None where the run has no records, and `missing` says why.

    curves: the middles of the records' intervals under "step", then the answers (`prob/...`) that they have. end: the
    last record's step. smooth_curves: likewise smoothed, None where the window does not fit. others: losses of further
    seeds, other_curves: their smoothed D(x), which are drawn thin.
    """

    label: str
    mark: str
    style: CellStyle
    seed: int
    dynamics: LossDynamics | None = None
    curves: Mapping[str, Array] | None = None
    missing: str = ""
    end: int = 0
    is_baseline: bool = False
    others: tuple[LossDynamics, ...] = ()
    other_curves: tuple[Mapping[str, Array], ...] = ()
    smooth_curves: Mapping[str, Array] | None = None


@figure_style()
def loss_crossings(panels: Sequence[TrainingPanel], language: Language = ENGLISH) -> list[Figure]:
    """G's loss and D's (per term where it adds two), raw (pale) beside smoothed; 12 panels to a page.

    Where both losses meet at ln 2, their crossings and ln 2 as well.
    """
    return [_loss_page(page, last_step(panels), language) for page in pages(panels)]


def _loss_page(page: Sequence[TrainingPanel], end: int, language: Language) -> Figure:
    figure, all_axes = panel_grid(len(page), panel_height=2.5)
    for axes, panel in zip(all_axes, page, strict=True):
        panel_title(axes, panel, language)
        if panel.dynamics is None:
            empty_panel(axes, panel.missing)
        else:
            _draw_losses(axes, panel.style, panel.dynamics, panel.others)
            _meeting(axes, panel.dynamics, language)
            steps_to(axes, end)
    figure.supxlabel(language.say("step"), fontsize=9)
    figure.supylabel(_loss_label(page, language), fontsize=9)
    handles = _loss_handles(page, language)
    top_legend(figure, list(handles.values()), list(handles))
    return figure


def _loss_handles(page: Sequence[TrainingPanel], language: Language) -> dict[str, Line2D | tuple[Line2D, ...]]:
    """A legend's handles of what `_draw_losses` draws, by label."""
    shown = [panel.dynamics for panel in page if panel.dynamics]
    handles: dict[str, Line2D | tuple[Line2D, ...]] = {
        language.say("G, smoothed (cell's color)"): in_colors(page, 1.8),
        _discriminator_label({one.terms for one in shown}, language): Line2D(
            [], [], color=GRAY, linewidth=1.8, linestyle="--"
        ),
        language.say("recorded (raw)"): Line2D([], [], color=GRAY, linewidth=0.7, alpha=0.5),
    }
    if any(panel.others for panel in page):
        handles[language.say("other seeds, smoothed")] = in_colors(page, 0.7)
    if any(one.crossings for one in shown):
        handles[language.say("crossing")] = _crossing_handle()
    if not shown or any(one.comparable for one in shown):
        handles["ln 2"] = Line2D([], [], color="black", linewidth=0.8, linestyle=":")
    return handles


def in_colors(page: Sequence[TrainingPanel], width: float) -> tuple[Line2D, ...]:
    """A handle of short lines in the colors of the first cells."""
    colors = list(dict.fromkeys(panel.style.color for panel in page))[:3]
    return tuple(Line2D([], [], color=color, linewidth=width) for color in colors)


def _loss_label(page: Sequence[TrainingPanel], language: Language) -> str:
    """What an axis of losses is labeled."""
    comparable = all(panel.dynamics.comparable for panel in page if panel.dynamics)
    return language.say("loss [nats]") if comparable else language.say("loss, in its own units")


def _discriminator_label(terms: set[Literal[1, 2]], language: Language) -> str:
    match sorted(terms):
        case [1]:
            return language.say("D, smoothed")
        case [1, 2]:
            return language.say("D (per term if it has two), smoothed")
        case _:
            return language.say("D per term, smoothed")


def _draw_losses(axes: Axes, style: CellStyle, dynamics: LossDynamics, others: Sequence[LossDynamics]) -> None:
    """Raw and smoothed losses, those of other seeds thin, and ln 2 where they meet there."""
    for other in others:
        axes.plot(*thinned(other.steps, other.smooth_generator, FEW_POINTS), color=style.color, linewidth=0.7)
        axes.plot(
            *thinned(other.steps, other.smooth_discriminator, FEW_POINTS), color=GRAY, linewidth=0.7, linestyle="--"
        )
    lines: tuple[tuple[Array, dict[str, Any]], ...] = (
        (dynamics.generator, {"color": style.color, "linewidth": 0.7, "alpha": 0.35}),
        (dynamics.discriminator, {"color": GRAY, "linewidth": 0.7, "alpha": 0.35}),
        (dynamics.smooth_generator, {"color": style.color, "linewidth": 1.8}),
        (dynamics.smooth_discriminator, {"color": GRAY, "linewidth": 1.8, "linestyle": "--"}),
    )
    for values, look in lines:
        axes.plot(*thinned(dynamics.steps, values), **look)
    highest = max(
        float(max(one.generator.max(initial=0), one.discriminator.max(initial=0))) for one in (dynamics, *others)
    )
    if dynamics.comparable:
        axes.axhline(EQUILIBRIUM_NATS, color="black", linewidth=0.8, linestyle=":")
        axes.set_ylim(0, max(1.0, 1.06 * highest))


def _meeting(axes: Axes, dynamics: LossDynamics, language: Language) -> None:
    """The crossings, or that there are none to count."""
    if dynamics.comparable:
        axes.plot(
            [crossing.step for crossing in dynamics.crossings],
            [crossing.loss for crossing in dynamics.crossings],
            color="black", marker="o", markersize=5.5, markerfacecolor="white", linestyle="", zorder=5,
        )  # fmt: skip
        return
    highest = float(max(dynamics.generator.max(), dynamics.discriminator.max()))
    lowest = float(min(dynamics.generator.min(), dynamics.discriminator.min()))
    room = 0.2 * (highest - lowest) or 1.0  # for the words above the curves
    axes.set_ylim(lowest - 0.3 * room, highest + room)
    words = language.say("losses do not meet: crossings not counted")
    axes.text(0.5, 0.97, words, transform=axes.transAxes, ha="center", va="top", color=GRAY, fontsize=6)


@figure_style()
def loss_overlay(panels: Sequence[TrainingPanel], language: Language = ENGLISH) -> list[Figure]:
    """The smoothed losses of several cells over each other: G's on the left, D's (per term) on the right.

    panels: of losses on one scale, with records. Beyond MOST_OVERLAID cells, all but the baseline are gray.
    """
    figure = new_figure(9.9, 4.2 + (0.22 * min(len(panels), MOST_OVERLAID) / 4))
    left, right = figure.subplots(1, 2)
    terms = {panel.dynamics.terms for panel in panels if panel.dynamics}
    _overlaid(left, panels, "generator", language.say("G, smoothed"), language)
    _overlaid(right, panels, "discriminator", _discriminator_label(terms, language), language)
    left.set_ylabel(_loss_label(panels, language))
    comparable = all(panel.dynamics.comparable for panel in panels if panel.dynamics)
    _overlay_legend(figure, panels, comparable, language)
    return [figure]


def _overlaid(axes: Axes, panels: Sequence[TrainingPanel], role: Role, title: str, language: Language) -> None:
    """One network's losses; the first cell, which is the baseline, on top."""
    comparable = all(panel.dynamics.comparable for panel in panels if panel.dynamics)
    everything: list[float] = []
    for panel in reversed(panels):
        steps, values = _smooth(panel, role)
        axes.plot(steps, values, **_look(panel, len(panels)))
        everything += [float(values.min()), float(values.max())]
    if (factor := span(everything)) > WIDE:
        log_axis(axes, "y", factor)
        title = language.say("{title}, log scale", title=title)
    elif comparable:
        axes.set_ylim(0, max(1.0, 1.06 * max(everything)))
    if comparable:
        axes.axhline(EQUILIBRIUM_NATS, color="black", linewidth=0.8, linestyle=":")
    axes.set_title(title)
    axes.set_xlabel(language.say("step"))
    steps_to(axes, last_step(panels))
    if MOST_OVERLAID < len(panels) <= MOST_NUMBERED:
        _number_ends(axes, panels, role)


def _number_ends(axes: Axes, panels: Sequence[TrainingPanel], role: Role) -> None:
    """Each cell's number beside the axes, at the height where its line ends or as near to it as there is room, and a
    thin line to it from there."""
    to_fraction = axes.transScale + axes.transLimits
    ends = []
    for panel in panels:
        steps, values = _smooth(panel, role)
        across, up = to_fraction.transform((steps[-1], values[-1]))
        ends.append((float(up), float(across), panel.mark))
    ends.sort()
    places: list[float] = []
    for height, _, _ in ends:
        places.append(max(height, places[-1] + APART) if places else height)
    over = max(0.0, places[-1] - 1.0)
    for index in reversed(range(len(places))):  # what goes over the top pushes those below it down
        limit = places[-1] - over if index == len(places) - 1 else places[index + 1] - APART
        places[index] = min(places[index], limit)
    for place, (height, across, mark) in zip(places, ends, strict=True):
        axes.plot(
            [across, LEADERS_END], [height, place], transform=axes.transAxes, clip_on=False, color=GRAY, linewidth=0.5
        )
        axes.text(
            LEADERS_END + 0.005, place, mark, transform=axes.transAxes, ha="left", va="center", fontsize=6.5,
            color="black",
        )  # fmt: skip


def _overlay_legend(figure: Figure, panels: Sequence[TrainingPanel], comparable: bool, language: Language) -> None:
    handles = {
        wrapped(panel.label, 26, 3, panel.mark): Line2D([], [], **_look(panel, len(panels)))
        for panel in panels[: MOST_OVERLAID if len(panels) <= MOST_OVERLAID else 1]
    }
    if len(panels) > MOST_OVERLAID:
        handles[language.say("the other cells")] = Line2D([], [], color=PALE, linewidth=1.0)
    if comparable:
        handles["ln 2"] = Line2D([], [], color="black", linewidth=0.8, linestyle=":")
    top_legend(figure, list(handles.values()), list(handles))


def _smooth(panel: TrainingPanel, role: Role) -> tuple[Array, Array]:
    """Steps and smoothed losses of one network, without what the window leaves out."""
    assert panel.dynamics is not None
    losses = panel.dynamics.smooth_generator if role == "generator" else panel.dynamics.smooth_discriminator
    whole = np.isfinite(losses)
    return thinned(panel.dynamics.steps[whole], losses[whole])


def _look(panel: TrainingPanel, count: int) -> dict[str, Any]:
    """Color and dashes of a cell's line; the baseline is drawn thicker."""
    if count > MOST_OVERLAID and not panel.is_baseline:
        return {"color": PALE, "linewidth": 1.0}
    width = 2.4 if panel.is_baseline else 1.5
    return {"color": panel.style.color, "linewidth": width, "dashes": panel.style.dashes or (1, 0)}


def last_step(panels: Sequence[TrainingPanel]) -> int:
    """The last step of all panels, so that all have one axis."""
    return max((panel.end for panel in panels), default=0)


def steps_to(axes: Axes, end: int) -> None:
    """The step axis up to `end`."""
    axes.set_xlim(0, 1.03 * max(end, 1))
    step_axis(axes, round_steps(end))


def panel_title(axes: Axes, panel: TrainingPanel, language: Language) -> None:
    """The cell's name and the seed that stands for it."""
    name = wrapped(panel.label, TITLE_WIDTH, 3, panel.mark)
    cell_title(axes, language.say("{cell}\nseed {seed}", cell=name, seed=panel.seed), panel.style)


def _crossing_handle() -> Line2D:
    return Line2D([], [], color="black", marker="o", markersize=5.5, markerfacecolor="white", linestyle="")
