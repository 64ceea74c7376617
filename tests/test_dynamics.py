"""Loss crossings on curves whose crossings are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from record_curves import run_curves
from report_data import interval_records

from harness.analysis.crossings import find_crossings
from harness.analysis.curves import RunCurves, moving_average
from harness.analysis.dynamics import EQUILIBRIUM_NATS, LossScale, default_window, loss_dynamics, loss_scale

STEPS = np.arange(0.0, 1001.0)


def curves_of(generator: list[float], discriminator: list[float], every: int) -> RunCurves:
    return run_curves(interval_records(generator, discriminator, every))


def flat(value: float) -> np.ndarray:
    return np.full_like(STEPS, value)


def sine(periods: float, height: float = 0.4) -> np.ndarray:
    return height * np.sin(2 * np.pi * periods * STEPS / 1000 + 0.5)


def test_sine_crosses_twice_a_period_where_it_is_zero() -> None:
    found = find_crossings(STEPS, 1 + sine(3), flat(1.0), 0.05)
    expected = [(k * np.pi - 0.5) * 1000 / (2 * np.pi * 3) for k in range(1, 7)]
    assert [crossing.step for crossing in found] == pytest.approx(expected, abs=0.01)
    assert [crossing.above for crossing in found] == ["discriminator", "generator"] * 3
    assert [crossing.loss for crossing in found] == pytest.approx([1.0] * 6, abs=1e-4)


def test_step_is_interpolated_between_points() -> None:
    (found,) = find_crossings(np.array([0.0, 100.0]), np.array([0.0, 3.0]), np.array([1.0, 1.0]), 0.05)
    assert found.step == pytest.approx(100 / 3)
    assert found.loss == pytest.approx(1.0)


def test_touching_is_no_crossing() -> None:
    assert find_crossings(STEPS, 1 + np.abs(sine(3)), flat(1.0), 0.05) == ()
    assert find_crossings(STEPS, 1 + np.abs(sine(3)) - 0.04, flat(1.0), 0.05) == ()


def test_noise_inside_the_band_is_not_counted_and_without_a_band_it_is() -> None:
    noise = np.random.default_rng(0).uniform(-0.04, 0.04, len(STEPS))
    assert find_crossings(STEPS, 1 + noise, flat(1.0), 0.05) == ()
    assert len(find_crossings(STEPS, 1 + noise, flat(1.0), 0.0)) > 100


def test_noise_on_one_true_crossing_counts_once() -> None:
    noise = np.random.default_rng(1).uniform(-0.04, 0.04, len(STEPS))
    (found,) = find_crossings(STEPS, 0.5 + STEPS / 1000 + noise, flat(1.0), 0.05)
    assert found.above == "generator"
    assert 450 < found.step < 550


def test_a_crossing_that_wavers_is_dated_at_its_last_equality() -> None:
    generator = np.array([0.0, 1.02, 0.98, 1.02, 2.0])
    (found,) = find_crossings(np.arange(5.0), generator, np.ones(5), 0.05)
    assert found.step == pytest.approx(2.5)


@pytest.mark.parametrize("value", [0.3, EQUILIBRIUM_NATS])
def test_constant_curves_never_cross(value: float) -> None:
    assert find_crossings(STEPS, flat(value), flat(EQUILIBRIUM_NATS), 0.05) == ()
    assert find_crossings(STEPS[:0], STEPS[:0], STEPS[:0], 0.05) == ()


def test_discriminator_is_halved_so_that_the_equilibrium_is_a_crossing_point() -> None:
    """D's recorded loss sinks through 2 ln 2 and G's stays at ln 2: they meet where each term is ln 2."""
    term = EQUILIBRIUM_NATS + np.linspace(0.7, -0.7, 101)
    dynamics = loss_dynamics(curves_of([EQUILIBRIUM_NATS] * 101, term.tolist(), every=10), window=50)
    (found,) = dynamics.crossings
    assert found.loss == pytest.approx(EQUILIBRIUM_NATS)
    assert found.step == pytest.approx(505)  # the middle of the 51st interval
    assert found.above == "generator"


def test_a_loss_that_is_halved_already_is_not_halved_again() -> None:
    records = interval_records((1 + sine(3)[5::10]).tolist(), [1.0] * 100, every=10)
    halved = [record | {"loss/discriminator": record["loss/discriminator"] / 2} for record in records]
    added, mean = (
        loss_dynamics(run_curves(records), 100),
        loss_dynamics(run_curves(halved), 100, scale=loss_scale("bce", "mean", 1.0, 0.0)),
    )
    assert added.crossings == mean.crossings
    assert (added.discriminator == mean.discriminator).all()


def test_losses_without_a_common_scale_are_smoothed_and_not_counted() -> None:
    records = interval_records((1 + sine(3)[5::10]).tolist(), [1.0] * 100, every=10)
    counted, other = (
        loss_dynamics(run_curves(records), 100),
        loss_dynamics(run_curves(records), 100, scale=LossScale(2, comparable=False)),
    )
    assert np.array_equal(counted.smooth_generator, other.smooth_generator, equal_nan=True)
    assert (counted.is_counted, other.is_counted) == (True, False)
    assert (len(counted.crossings), other.crossings, other.per_1000_steps) == (5, (), None)


@pytest.mark.parametrize(
    ("loss", "reduction", "scale"),
    [
        ("bce", "sum", LossScale(2, comparable=True)),
        ("bce", "mean", LossScale(1, comparable=True)),
        ("sigmoid_logits", "sum", LossScale(2, comparable=False)),
        ("hinge", "sum", LossScale(2, comparable=False)),
        ("least_squares", "mean", LossScale(1, comparable=False)),
        ("wasserstein_gp", "sum", LossScale(1, comparable=False)),
        ("losses.py:Margin", "sum", LossScale(1, comparable=False)),
    ],
)
def test_only_cross_entropies_meet_at_one_value(loss: str, reduction: str, scale: LossScale) -> None:
    assert loss_scale(loss, reduction, 1.0, 0.0) == scale


@pytest.mark.parametrize(
    ("real", "fake", "comparable"),
    [
        (1.0, 0.0, True),
        (0.9, 0.1, True),
        (0.7, 0.3, True),
        ((0.8, 1.0), 0.1, True),
        ((0.9, 1.0), (0.0, 0.1), True),
        (0.9, 0.0, False),
        ((0.9, 1.0), 0.0, False),
        (1.0, 0.1, False),
    ],
)
def test_losses_meet_where_the_best_discriminator_answers_one_half(real: Any, fake: Any, comparable: bool) -> None:
    """Of p = q, D's best answer is the one that its loss is least at; G's target is 0.8."""
    answers = np.linspace(0.01, 0.99, 9801)

    def entropy(target: float) -> Any:
        return -target * np.log(answers) - (1 - target) * np.log(1 - answers)

    discriminator = (entropy(float(np.mean(real))) + entropy(float(np.mean(fake)))) / 2
    best = int(discriminator.argmin())
    assert (abs(discriminator[best] - entropy(0.8)[best]) < 1e-3) == comparable
    assert loss_scale("bce", "sum", real, fake).comparable == comparable


def test_rate_refers_to_the_steps_covered() -> None:
    records = interval_records((1 + sine(3)[5::10]).tolist(), [1.0] * 100, every=10)
    dynamics = loss_dynamics(run_curves(records), window=100)
    assert dynamics.covered == 890  # middles 55 to 945; the sixth zero, at 974, is beyond
    assert len(dynamics.crossings) == 5
    assert dynamics.per_1000_steps == pytest.approx(5 / 0.89)


def test_smoothing_removes_crossings_of_raw_noise() -> None:
    noise = np.random.default_rng(2).normal(0, 0.2, 200)
    records = interval_records((1 + noise).tolist(), [1.0] * 200, every=10)
    assert len(loss_dynamics(run_curves(records), window=10).crossings) > 30
    assert len(loss_dynamics(run_curves(records), window=500).crossings) <= 2


def test_moving_average_keeps_a_line_and_has_no_value_over_an_edge() -> None:
    ends = np.arange(10.0, 201.0, 10.0)
    counts = np.full(20, 10.0)
    middles = ends - 5
    smooth = moving_average(ends, counts, 2 * middles, 50)
    assert np.isnan(smooth[[0, 1, -2, -1]]).all()
    assert smooth[2:-2] == pytest.approx(2 * middles[2:-2])


def test_intervals_count_by_their_steps() -> None:
    """After a change of the log interval: 40 steps at 1, then 4 intervals of 10 steps at 2."""
    ends, counts = np.array([40.0, 50.0, 60.0, 70.0, 80.0]), np.array([40.0, 10.0, 10.0, 10.0, 10.0])
    smooth = moving_average(ends, counts, np.array([1.0, 2.0, 2.0, 2.0, 2.0]), 40)
    assert smooth[1] == pytest.approx((15 * 1 + 25 * 2) / 40)


def test_no_value_over_a_gap() -> None:
    ends, counts = np.array([10.0, 20.0, 50.0, 60.0, 70.0]), np.full(5, 10.0)
    smooth = moving_average(ends, counts, np.ones(5), 30)
    assert np.isfinite(smooth).tolist() == [False, False, False, True, False]


def test_a_run_shorter_than_the_window_has_no_count() -> None:
    dynamics = loss_dynamics(curves_of([1.0, 0.0], [0.5, 0.5], every=10), window=50)
    assert (dynamics.covered, dynamics.per_1000_steps, dynamics.crossings) == (0.0, None, ())
    assert loss_dynamics(run_curves([]), window=50).per_1000_steps is None


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="window"):
        loss_dynamics(run_curves([]), window=0)
    with pytest.raises(ValueError, match="band"):
        loss_dynamics(run_curves([]), window=5, hysteresis=-0.1)


def test_default_window_is_a_twentieth_of_the_run_and_at_least_five_records() -> None:
    assert default_window(5000, 10) == 250
    assert default_window(400, 10) == 50
