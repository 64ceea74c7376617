"""Diagnosis: every rule at its thresholds, and on runs whose illness is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from record_curves import run_curves

from harness.analysis.curves import RunCurves
from harness.analysis.diagnosis import (
    RATIO,
    CertainSteps,
    Finding,
    Nearness,
    Rule,
    Setting,
    certain_steps,
    least_discriminator_loss,
    memorization,
    mode_collapse,
    progress,
    training_findings,
)
from harness.analysis.dynamics import LossScale, loss_dynamics, run_dynamics
from harness.analysis.modes import modes_verdict
from harness.design.factors import Hyperparameters

LN2 = float(np.log(2))
DIGITS = [str(digit) for digit in range(10)]


def setting(**levels: Any) -> Setting:
    return Setting(Hyperparameters(**levels), {}, 2)


def run(
    generator: float = 1.0, discriminator: float = 0.7, real: float = 0.75, fake: float = 0.75, steps: int = 400,
) -> RunCurves:  # fmt: skip
    """A run that is out of every range, then 100 steps at these values; discriminator: per term."""
    early = {"loss/generator": 9.0, "loss/discriminator": 0.0, "accuracy/real": 0.0, "accuracy/fake": 0.0}
    late = {"loss/generator": generator, "loss/discriminator": 2 * discriminator}
    late |= {"accuracy/real": real, "accuracy/fake": fake}
    return run_curves(
        [{"step": end, "n": 10, **(late if end > steps - 100 else early)} for end in range(10, steps + 1, 10)]
    )


def finding(rule: Rule, curves: RunCurves, **levels: Any) -> Finding:
    return next(one for one in training_findings(curves, setting(**levels)) if one.rule == rule)


@pytest.mark.parametrize(
    ("generator", "holds", "symptom"),
    [
        (0.31, False, None),
        (0.3, True, "generator ahead"),
        (0.1, True, "generator ahead"),
        (2.99, False, None),
        (3.0, True, "discriminator ahead"),
        (8.0, True, "discriminator ahead"),
    ],
)
def test_the_ratio_is_strictly_between_its_bounds(generator: float, holds: bool, symptom: str | None) -> None:
    found = finding("loss ratio", run(generator, 1.0))
    assert (found.holds, found.symptom) == (holds, symptom)
    assert dict(found.evidence)["G/D"] == pytest.approx(generator)
    assert RATIO == (0.3, 3.0)


@pytest.mark.parametrize(
    ("real", "fake", "symptom"),
    [
        (0.75, 0.75, None),
        (0.61, 0.89, None),
        (0.9, 0.75, "too weak"),  # not over 0.9, and not inside
        (0.91, 0.75, "too good at real"),
        (0.91, 0.95, "too good at real"),
        (0.75, 0.91, "too good at fake"),
        (0.2, 0.95, "too good at fake"),
        (0.6, 0.75, "too weak"),
        (0.5, 0.5, "too weak"),
    ],
)
def test_accuracies_are_judged_in_the_order_of_the_rule(real: float, fake: float, symptom: str | None) -> None:
    found = finding("accuracies", run(real=real, fake=fake))
    assert (found.holds, found.symptom) == (symptom is not None, symptom)
    assert dict(found.evidence) == {"accuracy real": pytest.approx(real), "accuracy fake": pytest.approx(fake)}


@pytest.mark.parametrize(
    ("generator", "discriminator", "holds"),
    [(1.0, 0.7, False), (1.49, 0.51, False), (1.5, 0.7, True), (0.5, 0.7, True), (1.0, 0.5, True), (1.0, 1.6, True)],
)
def test_losses_are_strictly_between_their_bounds(generator: float, discriminator: float, holds: bool) -> None:
    assert finding("loss range", run(generator, discriminator)).holds is holds


def test_the_last_100_steps_count_by_their_steps() -> None:
    """A record of 80 steps reaches over the start of the last 100, and 60 of its steps are inside."""
    uneven = [(20, 20, 99.0), (100, 80, 1.0), (140, 40, 2.0)]
    curves = run_curves([{"step": end, "n": n, "loss/generator": v, "loss/discriminator": 2.0} for end, n, v in uneven])
    assert dict(finding("loss ratio", curves).evidence)["G/D"] == pytest.approx((60 * 1 + 40 * 2) / 100)


def test_fewer_than_100_steps_tell_nothing() -> None:
    short = run_curves([{"step": 90, "n": 90, "loss/generator": 1.0, "loss/discriminator": 2.0}])
    assert [one.holds for one in training_findings(short, setting())] == [None] * 5
    assert [one.holds for one in training_findings(run_curves([]), setting())] == [None] * 5


def test_losses_of_other_games_are_not_judged_and_accuracies_are() -> None:
    curves = run(real=0.95)
    for loss in ("hinge", "least_squares"):
        held = {one.rule: one.holds for one in training_findings(curves, setting(loss=loss))}
        assert (held["loss ratio"], held["loss range"], held["vanishing gradient"]) == (None, None, None)
        assert held["accuracies"] is True
    critic = RunCurves(curves.ends, curves.counts, {k: v for k, v in curves.values.items() if "accuracy" not in k})
    found = training_findings(critic, setting(loss="wasserstein_gp", discriminator_normalization="none"))
    assert {one.rule for one in found if one.holds is not None} == {"oscillation"}


@pytest.mark.parametrize(
    ("levels", "least"),
    [
        ({}, 0.0),
        ({"real_label": 0.9, "fake_label": 0.1}, 0.3251),
        ({"real_label": (0.8, 1.0)}, 0.3251 / 2),
        ({"label_swap": 0.5}, LN2),
        ({"label_swap": 0.5, "label_swap_decay": 0.5}, 0.0),
    ],
)
def test_the_least_loss_is_the_entropy_of_the_targets(levels: dict[str, Any], least: float) -> None:
    assert least_discriminator_loss(Hyperparameters(**levels)) == pytest.approx(least, abs=1e-4)


def test_the_gradient_vanishes_where_the_loss_is_at_its_least() -> None:
    smooth = {"real_label": 0.9, "fake_label": 0.1}
    assert finding("vanishing gradient", run(discriminator=0.02)).holds is True
    assert finding("vanishing gradient", run(discriminator=0.06)).holds is False
    assert finding("vanishing gradient", run(discriminator=0.34), **smooth).holds is True
    assert finding("vanishing gradient", run(discriminator=0.34)).holds is False


def test_modes_are_missing_by_the_verdict_on_classes() -> None:
    def holds(counts: list[int]) -> bool | None:
        return mode_collapse(modes_verdict(counts, [100] * 10, DIGITS), setting()).holds

    assert holds([100] * 10) is False
    assert holds([180] + [92] * 8 + [84]) is False  # uneven at most
    assert holds([0] + [111] * 9) is True
    assert holds([1000] + [0] * 9) is True
    assert holds([1] * 10) is None  # too few to tell
    assert mode_collapse(None, setting()).holds is None
    found = mode_collapse(modes_verdict([1000] + [0] * 9, [100] * 10, DIGITS), setting())
    assert dict(found.evidence) == {"classes there": 1, "classes judged": 10, "largest share": 1.0}


def test_classes_of_images_that_are_not_like_the_data_mean_nothing() -> None:
    collapsed = modes_verdict([1000] + [0] * 9, [100] * 10, DIGITS)
    found = mode_collapse(collapsed, setting(), precision=0.09)
    assert (found.holds, found.remedies, found.evidence) == (None, (), (("precision", 0.09),))
    assert mode_collapse(collapsed, setting(), precision=0.1).holds is True


@pytest.mark.parametrize(
    ("first", "last", "floor", "holds"),
    [
        (2550.0, 2474.0, 8.0, True),
        (2550.0, 2294.0, 8.0, False),  # 10 % and more
        (81.0, 80.1, 8.0, True),
        (81.0, 80.0, 8.0, False),  # not more than 10 times the floor
        (2474.0, 2550.0, 8.0, True),
        (2550.0, 2474.0, None, None),
        (None, None, 8.0, None),
    ],
)
def test_an_fid_that_stands_still_far_from_real_images(
    first: float | None, last: float | None, floor: float | None, holds: bool | None
) -> None:
    found = progress(first, last, floor, setting())
    assert found.holds is holds
    assert (found.symptom, bool(found.remedies)) == (("no progress", True) if holds else (None, False))


def test_where_the_discriminator_was_certain_is_told_of_all_of_training() -> None:
    """In the fixture D's loss is 0 up to the last 100 steps, which the rule on the end does not see. Single records
    below the limit are noise: means over 100 steps count."""
    assert certain_steps(run(), setting()) == CertainSteps(55, 255, 0.7)
    assert certain_steps(run(), setting(loss="hinge")) is None

    def with_losses(*means: float) -> CertainSteps | None:
        rows = [
            {"step": 100 * (i + 1), "n": 100, "loss/generator": 1.0, "loss/discriminator": 2 * mean}
            for i, mean in enumerate(means)
        ]
        return certain_steps(run_curves(rows), setting())

    assert with_losses(0.04, 0.06, 0.01, 0.9) == CertainSteps(50, 250, 0.5)
    assert with_losses(0.9, 0.06) is None
    noisy = [{"step": 10 * (i + 1), "n": 10, "loss/discriminator": 0.0 if i % 5 == 0 else 0.4} for i in range(40)]
    assert certain_steps(run_curves(noisy), setting()) is None


@pytest.mark.parametrize(
    ("nearness", "holds"),
    [
        (Nearness(), None),
        (Nearness(floor_ratio=1.0), None),
        (Nearness(1.0, 0.05, 0.99, 0.06), False),
        (Nearness(0.5, 0.5), False),
        (Nearness(0.49, 0.05), True),
        (Nearness(None, 0.51), True),
        (Nearness(3.0, 0.0), False),  # far from all data is no proof of anything, and no copy
        (Nearness(0.1, 0.9, 0.2, 0.8), None),  # real images are such copies of each other as well
    ],
)
def test_copies_of_training_images(nearness: Nearness, holds: bool | None) -> None:
    assert memorization(nearness, setting()).holds is holds


def test_a_symptom_that_is_not_there_has_no_remedy() -> None:
    for one in training_findings(run(), setting()):
        assert (one.holds, one.symptom, one.remedies) == (False, None, ())
    ill = training_findings(run(5.0, 0.01, 0.99, 0.99), setting())
    assert all(one.remedies for one in ill if one.holds) and sum(bool(one.holds) for one in ill) == 4


def test_numbers_of_a_run_are_of_its_last_100_steps() -> None:
    records = [
        {"step": end, "n": 10, "loss/generator": 2.0 if end > 900 else 1.0, "loss/discriminator": 1.0,
         "prob/real": 0.5 + (0.2 if end % 20 else -0.2), "accuracy/real": 0.8} for end in range(10, 1001, 10)
    ]  # fmt: skip
    curves = run_curves(records)
    numbers = run_dynamics(curves, loss_dynamics(curves, 50))
    assert (numbers.loss_generator, numbers.loss_discriminator) == (pytest.approx(2.0), pytest.approx(0.5))
    assert (numbers.loss_ratio, numbers.loss_difference) == (pytest.approx(4.0), pytest.approx(1.5))
    assert numbers.prob_real == pytest.approx(0.5)
    assert numbers.real_distance == pytest.approx(0.2)  # swings do not cancel
    assert (numbers.accuracy_real, numbers.accuracy_fake, numbers.fake_distance) == (pytest.approx(0.8), None, None)
    assert (numbers.crossings, numbers.interleaving) == (0, 0.0)
    other = run_dynamics(curves, loss_dynamics(curves, 50, scale=LossScale(2, comparable=False)))
    assert (other.loss_ratio, other.loss_difference, other.interleaving, other.crossings) == (None,) * 4
    assert other.loss_generator == pytest.approx(2.0)


def test_of_a_short_run_the_second_half_counts() -> None:
    losses = [
        {"step": end, "n": 10, "loss/generator": float(end), "loss/discriminator": 2.0} for end in (10, 20, 30, 40)
    ]
    curves = run_curves(losses)
    assert (curves.last_part, run_dynamics(curves, loss_dynamics(curves, 50)).loss_generator) == (20, 35.0)
