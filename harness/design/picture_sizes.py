"""How large pictures of many images may become: asked when the plan is made, and again before one is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import ExperimentFileError

if TYPE_CHECKING:
    from harness.design.experiment import ReportSettings

MAX_PIXELS = 80_000_000
"""Of a picture: what image viewers, and Pillow without a warning, still open."""

SMALLEST_SIDE = 48
"""Pixels that an image has at least beside or over text, so that it can be read."""

SMALLEST_CELL = 32
"""Pixels that an image has at least in a sample grid; smaller ones are enlarged by whole factors."""

GAP = 2
LABEL = 32
"""Pixels at most that a class under an image, with its share of what stands beside all images, adds to a side."""


def enlarged_side(resolution: int) -> int:
    """Pixels of an image on a sheet: repeated by a whole factor until it has at least 48."""
    return resolution * math.ceil(SMALLEST_SIDE / resolution)


@dataclass(frozen=True)
class GridGeometry:
    """Where images lie in a sample grid: `count` of them, row by row, in a nearly square sheet. side: of one, pixels;
    GAP pixels lie between images and around them."""

    count: int
    side: int

    @property
    def columns(self) -> int:
        return math.ceil(math.sqrt(self.count))

    @property
    def rows(self) -> int:
        return math.ceil(self.count / self.columns)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the sheet."""
        pitch = self.side + GAP
        return self.rows * pitch + GAP, self.columns * pitch + GAP

    def place(self, number: int) -> tuple[int, int]:
        """Top and left of an image, counted from 0."""
        pitch = self.side + GAP
        return GAP + number // self.columns * pitch, GAP + number % self.columns * pitch


def grid_geometry(count: int, resolution: int) -> GridGeometry:
    """Of a sample grid of `count` images of so many pixels."""
    return GridGeometry(count, resolution * math.ceil(SMALLEST_CELL / resolution))


def most_images(resolution: int, *, labeled: bool = False) -> int:
    """How many images of so many pixels one picture holds; labeled: with a text under each."""
    return MAX_PIXELS // (enlarged_side(resolution) + GAP + (LABEL if labeled else 0)) ** 2


def too_large(count: int, resolution: int, *, labeled: bool = False) -> str | None:
    """Why one picture does not hold `count` images; None where it does."""
    most = most_images(resolution, labeled=labeled)
    if count <= most:
        return None
    side = enlarged_side(resolution)
    return f"{count} images of {side} pixels do not fit into one picture; {most} would"


def refuse_large_pictures(report: ReportSettings, cells: Mapping[int, str]) -> None:
    """ExperimentFileError where a picture that `report` asks for would be too large; cells: by resolution, the name of
    one that has it."""
    pairs, points = report.interpolations or (0, 0)
    asked = {"samples": (report.samples, False), "interpolations": (pairs * points, False)}
    asked["classes"] = (report.classes or 0, True)
    largest = max(cells, key=enlarged_side)
    for key, (count, labeled) in asked.items():
        if why := too_large(count, largest, labeled=labeled):
            raise ExperimentFileError(
                f"in cell {cells[largest]} (resolution {largest}) {why}",
                where=f"report.{key}",
                remedy="Ask for fewer images.",
            )
