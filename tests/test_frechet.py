"""The Frechet distance against pytorch-fid, closed forms, and a route without eigenvalues of covariances."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.linalg
from pytorch_fid import fid_score

from harness.errors import HarnessError
from harness.evaluation.frechet import (
    Float64Array,
    Moments,
    Reference,
    distance_of_features,
    distance_to,
    fid_infinity,
    fid_infinity_standard_error,
    frechet_distance,
    is_rank_deficient,
    merge_moments,
    moments,
    reference_of,
)


def features(seed: int, count: int, dims: int, *, rank: int | None = None) -> Float64Array:
    """Correlated features with a spectrum over four orders of magnitude and means of their own."""
    generator = np.random.default_rng(seed)
    mixing = generator.standard_normal((rank or dims, dims)) * np.logspace(0, -2, rank or dims)[:, None]
    return generator.standard_normal((count, rank or dims)) @ mixing + generator.standard_normal(dims)


def gaussian(mean: Float64Array, covariance: Float64Array) -> Moments:
    return Moments(count=10**6, mean=mean, covariance=covariance)


def nuclear_norm_distance(a: Float64Array, b: Float64Array) -> float:
    """From the centered features: tr((S1 S2)^(1/2)) is the sum of the singular values of Xa Xb^T."""
    a_centered, b_centered = ((x - x.mean(axis=0)) / np.sqrt(len(x) - 1) for x in (a, b))
    shift = a.mean(axis=0) - b.mean(axis=0)
    overlap = np.linalg.svd(a_centered @ b_centered.T, compute_uv=False).sum()
    return float(shift @ shift + (a_centered**2).sum() + (b_centered**2).sum() - 2 * overlap)


def test_moments_are_numpys_also_across_blocks_of_rows() -> None:
    x = features(0, 9000, 5)
    fitted = moments(x.astype(np.float32))
    exact = x.astype(np.float32).astype(np.float64)
    assert fitted.count == 9000
    np.testing.assert_allclose(fitted.mean, exact.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(fitted.covariance, np.cov(exact, rowvar=False), rtol=1e-10, atol=1e-14)


def test_moments_of_far_off_features_keep_their_precision() -> None:
    x = features(0, 500, 4)
    np.testing.assert_allclose(moments(x + 1e6).covariance, moments(x).covariance, rtol=1e-6, atol=1e-9)


def pytorch_fid(a: Moments, b: Moments, monkeypatch: pytest.MonkeyPatch) -> float:
    # pytorch-fid asks SciPy for sqrtm's estimated error, which SciPy 1.18 no longer gives and nobody uses.
    plain_sqrtm = SimpleNamespace(sqrtm=lambda product, disp: (scipy.linalg.sqrtm(product), None))
    monkeypatch.setattr(fid_score, "linalg", plain_sqrtm)
    return float(fid_score.calculate_frechet_distance(a.mean, a.covariance, b.mean, b.covariance))


@pytest.mark.parametrize(("count", "dims"), [(500, 8), (2000, 64), (300, 128), (1500, 600)])
def test_equals_pytorch_fid(count: int, dims: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """600 dims take more than one block of the triangular product."""
    a, b = moments(features(1, count, dims)), moments(features(2, count + 50, dims))
    theirs = pytorch_fid(a, b, monkeypatch)
    assert frechet_distance(a, b) == pytest.approx(theirs, rel=1e-6)
    assert distance_to(reference_of(b), a) == pytest.approx(theirs, rel=1e-6)
    biased = Moments(a.count, a.mean, a.covariance * (count - 1) / count)  # divided by n, as is not to be done
    assert frechet_distance(biased, b) != pytest.approx(theirs, rel=1e-6)


@pytest.mark.long
def test_equals_pytorch_fid_at_the_size_of_inception(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = moments(features(1, 5000, 2048)), moments(features(2, 4000, 2048))
    assert frechet_distance(a, b) == pytest.approx(pytorch_fid(a, b, monkeypatch), rel=1e-6)


@pytest.mark.parametrize(
    ("count_a", "count_b", "rank_a", "rank_b"),
    [
        (20, 30, None, None),  # fewer images than dims on both sides
        (20, 400, None, None),
        (400, 20, None, None),
        (400, 400, 7, None),  # dims that depend on each other
        (400, 400, None, 7),
        (400, 400, 7, 9),
    ],
)
def test_holds_without_full_rank(count_a: int, count_b: int, rank_a: int | None, rank_b: int | None) -> None:
    a, b = features(3, count_a, 64, rank=rank_a), features(4, count_b, 64, rank=rank_b)
    assert frechet_distance(moments(a), moments(b)) == pytest.approx(nuclear_norm_distance(a, b), rel=1e-6)


@pytest.mark.parametrize(("count", "dims"), [(20, 64), (64, 64), (65, 64), (400, 64), (550, 600)])
@pytest.mark.parametrize("real", [30, 1000])
def test_both_ways_from_features_agree(count: int, dims: int, real: int) -> None:
    """64 images in 64 dims take the singular values, 65 the covariance."""
    reference, x = reference_of(moments(features(3, real, dims))), features(4, count, dims)
    assert distance_of_features(reference, x) == pytest.approx(distance_to(reference, moments(x)), rel=1e-7)
    assert is_rank_deficient(count, dims) == (np.linalg.matrix_rank(moments(x).covariance) < dims)


def test_few_features_against_themselves_are_at_zero() -> None:
    x = features(3, 40, 64)
    assert 0.0 <= distance_of_features(reference_of(moments(x)), x) < 1e-12 * np.trace(moments(x).covariance)


@pytest.mark.parametrize(("count", "rank"), [(400, None), (30, None), (400, 7)])
def test_the_factor_is_a_lower_triangular_root_of_the_covariance(count: int, rank: int | None) -> None:
    real = moments(features(5, count, 64, rank=rank))
    factor = reference_of(real).factor
    assert factor.shape == (64, rank or min(count - 1, 64))
    assert not np.triu(factor, 1).any()
    scale = np.trace(real.covariance)
    np.testing.assert_allclose(factor @ factor.T, real.covariance, atol=1e-13 * scale)


@pytest.mark.parametrize("smallest", [-4, -6, -8])
def test_small_variances_are_not_drowned_by_large_ones(smallest: int) -> None:
    """Variances over 8 to 16 orders of magnitude. A triangular H grades H^T S2 H from large to small, which keeps its
    small eigenvalues; V diag(l^(1/2)) in its place loses half of the digits."""
    mixing = np.random.default_rng(5).standard_normal((128, 128)) * np.logspace(0, smallest, 128)[:, None]
    a, b = (np.random.default_rng(seed).standard_normal((500 + seed, 128)) @ mixing for seed in (1, 2))
    expected = nuclear_norm_distance(a, b)
    real, generated = moments(a), moments(b)
    assert frechet_distance(real, generated) == pytest.approx(expected, rel=1e-9)
    eigenvalues, vectors = np.linalg.eigh(real.covariance)
    root = vectors * np.sqrt(np.clip(eigenvalues, 0.0, None))
    roots = np.sqrt(np.clip(np.linalg.eigvalsh(root.T @ generated.covariance @ root), 0.0, None))
    shift = real.mean - generated.mean
    plain = shift @ shift + np.trace(real.covariance) + np.trace(generated.covariance) - 2 * roots.sum()
    assert plain != pytest.approx(expected, rel=1e-7)


def test_a_factor_that_is_not_triangular_is_refused() -> None:
    with pytest.raises(ValueError, match="lower triangular"):
        Reference(mean=np.zeros(3), factor=np.ones((3, 3)), trace=3.0)


def test_shift_of_the_mean_alone_gives_its_squared_length() -> None:
    covariance = moments(features(5, 100, 3)).covariance
    a, b = gaussian(np.zeros(3), covariance), gaussian(np.array([3.0, 0.0, 4.0]), covariance)
    assert frechet_distance(a, b) == pytest.approx(25.0, rel=1e-10)


def test_covariances_that_commute_have_a_closed_form() -> None:
    """With shared eigenvectors d^2 is the sum of (sd1 - sd2)^2."""
    rotation, _ = np.linalg.qr(np.random.default_rng(6).standard_normal((4, 4)))
    sd1, sd2 = np.array([1.0, 2.0, 3.0, 0.5]), np.array([2.0, 2.0, 0.0, 4.0])
    a = gaussian(np.zeros(4), rotation @ np.diag(sd1**2) @ rotation.T)
    b = gaussian(np.zeros(4), rotation @ np.diag(sd2**2) @ rotation.T)
    assert frechet_distance(a, b) == pytest.approx(float(((sd1 - sd2) ** 2).sum()), rel=1e-7)


def test_one_dimension() -> None:
    a, b = gaussian(np.array([1.0]), np.array([[4.0]])), gaussian(np.array([2.0]), np.array([[9.0]]))
    assert frechet_distance(a, b) == pytest.approx(2.0)


def test_translation_and_rotation_of_both_change_nothing() -> None:
    a, b = features(7, 200, 16), features(8, 300, 16)
    rotation, _ = np.linalg.qr(np.random.default_rng(9).standard_normal((16, 16)))
    plain = frechet_distance(moments(a), moments(b))
    moved = frechet_distance(moments(a @ rotation + 5.0), moments(b @ rotation + 5.0))
    assert moved == pytest.approx(plain, rel=1e-8)
    assert frechet_distance(moments(a @ rotation), moments(b)) != pytest.approx(
        plain, rel=0.01
    )  # of one alone, it does


def test_scaling_features_scales_the_distance_by_the_square() -> None:
    a, b = features(7, 200, 16), features(8, 200, 16)
    plain = frechet_distance(moments(a), moments(b))
    assert frechet_distance(moments(10 * a), moments(10 * b)) == pytest.approx(100 * plain, rel=1e-9)


def test_is_symmetric() -> None:
    a, b = moments(features(9, 300, 32)), moments(features(10, 25, 32))
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-8)


@pytest.mark.parametrize("count", [2, 20, 2000])
def test_equal_moments_have_distance_zero(count: int) -> None:
    a = moments(features(11, count, 64))
    assert 0.0 <= frechet_distance(a, a) < 1e-8 * np.trace(a.covariance)


def test_constant_features_leave_shift_and_the_other_trace() -> None:
    a, b = moments(np.ones((10, 3))), moments(features(12, 100, 3))
    expected = float(((b.mean - 1) ** 2).sum() + np.trace(b.covariance))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(a, a) == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_not_finite_are_named(bad: float) -> None:
    x = features(15, 10, 4)
    x[3, 1] = x[7, 0] = bad
    with pytest.raises(HarnessError, match=r"2 of 10 feature vectors.*image 3"):
        moments(x)


def test_one_image_or_other_dims_are_refused() -> None:
    with pytest.raises(HarnessError, match=r"FID needs at least 2 images.*was given 1"):
        moments(np.ones((1, 4)))
    with pytest.raises(HarnessError, match="at least 2"):
        distance_of_features(reference_of(moments(features(0, 10, 4))), np.ones((1, 4)))
    with pytest.raises(ValueError, match=r"\[n, d\]"):
        moments(np.ones(4))
    with pytest.raises(ValueError, match="4 dims against a reference of 5"):
        distance_to(reference_of(moments(features(0, 10, 5))), moments(features(0, 10, 4)))
    with pytest.raises(ValueError, match="4 dims against a reference of 5"):
        distance_of_features(reference_of(moments(features(0, 10, 5))), features(0, 10, 4))


def test_merging_in_any_order_changes_nothing_but_rounding() -> None:
    """To 1e-12 of the largest variance, also where means lie far apart and parts are of two images."""
    x = features(16, 1000, 12) + np.repeat([0.0, 50.0], 500)[:, None]
    whole = moments(x)
    parts = [moments(part) for part in np.split(x, [2, 300, 317, 700])]
    for order in ([0, 1, 2, 3, 4], [4, 2, 0, 3, 1], [1, 0, 4, 3, 2]):
        merged = merge_moments([parts[i] for i in order])
        stepwise = parts[order[0]]
        for i in order[1:]:
            stepwise = merge_moments([parts[i], stepwise])
        for found in (merged, stepwise):
            assert found.count == 1000
            np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-12)
            np.testing.assert_allclose(found.covariance, whole.covariance, atol=1e-12 * whole.covariance.max())
    assert merge_moments(parts[:1]).covariance == pytest.approx(parts[0].covariance, rel=1e-15)


def test_moments_of_other_dims_or_of_nothing_do_not_merge() -> None:
    with pytest.raises(ValueError, match="equal dims"):
        merge_moments([])
    with pytest.raises(ValueError, match="equal dims"):
        merge_moments([moments(features(0, 10, 4)), moments(features(0, 10, 5))])


def test_extrapolation_is_exact_on_a_line_in_one_over_n() -> None:
    """FID of 100 images 7 + 300 / 100 on average, of all 400 images 7 + 300 / 400."""
    assert fid_infinity(7.75, [9.0, 11.0, 10.0, 10.0]) == pytest.approx(7.0)
    assert fid_infinity_standard_error([9.0, 11.0, 10.0, 10.0]) == pytest.approx(np.sqrt(2 / 3) / 2)


def test_one_repeat_extrapolates_nothing() -> None:
    with pytest.raises(HarnessError, match="at least 2 repeats, and was given 1"):
        fid_infinity(3.0, [3.0])
    with pytest.raises(HarnessError, match="at least 2 repeats"):
        fid_infinity_standard_error([3.0])
