"""The kernel inception distance: squared maximum mean discrepancy of features under a cubic kernel, unbiased.

Binkowski et al. 2018 (arXiv:1801.01401), sec. 4, with k(x, y) = (x . y / d + 1)^3 and the U-statistic of Gretton et al.
2012, eq. 3, over all pairs rather than over random subsets, whose spread is no standard error because they overlap:

    MMD^2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j)

Its expectation is 0 where both sides are drawn alike, whatever their numbers, so single values may be negative.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.design.metrics import METRICS
from harness.evaluation.features import Beat, Features, no_beat, require_features, require_same_dims

_ROWS_AT_ONCE = 1024
"""Of either side: 8 MiB of kernel values at once."""


def kid(
    generated: Features, real: Features, real_term: float | None = None, *, between_blocks: Beat = no_beat
) -> float:
    """KID of features [n, d] against [m, d]. real_term: `self_term(real)` where it was computed before.

    between_blocks is called before each block of pairs; what it raises ends the work. HarnessError for fewer than two
    images on a side or features that are not finite, ValueError for unequal dims.
    """
    require_features(real, least=METRICS["kid"].least, what="KID")
    generated_term = self_term(generated, between_blocks=between_blocks)
    require_same_dims(generated, real)
    cross = 0.0
    for i in _starts(generated):
        rows = _rows(generated, i)
        for j in _starts(real):
            between_blocks()
            cross += _kernel_sum(rows, _rows(real, j))
    if real_term is None:
        real_term = self_term(real, between_blocks=between_blocks)
    return generated_term + real_term - 2 * cross / (len(generated) * len(real))


def self_term(features: Features, *, between_blocks: Beat = no_beat) -> float:
    """The mean of k over all pairs of different rows of features [n, d], in float64; else as `kid`."""
    require_features(features, least=METRICS["kid"].least, what="KID")
    total = 0.0
    for i in _starts(features):
        between_blocks()
        rows = _rows(features, i)
        own = np.einsum("nd,nd->n", rows, rows) / features.shape[1] + 1.0
        total += _kernel_sum(rows, rows) - float((own**3).sum())
        for j in range(i + _ROWS_AT_ONCE, len(features), _ROWS_AT_ONCE):
            between_blocks()
            total += 2.0 * _kernel_sum(rows, _rows(features, j))
    return total / (len(features) * (len(features) - 1))


def _kernel_sum(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The sum of k over all pairs of a row of a [n, d] and one of b [m, d]."""
    base = a @ b.T
    base /= a.shape[1]
    base += 1.0
    return float(np.vdot(base * base, base))


def _starts(features: Features) -> range:
    return range(0, len(features), _ROWS_AT_ONCE)


def _rows(features: Features, start: int) -> NDArray[np.float64]:
    return features[start : start + _ROWS_AT_ONCE].astype(np.float64)
