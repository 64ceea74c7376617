"""Small line charts as numbers for an SVG template, where no plotting library may be loaded.

The live page is written beside training: matplotlib takes a second to load and tens of milliseconds to draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Point = tuple[float, float]

LEFT, RIGHT, TOP, BOTTOM = 42.0, 16.0, 8.0, 22.0
"""Room around the drawing, in pixels."""
LOGARITHMIC_FROM = 10.0
"""Positive values that span more than this factor get a logarithmic axis."""
MOST_TICKS = 5


@dataclass(frozen=True)
class Series:
    """One line: its points in data units, ascending in x. dash: an SVG dash pattern, empty for a solid line."""

    name: str
    color: str
    points: Sequence[Point]
    dash: str = ""


@dataclass(frozen=True)
class Line:
    """One line in pixels; dots: its points, where they are few enough to be seen apart."""

    name: str
    color: str
    dash: str
    path: str
    dots: tuple[Point, ...]


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True)
class Chart:
    """width, height and all places in pixels, y downwards; is_logarithmic: of the vertical axis."""

    width: float
    height: float
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    is_logarithmic: bool

    @property
    def left(self) -> float:
        return LEFT

    @property
    def right(self) -> float:
        return self.width - RIGHT

    @property
    def top(self) -> float:
        return TOP

    @property
    def bottom(self) -> float:
        return self.height - BOTTOM


def chart(series: Sequence[Series], end: float, width: float, height: float) -> Chart | None:
    """A chart from x = 0 to `end`; None where there is no finite point."""
    values = [y for line in series for _, y in line.points if math.isfinite(y)]
    if not values:
        return None
    low, high = min(values), max(values)
    is_logarithmic = low > 0 and high / low > LOGARITHMIC_FROM
    y_values = _log_ticks(low, high) if is_logarithmic else _ticks(low, high)
    low, high = min(low, y_values[0]), max(high, y_values[-1])
    x_values = [tick for tick in _ticks(0.0, max(end, 1.0)) if tick <= end]

    def x_at(x: float) -> float:
        return round(LEFT + (width - LEFT - RIGHT) * x / max(end, 1.0), 1)

    def y_at(y: float) -> float:
        share = math.log(y / low) / math.log(high / low) if is_logarithmic else (y - low) / (high - low)
        return round(height - BOTTOM - (height - TOP - BOTTOM) * share, 1)

    lines = []
    for one in series:
        places = [(x_at(x), y_at(y)) for x, y in one.points if math.isfinite(y)]
        path = " ".join(f"{x:g},{y:g}" for x, y in places)
        lines.append(Line(one.name, one.color, one.dash, path, tuple(places) if len(places) <= 30 else ()))
    return Chart(
        width,
        height,
        tuple(lines),
        tuple(Tick(x_at(tick), f"{tick:g}") for tick in x_values),
        tuple(Tick(y_at(tick), f"{tick:g}") for tick in y_values),
        is_logarithmic,
    )


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """At most `most` points and the last: means of neighbors, so that a spike between two of them still shows."""
    if len(points) <= most:
        return list(points)
    size = -(-len(points) // most)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], sum(y for _, y in group) / len(group)) for group in groups]


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from at most `low` to at least `high`, never just one."""
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    rough = (high - low) / (MOST_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * mantissa for mantissa in (1, 2, 2.5, 5, 10) if power * mantissa >= rough * (1 - 1e-9))
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten that enclose the values; powers alone where those would be many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [mantissa * 10.0**power for power in powers for mantissa in (1, 2, 5)]
    inside = [index for index, tick in enumerate(ticks) if low <= tick <= high] or [0]
    enclosing = ticks[max(0, inside[0] - 1) : inside[-1] + 2]
    if len(enclosing) > MOST_TICKS + 2:
        return [10.0**power for power in powers]
    return enclosing
