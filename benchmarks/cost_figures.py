"""What the cost model finds: seconds of each round, beside what the machine could do at best in that round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from step_profile import Profile


@dataclass(frozen=True)
class Rounds:
    """Seconds of the same work in each round, and in the same rounds its limits.

    limit_s: all its operations and bytes at the machine's best rates; alone_s: its convolutions one by one as their
    library runs them, and all else at the best rate.
    """

    seconds: tuple[float, ...]
    limit_s: tuple[float, ...]
    alone_s: tuple[float, ...]

    @property
    def median_s(self) -> float:
        return median(self.seconds)

    @property
    def share(self) -> float:
        """Of the limit that is reached: 1 where the work takes no longer than it must."""
        return median(limit / taken for limit, taken in zip(self.limit_s, self.seconds, strict=True))

    @property
    def share_alone(self) -> float:
        """Of the work's time that its convolutions would take by themselves."""
        return median(alone / taken for alone, taken in zip(self.alone_s, self.seconds, strict=True))


@dataclass(frozen=True)
class StepPoint:
    """One training step at one size. operations: floating point; moved_bytes: by everything but convolutions."""

    latent_dim: int
    hidden_dim: int
    resolution: int
    operations: int
    moved_bytes: int
    rounds: Rounds


@dataclass(frozen=True)
class RunPoint:
    """Whole runs of so many steps at (16, 16): one, and two side by side. limit_s: of one run's steps."""

    steps: int
    one_s: tuple[float, ...]
    two_s: tuple[float, ...]
    limit_s: float


@dataclass(frozen=True)
class EvaluationPoint:
    """The FID of so many generated images, on one thread."""

    extractor: str
    samples: int
    operations: int
    rounds: Rounds


@dataclass(frozen=True)
class LayerRates:
    """One layer's convolutions at one size, as they run by themselves: GFLOP/s by kind, and ms of all in one step."""

    latent_dim: int
    hidden_dim: int
    layer: str
    gflops: Mapping[str, float]
    step_ms: float


@dataclass(frozen=True)
class CostModel:
    """operations_s, bytes_s: the machine's best rates in each round, on one thread."""

    operations_s: tuple[float, ...]
    bytes_s: tuple[float, ...]
    steps: tuple[StepPoint, ...]
    runs: tuple[RunPoint, ...]
    evaluations: tuple[EvaluationPoint, ...]
    layers: tuple[LayerRates, ...]
    profiles: tuple[Profile, ...]

    def widths(self) -> list[StepPoint]:
        return [one for one in self.steps if one.latent_dim == 16 and one.resolution == 32]

    def resolutions(self) -> list[StepPoint]:
        found = [one for one in self.steps if one.latent_dim == 16 and one.hidden_dim == 16]
        return sorted(found, key=lambda one: one.resolution)

    def evaluations_of(self, extractor: str) -> list[EvaluationPoint]:
        return [one for one in self.evaluations if one.extractor == extractor]


@dataclass(frozen=True)
class Line:
    """Seconds = intercept_s + slope_s * amount. off: the largest distance of a point from it, relative."""

    intercept_s: float
    slope_s: float
    off: float


def line_through(amounts: Sequence[float], seconds: Sequence[float]) -> Line:
    """The line of least relative squares: no point counts more because it is long."""
    x, y = np.asarray(amounts, dtype=np.float64), np.asarray(seconds, dtype=np.float64)
    slope, intercept = np.polyfit(x, y, 1, w=1 / y)
    return Line(float(intercept), float(slope), float(np.max(np.abs(intercept + slope * x - y) / y)))
