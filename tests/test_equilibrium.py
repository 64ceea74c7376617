"""D = 1/2 at the end of a run: near it, at it, and by which way."""

from __future__ import annotations

import numpy as np
import pytest
from record_curves import run_curves

from harness.analysis.curves import RunCurves
from harness.analysis.dynamics import LossScale, loss_dynamics, run_dynamics
from harness.analysis.equilibrium import Standing, drift, has_left, standing

LN2 = float(np.log(2))


def ended(
    generator: float, discriminator: float, answers: tuple[float, float], accuracies: tuple[float, float] | None = None
) -> Standing | None:
    """How a run stands that was far from 1/2 and then 100 steps at these values; discriminator: per term."""
    early = {"loss/generator": 5.0, "loss/discriminator": 0.1, "prob/real": 0.9, "prob/fake_before": 0.1}
    late = {"loss/generator": generator, "loss/discriminator": 2 * discriminator}
    late |= dict(zip(("prob/real", "prob/fake_before"), answers, strict=True))
    if accuracies:
        early |= {"accuracy/real": 1.0, "accuracy/fake": 1.0}
        late |= dict(zip(("accuracy/real", "accuracy/fake"), accuracies, strict=True))
    curves = run_curves([{"step": end, "n": 10, **(late if end > 300 else early)} for end in range(10, 401, 10)])
    numbers = run_dynamics(curves, loss_dynamics(curves, 50))
    assert has_left(numbers) is True
    return standing(numbers, True)


@pytest.mark.parametrize(
    ("generator", "discriminator", "answers", "expected"),
    [
        (LN2, LN2, (0.5, 0.5), "answers near"),
        (LN2 + 0.09, LN2 - 0.09, (0.54, 0.46), "answers near"),
        (LN2, LN2, (0.56, 0.5), "away"),
        (LN2, LN2, (0.5, 0.44), "away"),
        (LN2 + 0.11, LN2, (0.5, 0.5), "away"),
        (3.0, 3.0, (0.5, 0.5), "away"),  # sure of itself, and wrong half of the time
    ],
)
def test_near_one_half_are_undecided_answers_and_losses_of_ln_2(
    generator: float, discriminator: float, answers: tuple[float, float], expected: Standing
) -> None:
    assert ended(generator, discriminator, answers) == expected


def test_the_equilibrium_asks_that_the_discriminator_is_right_by_chance_alone() -> None:
    """Answers of 0.53 and 0.47 that are right on 87 % of images are badly scaled and no equilibrium."""
    assert ended(LN2, LN2, (0.5, 0.5), (0.5, 0.5)) == "reached"
    assert ended(LN2, LN2, (0.5, 0.5), (0.401, 0.599)) == "reached"
    assert ended(0.77, 0.63, (0.53, 0.47), (0.87, 0.88)) == "tells apart"
    assert ended(LN2, LN2, (0.5, 0.5), (0.61, 0.5)) == "tells apart"
    assert ended(LN2, LN2, (0.5, 0.5), (0.5, 0.39)) == "tells apart"


def test_the_drift_is_between_the_second_and_the_last_quarter() -> None:
    """Distances are 0.1 in the second quarter, 0.3 in the last; those of the first and the third do not count."""
    distances = [0.5] * 10 + [0.1] * 10 + [0.4] * 10 + [0.3] * 10
    rows = [
        {"step": 10 * (i + 1), "n": 10, "prob/real": 0.5 + d, "prob/fake_before": 0.5 - d}
        for i, d in enumerate(distances)
    ]
    assert drift(run_curves(rows)) == pytest.approx(0.2)
    assert drift(run_curves([row | {"prob/fake_before": 0.5 + d} for row, d in zip(rows, distances, strict=True)]))
    assert drift(run_curves(rows[20:])) is None and drift(without_answers()) is None


def without_answers() -> RunCurves:
    losses = {"n": 10, "loss/generator": LN2, "loss/discriminator": 2 * LN2}
    return run_curves([{"step": end, **losses} for end in range(10, 401, 10)])


def test_a_run_that_never_left_one_half_is_told_from_one_that_came_back() -> None:
    def left(peak: float) -> bool | None:
        answers = [{"prob/real": peak if end <= 200 else 0.5, "prob/fake_before": 0.5} for end in range(10, 401, 10)]
        losses = {"n": 10, "loss/generator": LN2, "loss/discriminator": 2 * LN2}
        curves = run_curves([{"step": 10 * (at + 1), **losses, **one} for at, one in enumerate(answers)])
        return has_left(run_dynamics(curves, loss_dynamics(curves, 50)))

    assert (left(0.5), left(0.59), left(0.61)) == (False, False, True)
    curves = without_answers()
    assert has_left(run_dynamics(curves, loss_dynamics(curves, 50))) is None


def test_the_equilibrium_of_other_losses_is_not_told() -> None:
    curves = without_answers()
    numbers = run_dynamics(curves, loss_dynamics(curves, 50, scale=LossScale(2, comparable=False)))
    assert standing(numbers, False) is None
    assert standing(numbers, True) is None  # no answers
