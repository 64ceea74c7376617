"""Sample grids of all cells in one figure, composed from the pictures that workers made with each checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from harness.errors import StoreError
from harness.report.figures.style import (
    CellStyle,
    cell_title,
    empty_panel,
    figure_style,
    pages,
    panel_grid,
    wrapped,
)
from harness.store.reading import open_file

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class SamplePanel:
    """One cell's picture [H, W] or [H, W, 3], of one seed at one step; None where it is missing, with the reason."""

    label: str
    mark: str
    style: CellStyle
    seed: int
    step: int | None
    picture: Picture | None
    missing: str = ""


def read_picture(path: Path, expected: dict[str, str]) -> tuple[Picture | None, str]:
    """The picture at `path` and "", or None and why it cannot be used.

    expected: its PNG text, by key and in order of reporting; a picture of another checkpoint is never used.
    """
    try:
        with open_file(path) as file, Image.open(file, formats=["PNG"]) as image:
            image.load()
            texts = {key: str(text) for key, text in image.info.items()}
            picture = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    except FileNotFoundError:
        return None, "no picture was made"
    except StoreError as error:
        return None, f"{path.name}: {error.what}"
    except (OSError, SyntaxError):  # Pillow raises SyntaxError for a broken PNG
        return None, "the picture is damaged"
    wrong = next((key for key, text in expected.items() if texts.get(key) != text), None)
    if wrong is None:
        return picture, ""
    name = wrong.removeprefix("harness:").replace("_", " ").replace("sha256", "SHA-256")
    return None, f"the picture on disk is of another {name}"


@figure_style()
def sample_grids(panels: Sequence[SamplePanel]) -> list[Figure]:
    """Every cell's sample grid under its name; 12 to a page."""
    return [_page(page) for page in pages(panels)]


def _page(page: Sequence[SamplePanel]) -> Figure:
    titles = [_title(panel) for panel in page]
    lines = max(title.count("\n") + 1 for title in titles)
    figure, all_axes = panel_grid(len(page), 2.55 + 0.2 * lines, columns=4, panel_width=2.5, legend_height=0.0)
    for axes, panel, title in zip(all_axes, page, titles, strict=True):
        cell_title(axes, title, panel.style)
        axes.set_anchor("S")  # what the square leaves of its place goes to the title
        if panel.picture is None:
            empty_panel(axes, panel.missing)
            axes.set_box_aspect(1)
            continue
        gray = panel.picture.ndim == 2
        axes.imshow(panel.picture, cmap="gray" if gray else None, vmin=0, vmax=255, interpolation="antialiased")
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
    return figure


def _title(panel: SamplePanel) -> str:
    where = f"seed {panel.seed}" + (f", step {panel.step}" if panel.step is not None else "")
    return f"{wrapped(panel.label, 26, 3, panel.mark)}\n{where}"
