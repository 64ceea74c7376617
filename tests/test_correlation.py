"""Rank correlations across cells."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from harness.analysis.correlation import DRAWS, rank_correlations, spearman


def test_rho_is_scipys_with_and_without_ties() -> None:
    rng = np.random.default_rng(0)
    for count in (4, 7, 12, 30):
        first, second = rng.normal(size=count), rng.integers(0, 5, count).astype(float)
        rho, _ = spearman(first, second)
        assert rho == pytest.approx(spearmanr(first, second).statistic)


def test_p_of_few_values_is_exact() -> None:
    first, second = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 1, 4, 3, 5])
    rho, p = spearman(first, second)
    every = [spearmanr(first, second[list(order)]).statistic for order in permutations(range(5))]
    assert rho is not None
    assert p == pytest.approx(np.mean([abs(one) >= abs(rho) - 1e-9 for one in every]))
    assert spearman(np.arange(4.0), np.arange(4.0)) == (pytest.approx(1.0), pytest.approx(2 / 24))


def test_p_of_many_values_is_drawn_alike_at_each_call_and_near_scipys() -> None:
    rng = np.random.default_rng(3)
    first = rng.normal(size=20)
    second = first + rng.normal(size=20) * 2
    _, p = spearman(first, second)
    assert p == spearman(first, second)[1]
    assert p == pytest.approx(spearmanr(first, second).pvalue, abs=0.02)
    assert spearman(np.arange(20.0), np.arange(20.0))[1] == 1 / (1 + DRAWS)


def test_p_is_uniform_where_nothing_is_related() -> None:
    rng = np.random.default_rng(4)
    found = [spearman(rng.normal(size=7), rng.normal(size=7))[1] for _ in range(300)]
    assert np.mean([p is not None and p <= 0.05 for p in found]) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_too_few_cells_or_equal_numbers_have_no_correlation() -> None:
    assert spearman(np.arange(3.0), np.arange(3.0)) == (None, None)
    assert spearman(np.full(5, 0.3), np.arange(5.0)) == (None, None)
    quality = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    numbers = {"whole": {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}, "partly": {"a": 1.0, "b": 5.0, "other": 2.0}}
    whole, partly = rank_correlations(numbers, quality)
    assert (whole.name, whole.cells, whole.rho) == ("whole", 4, pytest.approx(-1.0))
    assert (partly.cells, partly.rho, partly.p) == (2, None, None)
