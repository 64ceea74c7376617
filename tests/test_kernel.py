"""KID against its definition, pair by pair."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import HarnessError
from harness.evaluation.frechet import Float64Array
from harness.evaluation.kernel import kid, self_term


def features(seed: int, count: int, dims: int, shift: float = 0.0) -> Float64Array:
    return np.random.default_rng(seed).standard_normal((count, dims)) + shift


def kernel(x: Float64Array, y: Float64Array, power: int = 3) -> float:
    return float((x @ y / len(x) + 1) ** power)


def pair_by_pair(generated: Float64Array, real: Float64Array, power: int = 3) -> float:
    """Binkowski et al. 2018, eq. 4, term by term."""
    n, m = len(generated), len(real)
    within = sum(kernel(generated[i], generated[j], power) for i in range(n) for j in range(n) if i != j)
    among_real = sum(kernel(real[i], real[j], power) for i in range(m) for j in range(m) if i != j)
    across = sum(kernel(x, y, power) for x in generated for y in real)
    return within / (n * (n - 1)) + among_real / (m * (m - 1)) - 2 * across / (n * m)


@pytest.mark.parametrize(("n", "m", "dims"), [(2, 2, 1), (20, 20, 4), (25, 40, 7)])
def test_is_the_unbiased_estimate_over_all_pairs(n: int, m: int, dims: int) -> None:
    generated, real = features(0, n, dims, 0.3), features(1, m, dims)
    assert kid(generated, real) == pytest.approx(pair_by_pair(generated, real), rel=1e-10, abs=1e-13)
    assert kid(generated, real) != pytest.approx(pair_by_pair(generated, real, power=2), rel=1e-3)


def test_blocks_change_nothing() -> None:
    """2500 and 1100 images take more than one block on both sides."""
    generated, real = features(2, 2500, 6, 0.2), features(3, 1100, 6)
    own = [((x @ x.T / 6 + 1) ** 3) for x in (generated, real)]
    means = [(values.sum() - np.trace(values)) / (len(values) * (len(values) - 1)) for values in own]
    across = ((generated @ real.T / 6 + 1) ** 3).mean()
    assert self_term(generated) == pytest.approx(means[0], rel=1e-12)
    assert kid(generated, real) == pytest.approx(means[0] + means[1] - 2 * across, rel=1e-9)


def test_a_term_computed_before_changes_no_bit() -> None:
    generated, real = features(4, 30, 5), features(5, 40, 5)
    assert kid(generated, real, self_term(real)) == kid(generated, real)


def test_is_asked_before_each_block_and_left_when_told() -> None:
    """2500 images are three blocks, 1100 two: six pairs of them, six of the first among themselves, three."""
    generated, real = features(2, 2500, 3), features(3, 1100, 3)
    asked: list[int] = []
    kid(generated, real, between_blocks=lambda: asked.append(1))
    assert len(asked) == 15
    kid(generated, real, 0.0, between_blocks=lambda: asked.append(1))
    assert len(asked) == 15 + 12

    def leave() -> None:
        raise InterruptedError

    for work in (lambda: kid(generated, real, between_blocks=leave), lambda: self_term(real, between_blocks=leave)):
        with pytest.raises(InterruptedError):
            work()


def test_order_of_images_and_float32_change_only_rounding() -> None:
    generated, real = features(6, 300, 5, 0.4), features(7, 200, 5)
    shuffled = np.random.default_rng(8).permutation(generated)
    assert kid(shuffled, real) == pytest.approx(kid(generated, real), rel=1e-9)
    single = [x.astype(np.float32) for x in (generated, real)]
    assert kid(*single) == kid(*[x.astype(np.float64) for x in single])


def test_is_symmetric_and_grows_with_the_shift() -> None:
    real = features(9, 200, 5)
    values = [kid(features(10, 150, 5, shift), real) for shift in (0.0, 0.5, 1.0, 2.0)]
    assert values == sorted(values)
    assert values[-1] > 0.5
    assert kid(real, features(10, 150, 5, 2.0)) == pytest.approx(values[-1], rel=1e-10)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_input_is_refused(bad: float) -> None:
    x = features(11, 10, 3)
    broken = x.copy()
    broken[4, 2] = bad
    for generated, real in ((broken, x), (x, broken)):
        with pytest.raises(HarnessError, match=r"1 of 10 feature vectors.*image 4"):
            kid(generated, real)
    for generated, real in ((x[:1], x), (x, x[:1])):
        with pytest.raises(HarnessError, match=r"KID needs at least 2 images.*given 1"):
            kid(generated, real)
    with pytest.raises(ValueError, match="2 dims against real ones of 3"):
        kid(x[:, :2], x)
