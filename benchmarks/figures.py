"""What the evaluation benchmark finds: seconds of both sides, and how far their values are apart."""

from __future__ import annotations

from dataclasses import dataclass

from harness.design.evaluation_settings import Precision

DISTANCE_TOLERANCE = 1e-6
"""Relative, of the Fréchet distance alone, where the same mean and covariance go in."""

FID_TOLERANCE = 1e-3
"""Relative, from image to number in float32."""


@dataclass(frozen=True)
class DistanceFigures:
    """Median seconds of `rounds`; difference: relative, the larger one of ours."""

    dims: int
    rounds: int
    peer_s: float
    reference_decomposed_s: float
    from_scratch_s: float
    difference: float


@dataclass(frozen=True)
class CheckpointFigures:
    """Seconds of all repeats at one checkpoint, and each repeat's FID by both ways.

    load_s, real_features_s, decompose_s: ours, what only a grid's first checkpoint pays.
    peer_load_s: the peer's network, which it too loads once. Its tuples may be shorter than ours: each of its repeats
    costs the same, so that the seconds of all are those measured, scaled.
    """

    device: str
    real: int
    generated: int
    load_s: float
    real_features_s: float
    decompose_s: float
    features_s: tuple[float, ...]
    distance_s: tuple[float, ...]
    peer_load_s: float
    peer_features_s: tuple[float, ...]
    peer_distance_s: tuple[float, ...]
    fids: tuple[float, ...]
    peer_fids: tuple[float, ...]

    @property
    def repeats(self) -> int:
        return len(self.fids)

    @property
    def peer_repeats(self) -> int:
        """How many of them the peer measured."""
        return len(self.peer_fids)

    @property
    def later_s(self) -> float:
        return sum(self.features_s) + sum(self.distance_s)

    @property
    def first_s(self) -> float:
        return self.load_s + self.real_features_s + self.decompose_s + self.later_s

    @property
    def peer_all_features_s(self) -> float:
        """Of all repeats, scaled from those measured; real and generated images."""
        return sum(self.peer_features_s) * self.repeats / self.peer_repeats

    @property
    def peer_all_distance_s(self) -> float:
        """Of all repeats, scaled from those measured."""
        return sum(self.peer_distance_s) * self.repeats / self.peer_repeats

    @property
    def peer_s(self) -> float:
        return self.peer_all_features_s + self.peer_all_distance_s

    @property
    def first_ratio(self) -> float:
        return (self.peer_load_s + self.peer_s) / self.first_s

    @property
    def later_ratio(self) -> float:
        return self.peer_s / self.later_s

    @property
    def images_per_s(self) -> float:
        return self.repeats * self.generated / sum(self.features_s)

    @property
    def peer_images_per_s(self) -> float:
        return self.peer_repeats * (self.real + self.generated) / sum(self.peer_features_s)

    @property
    def difference(self) -> float:
        """The largest relative difference between the two ways' values, of the repeats that both measured."""
        return max(relative(ours, theirs) for ours, theirs in zip(self.fids, self.peer_fids, strict=False))


@dataclass(frozen=True)
class PrecisionFigures:
    """The same images in float32 and in another precision: images a second, and FID."""

    device: str
    precision: Precision
    images: int
    float32_images_per_s: float
    images_per_s: float
    float32_fid: float
    fid: float

    @property
    def difference(self) -> float:
        return relative(self.fid, self.float32_fid)


def relative(value: float, expected: float) -> float:
    return abs(value - expected) / abs(expected)
