"""Six panels for each cell: losses, smoothed losses, accuracies, their ratio and difference, and the diagnosis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from harness.analysis.curves import LAST_STEPS, Array
from harness.analysis.diagnosis import ACCURACY, LOSS, RATIO
from harness.report.figures.style import (
    GRAY,
    CellStyle,
    empty_panel,
    figure_style,
    log_axis,
    new_figure,
    pages,
    round_steps,
    step_axis,
    wrapped,
)
from harness.report.figures.thinning import thinned
from harness.report.language import ENGLISH, Language

CELLS_PER_PAGE = 3
_BAND = "#e4e4e4"
_GENERATED = "#a8a8a8"
_TWO_TEXTS = 0.24
"""Of a panel's height: what two small texts need over each other."""
_TEXT_WIDTH = 58
_DIFFERENCE = (-1.0, 1.0)


@dataclass(frozen=True)
class SixPanels:
    """One cell, shown by one seed. Curves [n] against steps [n], the middles of the records' intervals.

    generator, discriminator: losses, D's per term; smooth_*: over 100 steps, NaN where that reaches over an edge.
    accuracies: of real and of generated images, None where the loss has none; smooth_accuracies: over 100 steps.
    compares: whether both losses are in nats, so that their ratio and difference mean something. verdicts: lines of the
    diagnosis. missing: why there are no curves.
    """

    label: str
    mark: str
    style: CellStyle
    seed: int
    steps: Array
    generator: Array
    discriminator: Array
    smooth_generator: Array
    smooth_discriminator: Array
    accuracies: tuple[Array, Array] | None
    compares: bool
    verdicts: tuple[str, ...]
    end: int
    missing: str = ""
    smooth_accuracies: tuple[Array, Array] | None = None


@figure_style()
def six_panels(cells: Sequence[SixPanels], language: Language = ENGLISH) -> list[Figure]:
    """CELLS_PER_PAGE cells to a page, two rows of three panels each."""
    return [_page(page, max(cell.end for cell in cells), language) for page in pages(cells, CELLS_PER_PAGE)]


def _page(page: Sequence[SixPanels], end: int, language: Language) -> Figure:
    figure = new_figure(9.9, 3.7 * len(page) + 0.7)
    parts = figure.subfigures(len(page), 1, squeeze=False)[:, 0]
    for part, cell in zip(parts, page, strict=True):
        name = wrapped(cell.label, 90, 2, cell.mark)
        part.suptitle(language.say("{cell}, seed {seed}", cell=name, seed=cell.seed), fontsize=9, color="black")
        _cell(part, cell, end, language)
    figure.supxlabel(language.say("step"), fontsize=9)
    _legend(figure, language)
    return figure


def _cell(part: SubFigure, cell: SixPanels, end: int, language: Language) -> None:
    axes = list(part.subplots(2, 3).flat)
    titles = [
        language.say("losses per term [nats]") if cell.compares else language.say("losses, in their own units"),
        language.say("losses, mean over {steps} steps", steps=LAST_STEPS),
        language.say("accuracies"),
        language.say("G / D (ratio of the losses)"),
        language.say("G − D [nats]"),
        language.say("diagnosis of the last {steps} steps", steps=LAST_STEPS),
    ]
    for panel, title in zip(axes, titles, strict=True):
        panel.set_title(title, fontsize=8, pad=4)
        panel.spines["top"].set(color=cell.style.color, linewidth=2)
        panel.tick_params(labelsize=7)
    if not len(cell.steps):
        for panel in axes[:5]:
            empty_panel(panel, cell.missing)
    else:
        _curves(axes, cell, end, language)
    _verdicts(axes[5], cell)


def _curves(axes: Sequence[Axes], cell: SixPanels, end: int, language: Language) -> None:
    _losses(axes[0], cell, (cell.generator, cell.discriminator), 0.9)
    _losses(axes[1], cell, (cell.smooth_generator, cell.smooth_discriminator), 1.6)
    if cell.accuracies is None:
        empty_panel(axes[2], language.say("this loss gives no accuracies"))
    else:
        _accuracies(axes[2], cell, cell.accuracies)
    if cell.compares:
        _ratio(axes[3], cell)
        _difference(axes[4], cell)
    else:
        for panel in axes[3:5]:
            empty_panel(panel, language.say("the losses have no common scale"))
    for panel in axes[:5]:
        if panel.lines:
            panel.set_xlim(0, 1.03 * max(end, 1))
            step_axis(panel, round_steps(end))
            if panel is not axes[3]:
                panel.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10], min_n_ticks=3))


def _band(axes: Axes, limits: tuple[float, float]) -> None:
    """Where a rule sees balance, with its limits written at its edges, or as one text where these are close, all under
    the curves.

    To be called once the axis has its limits.
    """
    axes.axhspan(*limits, color=_BAND, zorder=0)
    low, high = (f"{limit:g}".replace("-", "−") for limit in limits)
    to_fraction = axes.transScale + axes.transLimits
    bottom, top = (float(to_fraction.transform((1.0, limit))[1]) for limit in limits)
    if top - bottom >= _TWO_TEXTS:
        places = [(low, bottom, "bottom"), (high, top, "top")]
    else:
        places = [(f"{low} … {high}", (bottom + top) / 2, "center")]
    for text, height, side in places:
        axes.annotate(
            text, (0.995, height), xycoords="axes fraction", ha="right", va=side, fontsize=6, color="black",
            annotation_clip=True, zorder=1.5, bbox={"facecolor": _BAND, "edgecolor": "none", "alpha": 0.8, "pad": 0.4},
        )  # fmt: skip


def _accuracies(axes: Axes, cell: SixPanels, recorded: tuple[Array, Array]) -> None:
    """Recorded ones pale, means over 100 steps before them: of generated images wide, with real images' on top."""
    for curve, color in zip(recorded, (cell.style.color, _GENERATED), strict=True):
        axes.plot(*thinned(cell.steps, curve), color=color, linewidth=0.6, alpha=0.3)
    real, generated = cell.smooth_accuracies or recorded
    axes.plot(*thinned(cell.steps, generated), color=_GENERATED, linewidth=3.2)
    axes.plot(*thinned(cell.steps, real), color=cell.style.color, linewidth=1.3)
    axes.axhline(0.5, color="black", linewidth=0.8)
    lowest = min([0.5, *(float(np.nanmin(curve)) for curve in recorded if np.isfinite(curve).any())])
    axes.set_ylim(lowest - 0.03, 1.03)
    _band(axes, ACCURACY)


def _losses(axes: Axes, cell: SixPanels, curves: tuple[Array, Array], width: float) -> None:
    """Both losses over the band of the rule, on an axis from 0 so that small changes do not look large."""
    _pair(axes, cell, curves, width)
    if cell.compares:
        highest = max((float(np.nanmax(one)) for one in curves if np.isfinite(one).any()), default=1.0)
        axes.set_ylim(0, max(1.7, 1.08 * highest))
        _band(axes, LOSS)


def _pair(axes: Axes, cell: SixPanels, curves: tuple[Array, Array], width: float) -> None:
    """The generator's curve in the cell's color, the discriminator's gray and dashed."""
    first, second = curves
    axes.plot(*thinned(cell.steps, first), color=cell.style.color, linewidth=width)
    axes.plot(*thinned(cell.steps, second), color=GRAY, linewidth=width, linestyle="--")


def _ratio(axes: Axes, cell: SixPanels) -> None:
    axes.axhline(1.0, color="black", linewidth=0.8, zorder=1.2)
    lowest, highest = RATIO
    for pair, width, alpha in (
        ((cell.generator, cell.discriminator), 0.7, 0.4),
        ((cell.smooth_generator, cell.smooth_discriminator), 1.6, 1.0),
    ):
        generator, discriminator = pair
        positive = (discriminator > 0) & (generator > 0)  # False where NaN
        ratio = np.divide(generator, discriminator, out=np.full(len(generator), np.nan), where=positive)
        axes.plot(*thinned(cell.steps, ratio), color=cell.style.color, linewidth=width, alpha=alpha)
        if positive.any():
            lowest, highest = min(lowest, float(np.nanmin(ratio))), max(highest, float(np.nanmax(ratio)))
    log_axis(axes, "y", highest / lowest)
    axes.set_ylim(0.8 * lowest, 1.25 * highest)
    _band(axes, RATIO)


def _difference(axes: Axes, cell: SixPanels) -> None:
    axes.axhline(0.0, color="black", linewidth=0.8, zorder=1.2)
    axes.plot(
        *thinned(cell.steps, cell.generator - cell.discriminator), color=cell.style.color, linewidth=0.7, alpha=0.4
    )
    smooth = cell.smooth_generator - cell.smooth_discriminator
    axes.plot(*thinned(cell.steps, smooth), color=cell.style.color, linewidth=1.6)
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -1.15), max(high, 1.15))
    _band(axes, _DIFFERENCE)


def _verdicts(axes: Axes, cell: SixPanels) -> None:
    axes.set(xticks=[], yticks=[])
    text = "\n".join(_in_rows(line) for line in cell.verdicts)
    axes.text(
        0.02, 0.97, text, transform=axes.transAxes, ha="left", va="top", fontsize=6.6, linespacing=1.28, color="black"
    )


def _in_rows(line: str) -> str:
    """A verdict in one row, or in two of which the second is set in: broken behind its colon where that suffices."""
    if len(wrapped(line, _TEXT_WIDTH, 9).splitlines()) == 1:
        return line
    rule, colon, found = line.partition("：" if "：" in line else ": ")
    if colon and len(wrapped(found, _TEXT_WIDTH - 4, 9).splitlines()) == 1:
        return f"{rule}{colon.strip()}\n    {found}"
    return wrapped(line, _TEXT_WIDTH - 4, 2).replace("\n", "\n    ")


def _legend(figure: Figure, language: Language) -> None:
    handles = {
        language.say("G; accuracy on real images (cell's color)"): Line2D([], [], color="black", linewidth=1.4),
        language.say("D per term"): Line2D([], [], color=GRAY, linewidth=1.4, linestyle="--"),
        language.say("accuracy on generated images"): Line2D([], [], color=_GENERATED, linewidth=3.2),
        language.say("band of the rule"): Patch(color=_BAND),
    }
    figure.legend(list(handles.values()), list(handles), loc="outside upper center", ncols=4, handlelength=2.2)
