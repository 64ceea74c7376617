"""The interleaving of two loss curves, on curves whose turns are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from record_curves import run_curves
from report_data import interval_records

from harness.analysis.curves import RunCurves
from harness.analysis.interleaving import LEAST_RECORDS, PARTS, interleaving


def score(generator: Any, discriminator: Any, every: int = 10) -> float | None:
    return interleaving(run_curves(interval_records(list(generator), list(discriminator), every)), 2)


def test_curves_that_never_change_places_score_zero_however_near_they_are() -> None:
    assert score(np.full(200, 0.7001), np.full(200, 0.7)) == 0.0
    assert score(np.full(200, 0.1), np.full(200, 5.0)) == 0.0
    assert score(np.full(200, 0.7), np.full(200, 0.7)) == 0.0  # no leader at all


@pytest.mark.parametrize("count", [40, 41, 100, 1000])
def test_curves_that_take_turns_score_one(count: int) -> None:
    turns = np.where(np.arange(count) % 2 == 0, 1.0, 0.4)
    assert score(turns, np.full(count, 0.7)) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("count", [40, 200, 5000])
def test_noise_around_equality_scores_one_whatever_the_number_of_records(count: int) -> None:
    rng = np.random.default_rng(0)
    scores = [score(0.7 + rng.normal(0, 0.1, count), np.full(count, 0.7)) for _ in range(200 if count < 1000 else 10)]
    found = [one for one in scores if one is not None]
    assert np.mean(found) == pytest.approx(1.0, abs=0.06)  # cut at 1, so a little below


def test_one_change_of_places_counts_for_its_part_alone() -> None:
    middle = np.where(np.arange(1000) < 450, 1.0, 0.4)  # inside the fifth part, half of it each
    edge = np.where(np.arange(1000) < 500, 1.0, 0.4)
    assert score(middle, np.full(1000, 0.7)) == pytest.approx(1 / PARTS, rel=0.02)
    assert score(edge, np.full(1000, 0.7)) == 0.0


def test_leaders_alone_count() -> None:
    """Scale, offset and exchange of the networks change nothing."""
    rng = np.random.default_rng(1)
    generator, discriminator = 0.8 + rng.normal(0, 0.2, 300), 0.7 + rng.normal(0, 0.2, 300)
    found = score(generator, discriminator)
    assert found is not None and 0.5 < found < 1
    assert score(7 * generator, 7 * discriminator) == pytest.approx(found)
    assert score(generator + 3, discriminator + 3) == pytest.approx(found)
    assert score(discriminator, generator) == pytest.approx(found)
    assert score(np.exp(generator), np.exp(discriminator)) == pytest.approx(found)


def test_the_number_of_steps_in_a_record_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    generator = 0.7 + rng.normal(0, 0.1, 200)
    assert score(generator, np.full(200, 0.7), every=1) == pytest.approx(score(generator, np.full(200, 0.7), every=50))


def test_too_few_records_or_none_have_no_score() -> None:
    few = LEAST_RECORDS - 1
    assert score(np.full(few, 1.0), np.full(few, 0.7)) is None
    nothing = RunCurves(np.empty(0), np.empty(0), {})
    assert interleaving(nothing, 2) is None
