"""Sample grids of all cells in one figure, composed from the pictures that workers made with each checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from harness.errors import StoreError
from harness.report.figures.style import (
    PANELS_PER_PAGE,
    CellStyle,
    cell_title,
    empty_panel,
    figure_style,
    new_figure,
    pages,
    wrapped,
)
from harness.report.language import ENGLISH, Language
from harness.store.pictures import picture_settings
from harness.store.reading import open_file

Picture = NDArray[np.uint8]

Why = Callable[[Language], str]
"""A reason, told in any language; empty where there is nothing to tell."""


@dataclass(frozen=True)
class SheetLayout:
    """How cells' pictures are set: width of each in inches, letters that fit over it."""

    columns: int
    width: float
    letters: int
    to_a_page: int = PANELS_PER_PAGE


LINE = 0.16
"""Inches of a title's line."""
EDGE = 0.13
"""Inches between panels, and around them."""
SAMPLE_GRID = SheetLayout(columns=4, width=2.5, letters=26, to_a_page=16)
WIDE_SHEET = SheetLayout(columns=2, width=5.0, letters=52, to_a_page=6)


@dataclass(frozen=True)
class SamplePanel:
    """One cell's picture [H, W] or [H, W, 3], of one seed at one step; None where it is missing, with the reason.

    about: the second line of its title, where that is not the seed and the step.
    """

    label: str
    mark: str
    style: CellStyle
    seed: int
    step: int | None
    picture: Picture | None
    missing: str = ""
    about: str = ""


def read_picture(
    path: Path, expected: dict[str, str], settings: Mapping[str, object] | None = None
) -> tuple[Picture | None, Why]:
    """The picture at `path`, or None, and why it cannot be used.

    expected: its PNG text, by key and in order of reporting; a picture of another checkpoint is never used.
    settings: what it has to say of how it was made, by name.
    """
    try:
        with open_file(path) as file, Image.open(file, formats=["PNG"]) as image:
            image.load()
            texts = {str(key): str(text) for key, text in image.info.items()}
            picture = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    except FileNotFoundError:
        return None, lambda language: language.say("no picture was made")
    except StoreError as error:
        what = error.what
        return None, lambda language: language.say("{name}: {what}", name=path.name, what=what)
    except Image.DecompressionBombError:
        return None, lambda language: language.say("the picture is too large to be opened")
    except (OSError, SyntaxError):  # Pillow raises SyntaxError for a broken PNG
        return None, lambda language: language.say("the picture is damaged")
    wrong = next((key for key, text in expected.items() if texts.get(key) != text), None)
    if wrong is None and settings:
        made_with = picture_settings(texts)
        wrong = next((name for name, value in settings.items() if made_with.get(name) != value), None)
    if wrong is None:
        return picture, lambda language: ""
    return None, lambda language: _of_another(wrong, language)


def _of_another(wrong: str, language: Language) -> str:
    """wrong: the PNG text or setting that is not as expected."""
    match wrong:
        case "harness:checkpoint_sha256":
            return language.say("the picture on disk is of another checkpoint SHA-256")
        case "harness:key":
            return language.say("the picture on disk is of another key")
        case "harness:step":
            return language.say("the picture on disk is of another step")
        case _:
            name = wrong.removeprefix("harness:").replace("_", " ").replace("sha256", "SHA-256")
            return language.say("the picture on disk was drawn with another setting: {name}", name=name)


@figure_style()
def sample_grids(panels: Sequence[SamplePanel], language: Language = ENGLISH) -> list[Figure]:
    """Every cell's sample grid under its name; 16 to a page."""
    return [_page(page, SAMPLE_GRID, language) for page in pages(panels, SAMPLE_GRID.to_a_page)]


@figure_style()
def wide_sheets(panels: Sequence[SamplePanel], language: Language = ENGLISH) -> list[Figure]:
    """Every cell's sheet of many or labeled images under its name, larger than sample grids; 6 to a page."""
    return [_page(page, WIDE_SHEET, language) for page in pages(panels, WIDE_SHEET.to_a_page)]


def _page(page: Sequence[SamplePanel], layout: SheetLayout, language: Language) -> Figure:
    """Every picture as wide as its neighbors, those of a row with their upper edges in one line."""
    titles = [_title(panel, layout.letters, language) for panel in page]
    columns = min(layout.columns, len(page))
    rows = [range(at, min(at + columns, len(page))) for at in range(0, len(page), columns)]
    over = [LINE * max(titles[place].count("\n") + 1 for place in row) + EDGE for row in rows]
    under = [layout.width * max(_shape(page[place]) for place in row) for row in rows]
    width = max((layout.width + EDGE) * columns + EDGE, 5.2)
    height = sum(over) + sum(under) + EDGE * (len(rows) + 1)
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    top = height
    for row, title_height, picture_height in zip(rows, over, under, strict=True):
        top -= EDGE + title_height
        for column, place in enumerate(row):
            tall = layout.width * _shape(page[place])
            left = EDGE + column * (layout.width + EDGE)
            box = (left / width, (top - tall) / height, layout.width / width, tall / height)
            _panel(figure.add_axes(box), page[place], titles[place])
        top -= picture_height
    return figure


def _shape(panel: SamplePanel) -> float:
    """Height over width; a square where there is no picture."""
    return max(0.3, panel.picture.shape[0] / panel.picture.shape[1]) if panel.picture is not None else 1.0


def _panel(axes: Axes, panel: SamplePanel, title: str) -> None:
    cell_title(axes, title, panel.style)
    if panel.picture is None:
        empty_panel(axes, panel.missing)
        return
    gray = panel.picture.ndim == 2
    axes.imshow(
        panel.picture, cmap="gray" if gray else None, vmin=0, vmax=255, interpolation="antialiased", aspect="auto"
    )
    axes.set(xticks=[], yticks=[])
    axes.grid(False)


def _title(panel: SamplePanel, letters: int, language: Language) -> str:
    where = panel.about or (
        language.say("seed {seed}, step {step}", seed=panel.seed, step=panel.step)
        if panel.step is not None
        else language.say("seed {seed}", seed=panel.seed)
    )
    return f"{wrapped(panel.label, letters, 3, panel.mark)}\n{where}"
