"""Did training reach the equilibrium of the original game, D = 1/2?

For a fixed generator the best discriminator is D*(x) = p_data(x) / (p_data(x) + p_g(x)) (Goodfellow et al. 2014,
arXiv:1406.2661, proposition 1), which is 1/2 everywhere once p_g = p_data, and then only. That an actual discriminator
answers 1/2 is necessary for this and does not suffice: one that is too weak to tell the two apart answers the same, and
one that answers 0.51 to real and 0.49 to generated images tells them apart though its answers are near 1/2.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from harness.analysis.curves import RunCurves
from harness.analysis.dynamics import EQUILIBRIUM_NATS, RunDynamics

ANSWER_TOLERANCE = 0.05
"""How far the mean of D(x) and that of D(G(z)) may be from 1/2."""
LOSS_TOLERANCE = 0.1
"""Nats by which each loss may differ from ln 2: what an answer costs that is off by ANSWER_TOLERANCE. Losses tell
undecided answers from decided ones that are 1/2 on average."""
CHANCE_ACCURACY = (0.4, 0.6)
"""Shares of real and of generated images on which D is right when it cannot tell them apart."""
LEFT = 0.1
"""How far smoothed answers have to be from 1/2 at some time for the run to have left it."""

Standing = Literal["away", "answers near", "tells apart", "reached"]
"""Of a run's end. away: answers or losses are not near 1/2 and ln 2. The others are near: answers near, where
accuracies are not recorded; tells apart, where D is right on more or fewer images than CHANCE_ACCURACY; reached."""

STAYED = 0.02
"""Change of the distance from 1/2 below which answers count as having stayed."""


def standing(numbers: RunDynamics, comparable: bool) -> Standing | None:
    """How the end of a run (as in `RunDynamics`) stands to D = 1/2, by the tolerances of this file.

    comparable: as `LossScale.comparable`. None where both losses have no common value, or the run lacks a curve.
    """
    answers = (numbers.prob_real, numbers.prob_fake)
    losses = (numbers.loss_generator, numbers.loss_discriminator)
    known_answers = [answer for answer in answers if answer is not None]
    known_losses = [loss for loss in losses if loss is not None]
    if not comparable or len(known_answers) < 2 or len(known_losses) < 2:
        return None
    undecided = all(abs(answer - 0.5) < ANSWER_TOLERANCE for answer in known_answers)
    if not undecided or any(abs(loss - EQUILIBRIUM_NATS) >= LOSS_TOLERANCE for loss in known_losses):
        return "away"
    if numbers.accuracy_real is None or numbers.accuracy_fake is None:
        return "answers near"
    low, high = CHANCE_ACCURACY
    is_chance = low <= numbers.accuracy_real <= high and low <= numbers.accuracy_fake <= high
    return "reached" if is_chance else "tells apart"


def has_left(numbers: RunDynamics) -> bool | None:
    """Whether the run's answers were away from 1/2 at any time; None where that is not known."""
    return None if numbers.largest_distance is None else numbers.largest_distance > LEFT


def drift(curves: RunCurves) -> float | None:
    """By how much the answers' distance from 1/2, the mean of that of D(x) and of D(G(z)), grew from the second to the
    last quarter of a run, by the means over these quarters; None where one has no record of both."""
    held = curves.held("prob/real", "prob/fake_before")
    quarter = np.minimum(4 * held.centers / max(curves.end, 1.0), 3.0).astype(np.int64)
    distances = []
    for part in (1, 3):
        inside = quarter == part
        if not inside.any():
            return None
        means = [float(np.average(curve[inside], weights=held.counts[inside])) for curve in held.values.values()]
        distances.append(sum(abs(mean - 0.5) for mean in means) / 2)
    return distances[1] - distances[0]
