"""Did training reach the equilibrium of the original game, D = 1/2?

For a fixed generator the best discriminator is D*(x) = p_data(x) / (p_data(x) + p_g(x)) (Goodfellow et al. 2014,
arXiv:1406.2661, proposition 1), which is 1/2 everywhere once p_g = p_data, and then only. That an actual discriminator
answers 1/2 is necessary for this and does not suffice: one that is too weak to tell the two apart answers the same.
"""

from __future__ import annotations

from harness.analysis.dynamics import EQUILIBRIUM_NATS, RunDynamics

ANSWER_TOLERANCE = 0.05
"""How far the mean of D(x) and that of D(G(z)) may be from 1/2."""
LOSS_TOLERANCE = 0.1
"""Nats by which each loss may differ from ln 2: what an answer costs that is off by ANSWER_TOLERANCE. Losses tell
undecided answers from decided ones that are 1/2 on average."""


def is_equilibrium(numbers: RunDynamics, comparable: bool) -> bool | None:
    """Whether the last part of a run (as in `RunDynamics`) is within all four tolerances.

    comparable: as `LossScale.comparable`. None where both losses have no common value, or the run lacks a curve.
    """
    answers = (numbers.prob_real, numbers.prob_fake)
    losses = (numbers.loss_generator, numbers.loss_discriminator)
    if not comparable:
        return None
    known_answers = [answer for answer in answers if answer is not None]
    known_losses = [loss for loss in losses if loss is not None]
    if len(known_answers) < 2 or len(known_losses) < 2:
        return None
    undecided = all(abs(answer - 0.5) < ANSWER_TOLERANCE for answer in known_answers)
    return undecided and all(abs(loss - EQUILIBRIUM_NATS) < LOSS_TOLERANCE for loss in known_losses)
