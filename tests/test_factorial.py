"""Main effects and interactions of a factorial grid, against an analysis of variance by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from harness.analysis.statistics import CellValues, Comparison, FactorEffect, compare, factorial_effects

Grid = dict[tuple[str, ...], CellValues]


def grid(x: np.ndarray, seeds: int | None = None) -> Grid:
    """x: log FID of shape (levels of a, levels of b, seeds)."""
    return {
        (f"a{a}", f"b{b}"): CellValues(
            f"{a}{b}", {seed: [math.exp(value)] for seed, value in enumerate(x[a, b])}, seeds or x.shape[2], 0, None
        )
        for a in range(x.shape[0])
        for b in range(x.shape[1])
    }


def effects_of(cells: Grid) -> tuple[dict[tuple[str, ...], FactorEffect], Comparison]:
    comparison = compare(list(cells.values()), metric="fid", baseline=None, asked=None)
    return {one.levels: one for one in factorial_effects(cells, ["a", "b"], comparison)}, comparison


def test_a_two_by_two_grid_gives_the_analysis_of_variance_with_blocks() -> None:
    """Each F of the table with seeds as blocks is the square of our t where the pooled error is the larger one."""
    x = np.random.default_rng(5).normal(size=(2, 2, 5)) * 0.1 + np.array([0.2, 0.0, 0.3, 0.1, -0.2])
    x[1] += 0.4
    x[1, 1] -= 0.3
    found, comparison = effects_of(grid(x))
    flat = x.reshape(4, 5)
    residuals = flat - flat.mean(1, keepdims=True) - flat.mean(0) + flat.mean()
    error = (residuals**2).sum() / 12
    a, b, both = (
        flat.mean(1) @ np.array(signs) / 2 for signs in ([-1, -1, 1, 1], [-1, 1, -1, 1], [1, -1, -1, 1])
    )  # fmt: skip
    assert comparison.pool.sd == pytest.approx(math.sqrt(error))
    pooled = [("a1",), ("b1",)]
    for levels, contrast, factor in ((("a1",), a, 1), (("b1",), b, 1), (("a1", "b1"), both, 2)):
        effect = found[levels]
        assert effect.estimate == pytest.approx(contrast * factor)
        assert (effect.seeds, effect.cells) == (5, 4)
        assert effect.freedom == 12
        if levels in pooled:
            assert effect.se == pytest.approx(math.sqrt(error / 5) * factor)
            assert effect.p == pytest.approx(scipy.stats.f.sf(5 * contrast**2 / error, 1, 12))
        else:
            assert effect.se and effect.se > math.sqrt(error / 5) * factor


def test_main_effects_come_first_and_every_level_is_against_the_first() -> None:
    x = np.zeros((2, 3, 2)) + np.array([0.0, 0.1])
    x[1] += 1.0
    x[:, 2] += 0.5
    x[1, 1] += 0.25
    found, _ = effects_of(grid(x))
    assert list(found) == [("a1",), ("b1",), ("b2",), ("a1", "b1"), ("a1", "b2")]
    by_hand = [1 + 0.25 / 3, 0.125, 0.5, 0.25, 0.0]
    assert [one.estimate for one in found.values()] == pytest.approx(by_hand, abs=1e-12)
    assert [one.factors for one in found.values()] == [("a",), ("b",), ("b",), ("a", "b"), ("a", "b")]
    assert [one.cells for one in found.values()] == [6, 4, 4, 4, 4]


def test_one_seed_gives_numbers_without_an_error() -> None:
    found, _ = effects_of(grid(np.array([[[1.0], [2.0]], [[3.0], [5.0]]])))
    assert [one.estimate for one in found.values()] == pytest.approx([2.5, 1.5, 1.0])
    assert {(one.se, one.p, one.low, one.seeds) for one in found.values()} == {(None, None, None, 1)}


def test_holes_are_left_out_of_both_sides() -> None:
    """Without (a1, b1), the effect of a is taken at b0 alone, that of b at a0, and there is no interaction."""
    x = np.array([[[1.0, 1.2], [2.0, 2.1]], [[3.0, 3.3], [9.0, 9.0]]])
    cells = grid(x)
    cells["a1", "b1"] = CellValues("11", {}, 2, 2, None)
    found, _ = effects_of(cells)
    assert list(found) == [("a1",), ("b1",)]
    assert [one.estimate for one in found.values()] == pytest.approx([2.05, 0.95])
    assert {one.cells for one in found.values()} == {2}


def test_seeds_are_those_that_all_cells_share() -> None:
    cells = grid(np.random.default_rng(0).normal(size=(2, 2, 4)))
    cells["a0", "b1"] = CellValues("01", {3: [2.0], 1: [3.0]}, 4, 0, None)
    found, _ = effects_of(cells)
    assert {one.seeds for one in found.values()} == {2}
    cells["a0", "b1"] = CellValues("01", {9: [2.0]}, 4, 0, None)
    apart, _ = effects_of(cells)
    assert apart == {}


def test_an_interaction_is_the_difference_of_its_two_effects_over_the_same_seeds() -> None:
    """One corner of a 2 x 3 grid lacks two seeds: the other interaction has them, and so have its two effects."""
    x = np.random.default_rng(3).normal(size=(2, 3, 3))
    cells = grid(x)
    cells["a1", "b2"] = CellValues("12", {0: [math.exp(x[1, 2, 0])]}, 3, 0, None)
    found, _ = effects_of(cells)
    for levels, seeds, b in ((("a1", "b1"), 3, 1), (("a1", "b2"), 1, 2)):
        effect = found[levels]
        low, high = effect.at_levels or (0.0, 0.0)
        assert effect.seeds == seeds and high - low == pytest.approx(effect.estimate)
        assert low == pytest.approx((x[1, 0] - x[0, 0])[:seeds].mean())
        assert high == pytest.approx((x[1, b] - x[0, b])[:seeds].mean())
    assert found["a1",].at_levels is None
