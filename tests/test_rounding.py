"""A mean has no more digits than its standard deviation supports, and no number an exponent that a decimal spares."""

from __future__ import annotations

import math

import pytest

from harness.report.rounding import plain_level, plain_name, rounded, rounded_pair, significant


@pytest.mark.parametrize(
    ("mean", "sd", "shown"),
    [
        (71.88, 13.84, "72 ± 14"),
        (0.05577, 0.0079, "0.0558 ± 0.0079"),
        (2474.0, 30.1, "2474 ± 30"),
        (6.932, 0.022, "6.932 ± 0.022"),
        (9.996, 0.2, "10.00 ± 0.20"),
        (614.0, 9.97, "614 ± 10"),
        (947.2, 373.0, "950 ± 370"),
        (12345.0, 678.0, "12340 ± 680"),
        (26037.0, 74.0, "26040 ± 70"),
        (0.425, 0.00013, "0.4250 ± 0.0001"),
        (2.782e-4, 2.4e-4, "0.00028 ± 0.00024"),
        (3e-6, 1.3e-5, "0.000003 ± 0.000013"),
        (0.0004, 0.05, "0.000 ± 0.050"),
        (-0.02, 0.3, "−0.02 ± 0.30"),
        (0.0, 0.0, "0 ± 0"),
        (3.2, 0.0, "3.2 ± 0"),
        (0.28, 4e-17, "0.28 ± 0"),
        (5.0, None, "5.000"),
        (62.3, math.nan, "62.30 ± nan"),
    ],
)
def test_a_mean_is_rounded_to_its_spread(mean: float, sd: float | None, shown: str) -> None:
    assert rounded(mean, sd) == shown
    assert " ± ".join(part for part in rounded_pair(mean, sd) if part) == shown


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [(1132.7, 3, "1133"), (0.00012345, 4, "0.0001234"), (2e-7, 2, "2.0e-07"), (3e6, 2, "3.0e+06"), (-1.5, 2, "−1.5")],
)
def test_significant_digits(value: float, digits: int, shown: str) -> None:
    assert significant(value, digits) == shown


@pytest.mark.parametrize(
    ("level", "shown"),
    [("5e-05", "0.00005"), ("0.5,0.999", "0.5,0.999"), ("1e-05,0.9", "0.00001,0.9"), ("1e-12", "1e-12"),
     ("cnn", "cnn"), ("the-e-level", "the-e-level"), ("16", "16")],
)  # fmt: skip
def test_levels_are_shown_as_people_write_them(level: str, shown: str) -> None:
    assert plain_level(level) == shown


def test_names_made_of_levels_are_shown_so() -> None:
    assert plain_name("discriminator_lr=5e-05") == "discriminator_lr=0.00005"
    assert plain_name("lr=1e-04,betas=0.5,0.9") == "lr=0.0001,betas=0.5,0.9"
    assert plain_name("own.name=1e-3rd") == "own.name=1e-3rd"
