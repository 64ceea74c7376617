"""Differences in numbers: ratios, p-values and durations as people read them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from report_data import Story, small_plan
from report_tables import content_of

from harness.report.language import ENGLISH
from harness.report.verdicts import (
    change_text,
    duration,
    factor_text,
    interval_text,
    level_text,
    p_equation,
    p_text,
    ratio_number,
    signed,
    size_text,
)


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "1.00"), (0.247, "1.28"), (8.0, "> 1000"), (-800.0, "< 0.001"), (800.0, "> 1000")]
)
def test_factors_are_told_to_two_places_or_as_beyond(value: float, shown: str) -> None:
    assert factor_text(value) == shown


@pytest.mark.parametrize(
    ("ratio", "shown"),
    [(0.539, "0.54"), (0.0543, "0.054"), (9.994, "9.99"), (9.996, "10.0"), (34.71, "34.7"), (999.6, "1000")],
)
def test_ratios_have_the_digits_that_their_size_needs(ratio: float, shown: str) -> None:
    assert ratio_number(ratio) == shown


@pytest.mark.parametrize(("ratio", "shown"), [(0.9996, "0.9996"), (1.003, "1.003"), (0.99996, "0.99996")])
def test_a_bound_that_decides_is_never_shown_as_1(ratio: float, shown: str) -> None:
    assert ratio_number(ratio) == shown
    assert ratio_number(math.exp(1e-15)) == "1.00", "rounding is no difference"


@pytest.mark.parametrize(
    ("p", "shown"),
    [
        (None, "–"), (0.0004, "< 0.001"), (0.00104, "> 0.001"), (0.0123, "0.012"), (0.0061, "0.0061"),
        (0.0499, "< 0.05"), (0.05, "0.050"), (0.0504, "> 0.05"), (0.00996, "< 0.01"), (0.5, "0.50"), (0.0999, "0.10"),
        (0.994, "> 0.99"), (1.0, "> 0.99"),
    ],
)  # fmt: skip
def test_p_values_have_two_digits_and_keep_to_their_side_of_a_level(p: float | None, shown: str) -> None:
    assert p_text(p) == shown


def test_an_equation_of_p_has_one_sign() -> None:
    assert [p_equation(p) for p in (0.0001, 0.03, 1.0)] == ["p < 0.001", "p = 0.030", "p > 0.99"]


@pytest.mark.parametrize(("value", "shown"), [(-0.5, "−0.500"), (0.1234, "+0.123"), (0.0, "0"), (-0.0004, "−0.000400")])
def test_differences_have_a_sign_and_minus_is_a_true_one(value: float, shown: str) -> None:
    assert signed(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(71.88, "71.9"), (2474.4, "2474"), (0.05577, "0.0558")])
def test_means_without_a_spread_have_three_digits(value: float, shown: str) -> None:
    assert level_text(value) == shown


@pytest.mark.parametrize(("minutes", "shown"), [(0.5, "30 s"), (1.5, "1.5 min"), (30, "30 min"), (210, "3.5 h")])
def test_durations_have_a_unit_that_fits(minutes: float, shown: str) -> None:
    assert duration(ENGLISH, minutes) == shown


def test_tables_and_sentences_have_the_same_ratios(tmp_path: Path) -> None:
    content = content_of(small_plan(), tmp_path, {"latent_dim=100": Story(fid=10), "generator=mlp": Story(fid=1e9)})
    near, _, far = (content.comparisons["FID (digits)"].of(cell) for cell in content.cells[1:])
    assert near and far and near.ratio
    assert size_text(near) == f"{near.ratio:.2f}"
    assert change_text(ENGLISH, near) == f"× {near.ratio:.2f} ({interval_text(ENGLISH, near)})"
    assert change_text(ENGLISH, far).startswith("× > 1000 (")
