"""Metrics of what a classifier takes images for: Inception Score, class counts, missing classes, their divergence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.design.metrics import METRICS
from harness.evaluation.features import Features, not_finite, require_count

Counts = NDArray[np.int64]
"""Images by class, [C]."""


@dataclass(frozen=True, eq=False)
class Classification:
    """What a classifier takes some images for, all of it sums over them, so that no image's own is kept.

    counts [C]: images by class of the largest logit. probabilities [C]: of p(y|x). negative_entropy: of
    sum_y p(y|x) ln p(y|x).
    """

    counts: Counts
    probabilities: NDArray[np.float64]
    negative_entropy: float

    @property
    def inception_score(self) -> float:
        """exp(mean_x KL(p(y|x) || p(y))), from 1 to C; Salimans et al. 2016 (arXiv:1606.03498), sec. 4.

        p(y) is the mean of p(y|x) over all images, without the ten splits of the authors' code, which bias it further
        down (Barratt & Sharma 2018, arXiv:1801.01973). The mean divergence is that of sum_y p(y|x) ln p(y|x), less
        sum_y p(y) ln p(y).
        """
        count = int(self.counts.sum())
        marginal = self.probabilities / count
        seen = marginal[marginal > 0]
        information = self.negative_entropy / count - float(seen @ np.log(seen))
        return float(np.exp(max(information, 0.0)))  # equal rows may round below zero


def classify(blocks: Iterable[Features]) -> Classification:
    """Of images whose logits come in blocks [n, C]; HarnessError for fewer than two, or logits that are not finite."""
    parts: list[Classification] = []
    count = 0
    for logits in blocks:
        if not np.isfinite(logits).all():
            raise not_finite(logits, first=count)
        log_p = _log_softmax(logits)
        p = np.exp(log_p)
        counts = np.bincount(np.argmax(logits, axis=1), minlength=logits.shape[1]).astype(np.int64)
        parts.append(Classification(counts, p.sum(axis=0), float(np.vdot(p, log_p))))
        count += len(logits)
    require_count(count, least=METRICS["inception_score"].least, what="a metric of classes")
    return Classification(
        np.sum([part.counts for part in parts], axis=0),
        np.sum([part.probabilities for part in parts], axis=0),
        sum(part.negative_entropy for part in parts),
    )


def missing_classes(counts: Counts, reference_counts: Counts) -> int:
    """How many classes of the real images no generated image is of. ValueError for unequal classes or no images."""
    _require_counts(counts, reference_counts)
    return int(np.count_nonzero((np.asarray(reference_counts) > 0) & (np.asarray(counts) == 0)))


def class_kl(counts: Counts, reference_counts: Counts) -> float:
    """KL of the generated images' class shares to the real ones' in nats, >= 0; errors as `missing_classes`.

    Real shares are (count + 1/2) / (total + C/2) (Jeffreys' prior), so that a class that no real image is of costs much
    but not infinitely much. Biased upwards by about (C - 1) / (2 N) with N generated images.
    """
    _require_counts(counts, reference_counts)
    generated = np.asarray(counts, dtype=np.float64)
    real = np.asarray(reference_counts, dtype=np.float64) + 0.5
    p, q = generated / generated.sum(), real / real.sum()
    seen = p > 0
    return max(float(p[seen] @ np.log(p[seen] / q[seen])), 0.0)  # equal shares may round below zero


def _log_softmax(logits: Features) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def _require_counts(counts: Counts, reference_counts: Counts) -> None:
    if np.shape(counts) != np.shape(reference_counts) or np.ndim(counts) != 1:
        raise ValueError(f"counts of {np.shape(counts)} classes against real ones of {np.shape(reference_counts)}")
    if np.sum(counts) < 1 or np.sum(reference_counts) < 1:
        raise ValueError("class shares are of one image or more")
