"""The pictures of one report: each PNG with the runs, checkpoints and protocols that it shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

from harness.report.figures.style import png


@dataclass(frozen=True)
class Picture:
    """path: relative to the report; title: for people who cannot see it; sources: what report.json says of it.

    is_logarithmic: whether one of its axes is.
    """

    path: str
    title: str
    content: bytes = field(repr=False)
    sources: list[dict[str, Any]]
    is_logarithmic: bool


class Album:
    """Collects the pictures that sections draw, and what they would have shown but lack. Each path is taken once."""

    def __init__(self, experiment: str) -> None:
        self._experiment = experiment
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
        """Figures as `figures/NAME.png`, or as numbered pages of that name where there are several.

        sources: JSON objects, of runs' checkpoints (`key`, `seed`, `step`, `checkpoint_sha256`, `protocol_sha256`) or
        records (`key`, `seed`, `records_to_step`, `metrics_sha256`). ValueError where the name is taken.
        """
        added = []
        for page, figure in enumerate(figures, start=1):
            suffix = f"-{page}" if len(figures) > 1 else ""
            of = f" (page {page} of {len(figures)})" if len(figures) > 1 else ""
            about = {
                "Title": title + of,
                "harness:experiment": self._experiment,
                "harness:sources": json.dumps(sources, sort_keys=True),
            }
            is_logarithmic = any("log" in (axes.get_xscale(), axes.get_yscale()) for axes in figure.axes)
            path = f"figures/{name}{suffix}.png"
            if path in self._pictures:
                raise ValueError(f"two pictures of one report are named {path}")
            self._pictures[path] = Picture(path, title + of, png(figure, about), sources, is_logarithmic)
            added.append(self._pictures[path])
        return added
