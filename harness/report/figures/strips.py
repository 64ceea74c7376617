"""Progress strips: a panel per cell, in which every row is a checkpoint and every column one noise vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.design.picture_sizes import GAP
from harness.report.figures.samples import Picture
from harness.report.figures.style import CellStyle, cell_title, empty_panel, figure_style, pages, panel_grid, wrapped
from harness.report.language import ENGLISH, Language

WIDTH = 3.6
"""Inches of one panel."""
COLUMNS = 3
LETTERS = 34
TALLEST_PAGE = 12.0
"""Inches."""


@dataclass(frozen=True)
class StripPanel:
    """One cell's strip [H, W] or [H, W, 3], of one seed, with a row for each of `steps`; None where it is missing.

    values: what was measured at each step, `FID 62.1`; empty texts where nothing was.
    """

    label: str
    mark: str
    style: CellStyle
    seed: int
    steps: tuple[int, ...]
    picture: Picture | None
    missing: str = ""
    values: tuple[str, ...] = ()


@figure_style()
def strip_pages(panels: Sequence[StripPanel], language: Language = ENGLISH, columns: int = COLUMNS) -> list[Figure]:
    """Every cell's strip under its name; as many to a page as its height holds."""
    columns = min(columns, len(panels))
    height = _height(panels)
    rows = max(1, int(TALLEST_PAGE // height))
    return [_page(page, columns, language) for page in pages(panels, rows * columns)]


def _height(panels: Sequence[StripPanel]) -> float:
    """Inches of one panel with its title."""
    shapes = [panel.picture.shape for panel in panels if panel.picture is not None]
    tallest = max((height / width for height, width, *_ in shapes), default=0.3)
    beside = 1.05 if any(any(panel.values) for panel in panels) else 0.6
    return (WIDTH - beside) * max(tallest, 0.2) + 0.6


def _page(page: Sequence[StripPanel], columns: int, language: Language) -> Figure:
    figure, all_axes = panel_grid(len(page), _height(page), columns=columns, panel_width=WIDTH, legend_height=0.0)
    for axes, panel in zip(all_axes, page, strict=True):
        label = wrapped(panel.label, LETTERS, 2, panel.mark)
        cell_title(axes, f"{label}\n{language.say('seed {seed}', seed=panel.seed)}", panel.style)
        axes.set_anchor("N")
        if panel.picture is None:
            empty_panel(axes, panel.missing)
            continue
        _show(axes, panel.picture, panel, language)
    return figure


def _show(axes: Axes, picture: Picture, panel: StripPanel, language: Language) -> None:
    steps = panel.steps
    gray = picture.ndim == 2
    axes.imshow(picture, cmap="gray" if gray else None, vmin=0, vmax=255, interpolation="antialiased")
    pitch = (picture.shape[0] + GAP) / len(steps)
    axes.set_xticks([])
    middles = [pitch * row + (pitch - GAP) / 2 - 0.5 for row in range(len(steps))]
    axes.set_yticks(middles, [str(step) for step in steps])
    for middle, value in zip(middles, panel.values, strict=False):
        axes.text(picture.shape[1] * 1.015, middle, value, fontsize=7, va="center")
    axes.set_ylabel(language.say("step"))
    axes.tick_params(length=0)
    axes.spines["top"].set_position(("outward", 1.5))  # the cell's color beside the images, not on them
    axes.grid(False)
