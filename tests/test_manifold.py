"""Nearest-neighbor metrics against their definitions with all distances at once, and at their corners."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from harness.errors import HarnessError
from harness.evaluation.frechet import Float64Array
from harness.evaluation.manifold import Comparison, Manifold, compare, manifold_of

METRICS = ("precision", "recall", "density", "coverage", "nearest_ratio", "nearest_share")


def features(seed: int, count: int, dims: int, scale: float = 1.0) -> Float64Array:
    return scale * np.random.default_rng(seed).standard_normal((count, dims))


def comparison(real: Float64Array, generated: Float64Array) -> Comparison:
    return compare(manifold_of(real), manifold_of(generated))


def radii(x: Float64Array, k: int) -> Float64Array:
    return np.sort(cdist(x, x), axis=1)[:, k]  # the first is the vector itself


def by_definition(real: Float64Array, generated: Float64Array, k: int = 3, dense_k: int = 5) -> dict[str, float]:
    distances = cdist(generated, real)
    nearest, apart = distances.min(axis=1), radii(real, 1)
    in_balls = distances <= radii(real, dense_k)
    return {
        "precision": (distances <= radii(real, k)).any(axis=1).mean(),
        "recall": (distances <= radii(generated, k)[:, None]).any(axis=0).mean(),
        "density": in_balls.sum() / (dense_k * len(generated)),
        "coverage": in_balls.any(axis=0).mean(),
        "nearest_ratio": np.median(nearest) / np.median(apart),
        "nearest_share": (nearest < np.percentile(apart, 5)).mean(),
    }


@pytest.mark.parametrize(("m", "n", "dims"), [(6, 6, 1), (60, 90, 3), (300, 200, 20), (2100, 1500, 5)])
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_equals_the_definitions(m: int, n: int, dims: int, scale: float) -> None:
    """2100 and 1500 images take more than one block on both sides."""
    real, generated = features(0, m, dims), features(1, n, dims, scale)
    expected = by_definition(real, generated)
    found = comparison(real, generated)
    for metric in METRICS:
        assert getattr(found, metric) == pytest.approx(expected[metric], rel=1e-9), metric


def test_another_k_would_be_noticed() -> None:
    real, generated = features(0, 300, 20), features(1, 200, 20)
    right, wrong = by_definition(real, generated), by_definition(real, generated, k=4, dense_k=4)
    for metric in ("precision", "recall", "density", "coverage"):
        assert wrong[metric] != pytest.approx(right[metric], rel=1e-3), metric


@pytest.mark.parametrize("count", [7, 1500])
def test_radii_are_distances_to_the_kth_nearest_other(count: int) -> None:
    x = features(2, count, 4)
    manifold = manifold_of(x)
    assert list(manifold.radii) == [1, 3, 5]
    for k in manifold.radii:
        np.testing.assert_allclose(manifold.radii[k], radii(x, k), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_copies_come_out_as_copies(dtype: type[np.floating]) -> None:
    """Far from the origin, where the expansion of a square loses all digits."""
    real = (features(3, 1200, 64) + 1e3).astype(dtype)
    found = comparison(real, np.random.default_rng(4).permutation(real))
    assert (found.nearest == 0).all()
    assert found.nearest_ratio == 0.0
    assert found.nearest_share == 1.0
    assert (found.precision, found.recall, found.coverage) == (1.0, 1.0, 1.0)
    assert found.density == pytest.approx(6 / 5)  # its own ball, and those of five others on average


def test_far_from_the_origin_nothing_changes() -> None:
    real, generated = features(5, 200, 8), features(6, 150, 8)
    near, far = comparison(real, generated), comparison(real + 1e5, generated + 1e5)
    for metric in METRICS:
        assert getattr(far, metric) == pytest.approx(getattr(near, metric), rel=1e-6), metric


def test_duplicates_among_real_images_are_no_yardstick() -> None:
    """Distances to the nearest image that is another one: doubling the real images changes neither number."""
    real, generated = features(7, 400, 6), features(8, 300, 6)
    once, twice = comparison(real, generated), comparison(np.concatenate([real, real]), generated)
    assert (twice.real.radii[1] == 0).all()
    assert twice.nearest_ratio == pytest.approx(once.nearest_ratio, rel=1e-12)
    assert twice.nearest_share == once.nearest_share > 0
    some = comparison(np.concatenate([real, real[:10]]), real[:20])
    assert (some.nearest_ratio, some.nearest_share) == (0.0, 1.0)
    apart = np.concatenate([radii(real, 1), radii(real, 1)[:10]])
    np.testing.assert_allclose(some.real.apart, apart, rtol=1e-9)


def test_a_ball_of_duplicates_still_holds_its_own_vector() -> None:
    real = np.concatenate([np.zeros((6, 3)), features(9, 30, 3) + 100])
    found = comparison(real, np.concatenate([np.zeros((5, 3)), np.full((5, 3), 50.0)]))
    assert found.precision == 0.5
    assert found.coverage == pytest.approx(6 / 36)
    assert found.density == pytest.approx(5 * 6 / (5 * 10))


def test_real_images_that_are_all_alike_give_no_distance_to_compare_with() -> None:
    found = comparison(np.ones((10, 3)), features(10, 10, 3))
    assert found.precision == 0.0
    for metric in ("nearest_ratio", "nearest_share"):
        with pytest.raises(HarnessError, match="all real images have the same features"):
            getattr(found, metric)


def test_disjoint_sets_share_nothing() -> None:
    found = comparison(features(11, 50, 4), features(12, 50, 4) + 1000)
    assert (found.precision, found.recall, found.density, found.coverage) == (0, 0, 0, 0)
    assert found.nearest_ratio > 100
    assert found.nearest_share == 0


def test_order_of_images_changes_nothing() -> None:
    real, generated = features(13, 1100, 5), features(14, 1300, 5)
    shuffled = comparison(np.random.default_rng(0).permutation(real), np.random.default_rng(1).permutation(generated))
    plain = comparison(real, generated)
    for metric in METRICS:
        assert getattr(shuffled, metric) == pytest.approx(getattr(plain, metric), rel=1e-12), metric


def test_stored_radii_give_the_same_bits() -> None:
    real, generated = manifold_of(features(15, 40, 3)), manifold_of(features(16, 40, 3))
    again = compare(Manifold(real.features, dict(real.radii)), generated)
    assert [getattr(again, metric) for metric in METRICS] == [
        getattr(compare(real, generated), metric) for metric in METRICS
    ]


def test_is_asked_before_each_block_and_left_when_told() -> None:
    """1100 images are two blocks, 2100 three."""
    x, y = features(20, 1100, 3), features(21, 2100, 3)
    asked: list[int] = []

    def ask() -> None:
        asked.append(1)

    def asked_for(work: Callable[[], object]) -> int:
        asked.clear()
        work()
        return len(asked)

    def leave() -> None:
        raise InterruptedError

    assert asked_for(lambda: manifold_of(x, between_blocks=ask)) >= 3
    real, generated = manifold_of(x), manifold_of(y)
    assert asked_for(lambda: compare(real, generated, between_blocks=ask)) >= 6
    doubled = np.concatenate([x, x])
    radii = {1: np.zeros(2200)}
    assert asked_for(lambda: Manifold(doubled, radii, ask).apart) >= 9
    assert manifold_of(features(20, 10, 3), between_blocks=ask).between_blocks is ask
    for work in (
        lambda: manifold_of(x, between_blocks=leave),
        lambda: compare(real, generated, between_blocks=leave),
        lambda: Manifold(doubled, radii, leave).apart,
    ):
        with pytest.raises(InterruptedError):
            work()


@pytest.mark.parametrize(
    ("real", "generated", "possible"),
    [(2, 50, METRICS[4:]), (50, 3, METRICS[4:]), (5, 50, (*METRICS[:2], *METRICS[4:])), (6, 6, METRICS)],
)
def test_too_few_images_are_named_by_metric(real: int, generated: int, possible: tuple[str, ...]) -> None:
    found = comparison(features(17, real, 3), features(18, generated, 3))
    for metric in METRICS:
        if metric in possible:
            assert np.isfinite(getattr(found, metric))
        else:
            with pytest.raises(HarnessError, match=rf"(?i){metric} needs at least [46] .*given {min(real, generated)}"):
                getattr(found, metric)


def test_bad_input_is_refused() -> None:
    x = features(19, 10, 3)
    broken = x.copy()
    broken[5, 0] = np.inf
    with pytest.raises(HarnessError, match="image 5"):
        manifold_of(broken)
    with pytest.raises(HarnessError, match=r"at least 2 images.*given 1"):
        manifold_of(x[:1])
    with pytest.raises(ValueError, match="2 dims against real ones of 3"):
        comparison(x, x[:, :2])
    with pytest.raises(ValueError, match="were not looked for"):
        _ = compare(manifold_of(x, (1,)), manifold_of(x)).precision
