"""The pictures of one report: each PNG with the runs, checkpoints and protocols that it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from harness.report.figures.files import png_alone
from harness.report.figures.press import press
from harness.report.language import ENGLISH, Language
from harness.report.picture_texts import ShownRuns

MOST_DRAWN_PAGES = 4
"""Of one picture, up to which each page is an SVG, too: those of a hundred cells take a third of a report's time."""


@dataclass(frozen=True)
class Picture:
    """path: relative to the report; title: for people who cannot see it; sources: what report.json says of it.

    is_logarithmic: whether one of its axes is.
    """

    path: str
    title: str
    sources: list[dict[str, Any]]
    is_logarithmic: bool


class Album:
    """Collects the pictures that sections draw, and what they would have shown but lack. Each path is taken once."""

    def __init__(self, runs: ShownRuns, language: Language = ENGLISH) -> None:
        self._runs = runs
        self._language = language
        self._pictures: dict[str, Picture] = {}
        self._press = press()
        self._missing: list[str] = []

    @property
    def pictures(self) -> list[Picture]:
        return list(self._pictures.values())

    @property
    def missing(self) -> list[str]:
        """Every picture that is not shown, by its kind, with the reason."""
        return list(self._missing)

    def files(self) -> dict[str, bytes]:
        """Every form of every picture by path: PNG, and SVG but for pictures made of pixels or of many pages."""
        found: dict[str, bytes] = {}
        for path, files in zip(self._pictures, self._press.files(), strict=True):
            drawing = {} if files.svg is None else {path.removesuffix(".png") + ".svg": files.svg}
            found |= {path: files.png, **drawing}
        return found

    def lacks(self, reasons: Sequence[str]) -> None:
        """Notes pictures that are not shown: `Sample grid of CELL, seed 0: why`."""
        self._missing += reasons

    def add(self, name: str, title: str, figures: Sequence[Figure], sources: list[dict[str, Any]]) -> list[Picture]:
        """Figures as `figures/NAME.png` (drawings as SVG, too), or as numbered pages of that name where several.

        More than `MOST_DRAWN_PAGES` pages have no SVG.

        sources: JSON objects, of runs' checkpoints (`key`, `seed`, `step`, `checkpoint_sha256`, `protocol_sha256`) or
        records (`key`, `seed`, `records_to_step`, `metrics_sha256`). ValueError where the name is taken.
        """
        return self.add_pages(name, title, figures, [sources] * len(figures))

    def add_pages(
        self, name: str, title: str, figures: Sequence[Figure], by_page: Sequence[list[dict[str, Any]]]
    ) -> list[Picture]:
        """As `add`, where each page has sources of its own: those of the cells that are named on it.

        by_page: one for each figure at least. What lies pale behind a page's cells is named on the other pages.
        """
        added = []
        make = None if len(figures) <= MOST_DRAWN_PAGES else png_alone
        for page, (figure, sources) in enumerate(zip(figures, by_page, strict=False), start=1):
            suffix = f"-{page}" if len(figures) > 1 else ""
            called = title if len(figures) == 1 else self._page_title(title, page, len(figures))
            is_logarithmic = any("log" in (axes.get_xscale(), axes.get_yscale()) for axes in figure.axes)
            path = f"figures/{name}{suffix}.png"
            if path in self._pictures:
                raise ValueError(f"two pictures of one report are named {path}")
            self._pictures[path] = Picture(path, called, sources, is_logarithmic)
            self._press.order(figure, self._runs.texts(called, sources), make)
            added.append(self._pictures[path])
        return added

    def _page_title(self, title: str, page: int, pages: int) -> str:
        return self._language.say("{title} (page {page} of {pages})", title=title, page=page, pages=pages)
