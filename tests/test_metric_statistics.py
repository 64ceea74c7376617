"""What metrics are on average over many draws: bias, coverage of intervals, values to be expected of real images.

Seeds are fixed. Bounds are stated in standard errors of the average over draws, so that an estimator without the
property fails: each test has a near miss that does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats

from harness.evaluation.classes import class_kl, classify
from harness.evaluation.frechet import (
    Float64Array,
    Moments,
    distance_to,
    fid_infinity,
    fid_infinity_standard_error,
    merge_moments,
    moments,
    reference_of,
)
from harness.evaluation.kernel import kid
from harness.evaluation.manifold import compare, manifold_of

DIMS = 8
SD = np.logspace(0.2, -0.5, DIMS)
"""Of the real features; generated ones have unit variance and, unless said, a mean of 0.3."""

REAL = Moments(count=10**6, mean=np.zeros(DIMS), covariance=np.diag(SD**2))


def draw(generator: np.random.Generator, count: int, mean: float = 0.3) -> Float64Array:
    return generator.standard_normal((count, DIMS)) + mean


def true_fid(mean: float = 0.3) -> float:
    return DIMS * mean**2 + float(((1 - SD) ** 2).sum())


def repeats(generator: np.random.Generator, count: int, repeats: int) -> tuple[float, list[float]]:
    """FID of all repeats together, and of each."""
    reference = reference_of(REAL)
    parts = [moments(draw(generator, count)) for _ in range(repeats)]
    return distance_to(reference, merge_moments(parts)), [distance_to(reference, part) for part in parts]


def within(values: list[float], truth: float, standard_errors: float) -> bool:
    return abs(np.mean(values) - truth) < standard_errors * np.std(values, ddof=1) / np.sqrt(len(values))


def test_fid_is_biased_by_a_constant_over_the_number_of_images() -> None:
    """Half the images, twice the bias: a ratio of 2 within 10 %, about three standard errors."""
    generator = np.random.default_rng(0)
    reference = reference_of(REAL)

    def bias(count: int, draws: int) -> float:
        values = [distance_to(reference, moments(draw(generator, count))) for _ in range(draws)]
        assert not within(values, true_fid(), 3.5)
        return float(np.mean(values)) - true_fid()

    few, more, many = bias(50, 6000), bias(100, 8000), bias(200, 12000)
    assert few / more == pytest.approx(2.0, rel=0.1)
    assert more / many == pytest.approx(2.0, rel=0.15)


def test_extrapolated_fid_has_no_such_bias() -> None:
    generator = np.random.default_rng(1)
    found = [repeats(generator, 200, 4) for _ in range(1500)]
    assert within([fid_infinity(pooled, fids) for pooled, fids in found], true_fid(), 3.0)
    for biased in ([pooled for pooled, _ in found], [float(np.mean(fids)) for _, fids in found]):
        assert not within(biased, true_fid(), 3.5)


def coverage(count: int, trials: int, half_width: Callable[[list[float]], float]) -> float:
    """Share of intervals around the extrapolation, each of five repeats, that hold the true distance."""
    generator = np.random.default_rng(2)
    held = 0
    for _ in range(trials):
        pooled, fids = repeats(generator, count, 5)
        held += abs(fid_infinity(pooled, fids) - true_fid()) < half_width(fids)
    return held / trials


def test_intervals_of_the_extrapolation_hold_the_truth_as_often_as_they_say() -> None:
    """95 % by Student's t with 4 degrees of freedom: 93 to 97 % of 1500 trials, three and a half standard errors."""
    t = float(scipy.stats.t.ppf(0.975, 4))
    assert 0.93 < coverage(300, 1500, lambda fids: t * fid_infinity_standard_error(fids)) < 0.97
    assert coverage(300, 1500, lambda fids: 1.96 * fid_infinity_standard_error(fids)) < 0.91


def test_intervals_are_too_wide_rather_than_too_narrow_for_a_perfect_generator() -> None:
    generator = np.random.default_rng(3)
    perfect = reference_of(Moments(count=10**6, mean=np.zeros(DIMS), covariance=np.eye(DIMS)))
    t = float(scipy.stats.t.ppf(0.975, 4))
    held = 0
    for _ in range(500):
        parts = [moments(draw(generator, 300, mean=0.0)) for _ in range(5)]
        fids = [distance_to(perfect, part) for part in parts]
        estimate = fid_infinity(distance_to(perfect, merge_moments(parts)), fids)
        held += abs(estimate) < t * fid_infinity_standard_error(fids)
    assert held / 500 > 0.97


def biased_kid(generated: Float64Array, real: Float64Array) -> float:
    """With the pairs of a vector and itself, as MMD's V-statistic has them."""
    pairs = [(generated, generated), (real, real), (generated, real)]
    own, among_real, across = (float(((a @ b.T / a.shape[1] + 1) ** 3).mean()) for a, b in pairs)
    return own + among_real - 2 * across


def test_kid_is_zero_on_average_where_both_sides_are_drawn_alike() -> None:
    generator = np.random.default_rng(4)
    pairs = [(draw(generator, 40), draw(generator, 70)) for _ in range(1500)]
    values = [kid(*pair) for pair in pairs]
    assert within(values, 0.0, 3.0)
    assert min(values) < 0
    assert not within([biased_kid(*pair) for pair in pairs], 0.0, 10.0)


def mean_kernel(a: Float64Array, b: Float64Array) -> float:
    """E k(x, y) for x ~ N(a, I) and y ~ N(b, I), from the first three moments of x . y."""
    dims, ab, aa, bb = len(a), float(a @ b), float(a @ a), float(b @ b)
    second = ab**2 + aa + bb + dims
    third = ab**3 + 3 * ab * (aa + bb + dims + 2)
    return third / dims**3 + 3 * second / dims**2 + 3 * ab / dims + 1


def test_kid_of_few_images_is_the_populations_on_average() -> None:
    generator = np.random.default_rng(5)
    a, b = np.zeros(DIMS), np.full(DIMS, 0.3)
    truth = mean_kernel(a, a) + mean_kernel(b, b) - 2 * mean_kernel(a, b)
    few = [(draw(generator, 20, mean=0.0), draw(generator, 30)) for _ in range(4000)]
    assert truth > 0.1
    assert within([kid(*pair) for pair in few], truth, 3.5)
    assert not within([biased_kid(*pair) for pair in few], truth, 10.0)


def test_further_real_images_are_as_far_as_real_ones_are_apart() -> None:
    """A share of 0.05, at 400 real images up to 0.003 more; the mean of 150 has a standard error of 0.002."""
    generator = np.random.default_rng(6)
    found = []
    for _ in range(150):
        real = manifold_of(draw(generator, 400))
        found.append(compare(real, manifold_of(draw(generator, 300))))
    assert 0.044 < np.mean([one.nearest_share for one in found]) < 0.059
    assert np.mean([one.nearest_ratio for one in found]) == pytest.approx(1.0, abs=0.01)
    assert np.mean([one.density for one in found]) == pytest.approx(1.0, abs=0.02)
    nearer = [(0.95 * one.nearest < np.percentile(one.real.apart, 5)).mean() for one in found]
    assert np.mean(nearer) > 0.065


def test_coverage_of_further_real_images_is_as_derived() -> None:
    """1 - prod_{i=0}^{k-1} (m - 1 - i) / (m + n - 1 - i): for m real and n generated images, Naeem et al. 2020."""
    generator = np.random.default_rng(7)
    m, n, k = 120, 60, 5
    expected = 1 - np.prod([(m - 1 - i) / (m + n - 1 - i) for i in range(k)])
    found = [compare(manifold_of(draw(generator, m)), manifold_of(draw(generator, n))).coverage for _ in range(300)]
    assert within(found, float(expected), 3.0)
    assert not within(found, float(1 - np.prod([(m - 1 - i) / (m + n - 1 - i) for i in range(k - 1)])), 3.0)


def test_divergence_of_class_counts_is_biased_by_what_is_said() -> None:
    """(C - 1) / (2 N) within a tenth."""
    generator = np.random.default_rng(8)
    shares = np.arange(1, 11) / 55
    real = np.round(shares * 10**6).astype(np.int64)
    found = [class_kl(generator.multinomial(1000, shares), real) for _ in range(3000)]
    assert np.mean(found) == pytest.approx(9 / 2000, rel=0.1)


def test_inception_score_rises_with_the_number_of_images_towards_its_value() -> None:
    generator = np.random.default_rng(9)
    logits = generator.standard_normal((20000, 10)) * 2
    scores = [
        np.mean([classify([generator.permutation(logits)[:count]]).inception_score for _ in range(100)])
        for count in (10, 50, 500)
    ]
    assert scores == sorted(scores)
    assert scores[0] < 0.92 * classify([logits]).inception_score
    assert scores[2] == pytest.approx(classify([logits]).inception_score, rel=0.02)
