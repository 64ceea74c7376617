"""The Frechet distance between two Gaussians fitted to features, in float64.

Heusel et al. 2017 (arXiv:1706.08500), eq. 6; Dowson & Landau 1982, eq. 16:

    d^2 = |m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2))

With any H such that H H^T = S1, the nonzero eigenvalues of S1 S2 are those of the symmetric H^T S2 H, so the
last trace is the sum of their square roots. That needs no root of a matrix that is not symmetric, holds for
covariances without full rank, and decomposes the reference's covariance only once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from harness.errors import DamagedFileError, HarnessError

Float64Array = NDArray[np.float64]

_ROWS_AT_ONCE = 4096
"""Rows centered at once, so that no second copy of all features is made."""


@dataclass(frozen=True, eq=False)
class Moments:
    """mean [d] and covariance [d, d] (divided by count - 1) of `count` feature vectors, float64."""

    count: int
    mean: Float64Array
    covariance: Float64Array


@dataclass(frozen=True, eq=False)
class Reference:
    """The real side of the distance: mean [d], H [d, rank] with H H^T = covariance, and its trace."""

    mean: Float64Array
    factor: Float64Array
    trace: float

    def to_bytes(self) -> bytes:
        """As safetensors, bit for bit."""
        arrays = {"mean": self.mean, "factor": self.factor, "trace": np.array([self.trace])}
        return safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in arrays.items()})

    @classmethod
    def from_bytes(cls, content: bytes) -> Reference:
        """Reads what `to_bytes` made; DamagedFileError for anything else."""
        try:
            arrays = safetensors.numpy.load(content)
            return cls(mean=arrays["mean"], factor=arrays["factor"], trace=float(arrays["trace"][0]))
        except (safetensors.SafetensorError, KeyError, IndexError) as error:
            raise DamagedFileError(f"not reference statistics: {error}", remedy="They are made again.") from error


def moments(features: NDArray[Any]) -> Moments:
    """Mean and covariance of features [n, d], n >= 2, in two passes; HarnessError where one is not finite."""
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"features are [n, d] with n >= 2, not {list(features.shape)}")
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        raise HarnessError(
            f"{np.count_nonzero(~finite)} of {len(features)} feature vectors hold NaN or infinity, "
            f"the first at image {int(np.argmin(finite))}",
            remedy="Images are uint8 and so finite: the extractor's weights are damaged or not meant for it.",
        )
    mean = features.mean(axis=0, dtype=np.float64)
    scatter = np.zeros((features.shape[1], features.shape[1]))
    for start in range(0, len(features), _ROWS_AT_ONCE):
        centered = features[start : start + _ROWS_AT_ONCE] - mean
        scatter += centered.T @ centered
    return Moments(count=len(features), mean=mean, covariance=scatter / (len(features) - 1))


def reference_of(real: Moments) -> Reference:
    """H = V diag(l^(1/2)) of S1 = V diag(l) V^T, without the eigenvalues that are zero but for rounding."""
    eigenvalues, vectors = np.linalg.eigh(real.covariance)  # ascending
    rounding = len(eigenvalues) * np.finfo(np.float64).eps * max(float(eigenvalues[-1]), 0.0)
    rank = min(_largest_rank(real), int(np.count_nonzero(eigenvalues > rounding)))
    keep = slice(len(eigenvalues) - rank, None)
    factor = vectors[:, keep] * np.sqrt(eigenvalues[keep])
    return Reference(mean=real.mean, factor=factor, trace=float(np.trace(real.covariance)))


def distance_to(reference: Reference, generated: Moments) -> float:
    """The squared distance d^2 of eq. 6, which is what "FID" names: 0 up to rounding for equal moments."""
    if reference.mean.shape != generated.mean.shape:
        raise ValueError(f"features of {generated.mean.size} dims against a reference of {reference.mean.size} dims")
    shift = reference.mean - generated.mean
    product = reference.factor.T @ generated.covariance @ reference.factor
    eigenvalues = np.linalg.eigvalsh((product + product.T) / 2)
    common = min(_largest_rank(generated), len(eigenvalues))
    largest = eigenvalues[len(eigenvalues) - common :]  # the others are zero but for rounding
    overlap = float(np.sqrt(np.clip(largest, 0.0, None)).sum())
    squared = float(shift @ shift) + reference.trace + float(np.trace(generated.covariance)) - 2 * overlap
    return max(squared, 0.0)  # a difference of equal terms may round below zero


def frechet_distance(a: Moments, b: Moments) -> float:
    """The squared Frechet distance of two Gaussians, symmetric up to rounding."""
    return distance_to(reference_of(a), b)


def _largest_rank(fitted: Moments) -> int:
    """A covariance of n vectors in d dims has at most rank min(n - 1, d)."""
    return min(fitted.count - 1, fitted.mean.size)
