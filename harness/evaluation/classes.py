"""Metrics of what a classifier takes images for: Inception Score, class counts, missing classes, their divergence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.design.metrics import METRICS
from harness.evaluation.features import Features, require_features

_ROWS_AT_ONCE = 4096

Counts = NDArray[np.int64]
"""Images by class, [C]."""


def probabilities(logits: Features) -> NDArray[np.float64]:
    """Softmax of logits [N, C] in float64: rows in [0, 1] that add up to 1."""
    return np.exp(_log_softmax(logits))


def inception_score(logits: Features) -> float:
    """exp(mean_x KL(p(y|x) || p(y))) of logits [N, C], from 1 to C; Salimans et al. 2016 (arXiv:1606.03498), sec. 4.

    p(y) is the mean of p(y|x) over all images, without the ten splits of the authors' code, which bias it further
    down (Barratt & Sharma 2018, arXiv:1801.01973). HarnessError for too few images or logits that are not finite.
    """
    require_features(logits, least=METRICS["inception_score"].least, what="the Inception Score")
    marginal = np.zeros(logits.shape[1])
    negative_entropy = 0.0
    for start in range(0, len(logits), _ROWS_AT_ONCE):
        log_p = _log_softmax(logits[start : start + _ROWS_AT_ONCE])
        p = np.exp(log_p)
        marginal += p.sum(axis=0)
        negative_entropy += float(np.vdot(p, log_p))
    marginal /= len(logits)
    seen = marginal[marginal > 0]
    information = negative_entropy / len(logits) - float(seen @ np.log(seen))
    return float(np.exp(max(information, 0.0)))  # equal rows may round below zero


def class_counts(logits: Features) -> Counts:
    """How many of the images of logits [N, C] are taken for each class, [C]; errors as `inception_score`."""
    require_features(logits, least=METRICS["missing_classes"].least, what="the count of classes")
    return np.bincount(np.argmax(logits, axis=1), minlength=logits.shape[1]).astype(np.int64)


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
