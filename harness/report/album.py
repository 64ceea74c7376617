"""The pictures of one report: each PNG with the runs, checkpoints and protocols that it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

from harness.report.figures.files import figure_files
from harness.report.language import ENGLISH, Language
from harness.report.picture_texts import ShownRuns


@dataclass(frozen=True)
class Picture:
    """path: relative to the report; title: for people who cannot see it; sources: what report.json says of it.

    content: as PNG; drawing: as SVG, None for pictures made of pixels. is_logarithmic: whether one of its axes is.
    """

    path: str
    title: str
    content: bytes = field(repr=False)
    sources: list[dict[str, Any]]
    is_logarithmic: bool
    drawing: bytes | None = field(default=None, repr=False)

    @property
    def files(self) -> dict[str, bytes]:
        """Every form of it by path."""
        drawing = {} if self.drawing is None else {self.path.removesuffix(".png") + ".svg": self.drawing}
        return {self.path: self.content, **drawing}


class Album:
    """Collects the pictures that sections draw, and what they would have shown but lack. Each path is taken once."""

    def __init__(self, runs: ShownRuns, language: Language = ENGLISH) -> None:
        self._runs = runs
        self._language = language
        self._pictures: dict[str, Picture] = {}
        self._missing: list[str] = []

    @property
    def pictures(self) -> list[Picture]:
        return list(self._pictures.values())

    @property
    def missing(self) -> list[str]:
        """Every picture that is not shown, by its kind, with the reason."""
        return list(self._missing)

    def lacks(self, reasons: Sequence[str]) -> None:
        """Notes pictures that are not shown: `Sample grid of CELL, seed 0: why`."""
        self._missing += reasons

    def add(self, name: str, title: str, figures: Sequence[Figure], sources: list[dict[str, Any]]) -> list[Picture]:
        """Figures as `figures/NAME.png` (drawings as SVG, too), or as numbered pages of that name where several.

        sources: JSON objects, of runs' checkpoints (`key`, `seed`, `step`, `checkpoint_sha256`, `protocol_sha256`) or
        records (`key`, `seed`, `records_to_step`, `metrics_sha256`). ValueError where the name is taken.
        """
        added = []
        for page, figure in enumerate(figures, start=1):
            suffix = f"-{page}" if len(figures) > 1 else ""
            called = title if len(figures) == 1 else self._page_title(title, page, len(figures))
            is_logarithmic = any("log" in (axes.get_xscale(), axes.get_yscale()) for axes in figure.axes)
            path = f"figures/{name}{suffix}.png"
            if path in self._pictures:
                raise ValueError(f"two pictures of one report are named {path}")
            files = figure_files(figure, self._runs.texts(called, sources))
            self._pictures[path] = Picture(path, called, files.png, sources, is_logarithmic, files.svg)
            added.append(self._pictures[path])
        return added

    def _page_title(self, title: str, page: int, pages: int) -> str:
        return self._language.say("{title} (page {page} of {pages})", title=title, page=page, pages=pages)
