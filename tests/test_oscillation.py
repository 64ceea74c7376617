"""Oscillation of losses: found where it was put in, and not in noise that has a memory."""

from __future__ import annotations

import numpy as np
import pytest
from record_curves import run_curves
from report_data import interval_records
from scipy.signal import lfilter

from harness.analysis.curves import Array
from harness.analysis.oscillation import CHANCE, LEAST_POINTS, strongest_swing, swing_of


def noise(rng: np.random.Generator, count: int, memory: float) -> Array:
    drawn = lfilter([1.0], [1.0, -memory], rng.normal(size=count + 500))
    return np.asarray(drawn[500:], dtype=np.float64)


@pytest.mark.parametrize("memory", [0.0, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("count", [31, 120, 256])
def test_noise_with_a_memory_is_rarely_taken_for_a_swing(count: int, memory: float) -> None:
    rng = np.random.default_rng(7)
    swings = [swing_of(noise(rng, count, memory), 10.0) for _ in range(300)]
    found = np.mean([swing is not None and swing.is_oscillation for swing in swings])
    assert found <= 2 * CHANCE + 3 * np.sqrt(CHANCE * (1 - CHANCE) / 300)


@pytest.mark.parametrize("count", [31, 120, 256])
def test_a_swing_beyond_the_noise_is_found_with_its_period(count: int) -> None:
    rng = np.random.default_rng(8)
    times = np.arange(count)
    for _ in range(20):
        wave = np.sin(2 * np.pi * 6 * times / count + rng.uniform(0, 6)) + rng.normal(0, 0.3, count) - 0.02 * times
        swing = swing_of(wave, 10.0)
        assert swing is not None and swing.is_oscillation
        assert swing.period == pytest.approx(10 * count / 6)
        assert swing.share > 0.7


def test_a_swing_whose_period_drifts_is_found() -> None:
    rng = np.random.default_rng(9)
    phase = np.cumsum(2 * np.pi / 25 * (1 + rng.normal(0, 0.1, 250)))
    swing = swing_of(np.sin(phase) + noise(rng, 250, 0.5) * 0.2, 10.0)
    assert swing is not None and swing.is_oscillation and 200 < swing.period < 320


def test_scale_offset_and_a_straight_line_change_nothing() -> None:
    wave = np.sin(np.arange(100) / 4) + noise(np.random.default_rng(10), 100, 0.3)
    plain, other = swing_of(wave, 10.0), swing_of(1e-3 * wave + 5 + 0.1 * np.arange(100), 10.0)
    assert plain is not None and other is not None
    assert (plain.period, plain.chance) == (other.period, other.chance)
    assert plain.share == pytest.approx(other.share)
    assert swing_of(np.full(100, 0.7), 10.0) is None


def test_a_run_is_judged_on_what_follows_its_first_quarter() -> None:
    steps = np.arange(400)
    rng = np.random.default_rng(11)
    quiet = 1 + rng.normal(0, 0.05, 400)
    early = quiet + np.where(steps < 90, np.sin(steps / 3), 0)
    late = quiet + np.where(steps > 100, 0.3 * np.sin(steps / 3), 0)
    early_swing, late_swing = (
        strongest_swing(run_curves(interval_records(curve.tolist(), [0.7] * 400, every=10)), 2)
        for curve in (early, late)
    )
    assert early_swing is not None and not early_swing.is_oscillation
    assert late_swing is not None and late_swing.is_oscillation
    assert late_swing.period == pytest.approx(10 * 3 * 2 * np.pi, rel=0.1)


def test_too_few_records_a_gap_or_no_losses_tell_nothing() -> None:
    few = LEAST_POINTS + 8  # of which a quarter is left out
    records = interval_records([1.0, 0.5] * (few // 2), [0.7] * few, every=10)
    assert strongest_swing(run_curves(records), 2) is None
    many = interval_records(np.sin(np.arange(200.0)).tolist(), [0.7] * 200, every=10)
    assert strongest_swing(run_curves(many), 2) is not None
    assert strongest_swing(run_curves(many[:120] + many[130:]), 2) is None
    assert strongest_swing(run_curves([{"step": 10, "n": 10}] * 50), 2) is None
