"""The Frechet distance between two Gaussians fitted to features, in float64, and its extrapolation to many images.

Heusel et al. 2017 (arXiv:1706.08500), eq. 6; Dowson & Landau 1982, eq. 16:

    d^2 = |m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2))

With any H such that H H^T = S1, the nonzero eigenvalues of S1 S2 are those of the symmetric H^T S2 H, so the
last trace is the sum of their square roots. That needs no root of a matrix that is not symmetric, holds for
covariances without full rank, and decomposes the reference's covariance only once. H is chosen lower triangular:
half of it is zero and half of the product need not be computed, a third of the work of two full products; and the
product is graded from large to small, so that its small eigenvalues keep their digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.evaluation.features import require_features

Float64Array = NDArray[np.float64]

_ROWS_AT_ONCE = 4096
"""Rows centered at once, so that no second copy of all features is made."""

_BLOCK = 512
"""Columns of a triangular factor multiplied at once: large enough for BLAS, small enough to skip what is zero."""


@dataclass(frozen=True, eq=False)
class Moments:
    """mean [d] and covariance [d, d] (divided by count - 1) of `count` feature vectors, float64."""

    count: int
    mean: Float64Array
    covariance: Float64Array


@dataclass(frozen=True, eq=False)
class Reference:
    """The real side of the distance: mean [d], H [d, rank] with H H^T = covariance, and its trace.

    H is zero above its diagonal, ValueError where it is not.
    """

    mean: Float64Array
    factor: Float64Array
    trace: float

    def __post_init__(self) -> None:
        if self.factor.ndim != 2 or len(self.factor) != self.mean.size or np.triu(self.factor, 1).any():
            raise ValueError("the factor of a covariance is lower triangular, with a row for each dim of the mean")


def moments(features: NDArray[Any]) -> Moments:
    """Mean and covariance of features [n, d] in two passes; HarnessError where n < 2 or one is not finite."""
    require_features(features, least=2, what="FID")
    mean = features.mean(axis=0, dtype=np.float64)
    scatter = np.zeros((features.shape[1], features.shape[1]))
    for start in range(0, len(features), _ROWS_AT_ONCE):
        centered = features[start : start + _ROWS_AT_ONCE] - mean
        scatter += centered.T @ centered  # one half only, mirrored: numpy takes BLAS's syrk for A^T A
    return Moments(count=len(features), mean=mean, covariance=scatter / (len(features) - 1))


def merge_moments(parts: Sequence[Moments]) -> Moments:
    """Moments of all images together from those of disjoint parts, in any order, exact up to rounding.

    Chan, Golub & LeVeque 1979 (Stanford CS-79-773), for several parts at once. ValueError for no parts or
    unequal dims.
    """
    if len({part.mean.shape for part in parts}) != 1:
        raise ValueError("moments to merge are of one or more parts with equal dims")
    count = sum(part.count for part in parts)
    mean = sum((part.count / count * part.mean for part in parts), np.zeros_like(parts[0].mean))
    shifts = np.stack([np.sqrt(part.count) * (part.mean - mean) for part in parts])
    scatter = shifts.T @ shifts
    for part in parts:
        scatter += (part.count - 1) * part.covariance
    return Moments(count=count, mean=mean, covariance=scatter / (count - 1))


def is_rank_deficient(count: int, dims: int) -> bool:
    """Whether the covariance of `count` vectors has no full rank, so that FID is hardly more than its bias."""
    return count - 1 < dims


def reference_of(real: Moments) -> Reference:
    """H by Cholesky's S1 = H H^T; without full rank by S1 = V diag(l) V^T and V diag(l^(1/2)) = H Q.

    Eigenvalues that are zero but for rounding are left out of the second.
    """
    factor = _cholesky(real)
    if factor is None:
        eigenvalues, vectors = np.linalg.eigh(real.covariance)  # ascending
        rounding = _rounding(eigenvalues[-1], len(eigenvalues))
        rank = min(_largest_rank(real), int(np.count_nonzero(eigenvalues > rounding)))
        keep = slice(len(eigenvalues) - rank, None)
        root = vectors[:, keep] * np.sqrt(eigenvalues[keep])
        factor = np.ascontiguousarray(np.asarray(np.linalg.qr(root.T, mode="r")).T)
    return Reference(mean=real.mean, factor=factor, trace=float(np.trace(real.covariance)))


def distance_to(reference: Reference, generated: Moments) -> float:
    """The squared distance d^2 of eq. 6, which is what "FID" names: 0 up to rounding for equal moments."""
    _require_dims(reference, generated.mean.size)
    eigenvalues = np.linalg.eigvalsh(_lower_congruence(reference.factor, generated.covariance), UPLO="L")
    common = min(_largest_rank(generated), len(eigenvalues))
    largest = eigenvalues[len(eigenvalues) - common :]  # the others are zero but for rounding
    overlap = float(np.sqrt(np.clip(largest, 0.0, None)).sum())
    return _squared(reference, generated.mean, float(np.trace(generated.covariance)), overlap)


def distance_of_features(reference: Reference, features: NDArray[Any]) -> float:
    """The squared distance to the Gaussian fitted to features [n, d], without their covariance where n - 1 < d.

    With Xc the centered features, S2 = Xc^T Xc / (n - 1), so tr((S1 S2)^(1/2)) is the sum of the singular values of
    Xc H / sqrt(n - 1): a smaller matrix than H^T S2 H, and no squares whose rounding drowns small ones. HarnessError
    where n < 2 or a feature is not finite.
    """
    require_features(features, least=2, what="FID")
    _require_dims(reference, features.shape[1])
    if not is_rank_deficient(*features.shape):
        return distance_to(reference, moments(features))
    mean = features.mean(axis=0, dtype=np.float64)
    centered = (features - mean) / np.sqrt(len(features) - 1)
    overlap = float(np.linalg.svd(_times_lower(centered, reference.factor), compute_uv=False).sum())
    return _squared(reference, mean, float(np.vdot(centered, centered)), overlap)


def frechet_distance(a: Moments, b: Moments) -> float:
    """The squared Frechet distance of two Gaussians, symmetric up to rounding."""
    if _largest_rank(b) > _largest_rank(a):
        a, b = b, a  # of full rank, it is decomposed about ten times faster
    return distance_to(reference_of(a), b)


def fid_infinity(pooled: float, repeat_fids: Sequence[float]) -> float:
    """FID extrapolated to infinitely many generated images: (K pooled - mean) / (K - 1) of K disjoint repeats.

    FID of N images is FID_inf + c / N up to terms of order 1 / N^2, with a c of each generator's own (Chong & Forsyth
    2020, arXiv:1911.07023, sec. 3). The mean over repeats of N images and the FID of all K N are two points of that
    line. It keeps the bias of the reference's finite number, may fall below zero, and asks for N well above d.
    HarnessError for fewer than two repeats.
    """
    count = _repeats(repeat_fids)
    return (count * pooled - float(np.mean(repeat_fids))) / (count - 1)


def fid_infinity_standard_error(repeat_fids: Sequence[float]) -> float:
    """Standard error of `fid_infinity` over the generated images' draw: SD of the repeats' FIDs / sqrt(K).

    To first order, pooled FID and mean over repeats are averages over the same images and vary together, and so does
    their extrapolation. Intervals take Student's t with K - 1 degrees of freedom; of a generator that is nearly as good
    as the reference itself, where that order vanishes, they are too wide. HarnessError for fewer than two repeats.
    """
    count = _repeats(repeat_fids)
    return float(np.std(repeat_fids, ddof=1)) / float(np.sqrt(count))


def _repeats(repeat_fids: Sequence[float]) -> int:
    if len(repeat_fids) < 2:
        raise HarnessError(
            f"the extrapolation of FID needs at least 2 repeats, and was given {len(repeat_fids)}",
            remedy="Raise `repeats`, or leave fid_infinity out.",
        )
    return len(repeat_fids)


def _cholesky(fitted: Moments) -> Float64Array | None:
    """The lower triangular root of the covariance, None where rounding is not small beside its smallest pivot."""
    dims = fitted.mean.size
    if _largest_rank(fitted) < dims:
        return None
    try:
        factor: Float64Array = np.asarray(np.linalg.cholesky(fitted.covariance), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None
    pivots = np.diag(factor) ** 2
    return factor if pivots.min() > _rounding(np.diag(fitted.covariance).max(), dims) else None


def _lower_congruence(factor: Float64Array, covariance: Float64Array) -> Float64Array:
    """The lower triangle of H^T S H [r, r] for a lower triangular H [d, r]; zero above it, but for whole blocks."""
    right = _times_lower(covariance, factor)
    rank = factor.shape[1]
    product = np.zeros((rank, rank))
    for start in range(0, rank, _BLOCK):
        end = min(start + _BLOCK, rank)
        product[start:end, :end] = factor[start:, start:end].T @ right[start:, :end]
    return product


def _times_lower(left: Float64Array, factor: Float64Array) -> Float64Array:
    """left [n, d] times a lower triangular H [d, r], without multiplying by what lies above its diagonal."""
    product = np.empty((len(left), factor.shape[1]))
    for start in range(0, factor.shape[1], _BLOCK):
        end = start + _BLOCK
        product[:, start:end] = left[:, start:] @ factor[start:, start:end]
    return product


def _squared(reference: Reference, mean: Float64Array, trace: float, overlap: float) -> float:
    shift = reference.mean - mean
    squared = float(shift @ shift) + reference.trace + trace - 2 * overlap
    return max(squared, 0.0)  # a difference of equal terms may round below zero


def _require_dims(reference: Reference, dims: int) -> None:
    if reference.mean.size != dims:
        raise ValueError(f"features of {dims} dims against a reference of {reference.mean.size} dims")


def _largest_rank(fitted: Moments) -> int:
    """A covariance of n vectors in d dims has at most rank min(n - 1, d)."""
    return min(fitted.count - 1, fitted.mean.size)


def _rounding(largest: float, dims: int) -> float:
    """What an eigenvalue or pivot of zero may come out as."""
    return dims * float(np.finfo(np.float64).eps) * max(float(largest), 0.0)
