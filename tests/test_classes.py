"""Inception Score, class counts and their divergence against SciPy and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import scipy.stats

from harness.errors import HarnessError
from harness.evaluation.classes import Classification, class_kl, classify, missing_classes

Logits = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def logits(seed: int, count: int, classes: int) -> Logits:
    return np.random.default_rng(seed).normal(scale=3.0, size=(count, classes))


def of(x: Logits) -> Classification:
    """In blocks of 40, the last one smaller."""
    return classify(np.split(x, range(40, len(x), 40)))


@pytest.mark.parametrize("count", [2, 100, 9000])
def test_inception_score_is_the_mean_divergence_from_the_marginal(count: int) -> None:
    x = logits(1, count, 10)
    p = scipy.special.softmax(x, axis=1)
    divergence = scipy.stats.entropy(p, np.broadcast_to(p.mean(axis=0), p.shape), axis=1)
    assert of(x).inception_score == pytest.approx(float(np.exp(divergence.mean())), rel=1e-10)
    wrong_way = scipy.stats.entropy(np.broadcast_to(p.mean(axis=0), p.shape), p, axis=1)
    assert of(x).inception_score != pytest.approx(float(np.exp(wrong_way.mean())), rel=1e-2)


def test_inception_score_reaches_its_bounds() -> None:
    """Sure and even over C classes: C. The same for all images: 1."""
    sure = 1000.0 * np.eye(5)[np.arange(50) % 5]
    assert of(sure).inception_score == pytest.approx(5.0, rel=1e-12)
    assert of(np.tile(logits(2, 1, 5), (30, 1))).inception_score == pytest.approx(1.0, abs=1e-12)
    assert of(1000.0 * np.eye(5)[np.zeros(50, dtype=int)]).inception_score == 1.0


def test_inception_score_sees_only_differences_of_logits() -> None:
    x = logits(3, 40, 6)
    assert of(x + 1e3).inception_score == pytest.approx(of(x).inception_score, rel=1e-9)


def test_class_counts_are_of_the_largest_logit() -> None:
    x = np.array([[0.0, 2.0, 1.0], [5.0, 2.0, 1.0], [0.0, 0.1, 0.0], [0.0, 9.0, 8.0]])
    counts = of(x).counts
    assert counts.dtype == np.int64
    assert counts.tolist() == [1, 3, 0]


def test_only_real_classes_can_be_missing() -> None:
    assert missing_classes(np.array([5, 0, 0, 3]), np.array([10, 10, 0, 10])) == 1
    assert missing_classes(np.array([5, 1, 0, 3]), np.array([10, 10, 0, 10])) == 0
    assert missing_classes(np.array([0, 0, 9, 0]), np.array([10, 10, 0, 10])) == 3


def test_class_kl_has_half_a_real_image_more_in_each_class() -> None:
    counts, real = np.array([30, 0, 70]), np.array([400, 600, 0])
    expected = scipy.stats.entropy([0.3, 0.0, 0.7], np.array([400.5, 600.5, 0.5]) / 1001.5)
    assert class_kl(counts, real) == pytest.approx(float(expected), rel=1e-12)
    assert np.isfinite(class_kl(counts, real))
    assert class_kl(np.array([50, 50]), np.array([500, 500])) == pytest.approx(0.0, abs=1e-12)
    assert class_kl(np.array([100, 0]), np.array([500, 500])) == pytest.approx(np.log(2), rel=1e-12)


def test_blocks_change_nothing_but_rounding() -> None:
    x = logits(5, 300, 6)
    whole, parts = classify([x]), of(x)
    np.testing.assert_array_equal(parts.counts, whole.counts)
    np.testing.assert_allclose(parts.probabilities, scipy.special.softmax(x, axis=1).sum(axis=0), rtol=1e-12)
    assert parts.inception_score == pytest.approx(whole.inception_score, rel=1e-12)


def test_float32_and_large_logits_lose_nothing() -> None:
    huge = classify([np.array([[1e4, 0.0], [-1e4, 0.0]], dtype=np.float32)])
    assert huge.probabilities.tolist() == [1.0, 1.0]
    assert huge.inception_score == pytest.approx(2.0, rel=1e-12)


def test_bad_input_is_refused() -> None:
    broken = logits(4, 100, 3)
    broken[77, 0] = np.nan
    with pytest.raises(HarnessError, match="the first at image 77"):
        of(broken)
    for few in ([], [broken[:1]]):
        with pytest.raises(HarnessError, match=rf"a metric of classes needs at least 2 images.*given {len(few)}"):
            classify(few)
    for of_counts in (missing_classes, class_kl):
        with pytest.raises(ValueError, match="classes"):
            of_counts(np.array([1, 2]), np.array([1, 2, 3]))
        with pytest.raises(ValueError, match="one image or more"):
            of_counts(np.array([0, 0]), np.array([1, 2]))
        with pytest.raises(ValueError, match="one image or more"):
            of_counts(np.array([1, 2]), np.array([0, 0]))
