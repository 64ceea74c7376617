"""Training dynamics of one run: loss curves on one scale, their crossings, and what the curves come to in numbers.

The discriminator's loss has two terms (real and fake), the generator's one; as the mean of its terms, D's is on G's
scale. Where D cannot tell real from generated images, the cross entropy makes it answer half the sum of its two labels
to all: 1/2 in the original game (Goodfellow et al. 2014, arXiv:1406.2661) and wherever the labels add up to 1. At
D = 1/2 both losses are ln 2, whatever the labels and the generator's target. Other games have no value at which both
losses meet: a change of places there says nothing of who is ahead, and none is counted.
Both curves are smoothed over a window, and a change of places counts only once the curves are apart by more than a
dead band on the other side, so that noise around equality is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from typing import Literal

import numpy as np

from harness.analysis.crossings import Crossing, find_crossings
from harness.analysis.curves import LAST_STEPS, Array, RunCurves, moving_average
from harness.analysis.interleaving import interleaving

EQUILIBRIUM_NATS = float(np.log(2.0))
HYSTERESIS_NATS = 0.05
"""Half width of the dead band: about 7 % of ln 2, well above the noise that the window leaves."""
WINDOW_SHARE = 0.05
WINDOW_RECORDS = 5

Label = float | tuple[float, float]
"""A target of the discriminator, or the bounds between which one is drawn for each image."""


TWO_TERMS = frozenset({"bce", "least_squares", "hinge", "sigmoid_logits"})
"""Losses whose discriminator's part is a term for real and one for generated images; that of wasserstein_gp is one
difference, and of one's own nothing is known."""


@dataclass(frozen=True)
class LossScale:
    """How the recorded losses of a run compare. terms: that the discriminator's recorded loss adds up, 1 where it is
    their mean already; comparable: whether both losses meet at one value when D cannot tell real from generated."""

    terms: Literal[1, 2] = 2
    comparable: bool = True


def loss_scale(loss: str, reduction: str, real_label: Label, fake_label: Label) -> LossScale:
    """The scale of one cell's losses, from its levels of `loss`, `discriminator_loss_reduction` and both labels.

    Labels count by their means. Swapped ones keep the sum of both, and so what D answers.
    """
    meets = loss == "bce" and isclose(_mean(real_label) + _mean(fake_label), 1.0)
    return LossScale(2 if loss in TWO_TERMS and reduction == "sum" else 1, comparable=meets)


def _mean(label: Label) -> float:
    return sum(label) / len(label) if isinstance(label, tuple) else label


@dataclass(frozen=True, eq=False)
class LossDynamics:
    """Raw and smoothed loss curves of one run, in nats against the interval's middle step, and their crossings.

    discriminator is per term (`LossScale.terms`). Smoothed values are NaN where the window does not fit.
    covered: steps between the first and the last smoothed point, 0 where there are none; counts refer to them.
    terms, comparable: as `LossScale`; where losses do not compare, no crossing is counted.
    """

    steps: Array
    generator: Array
    discriminator: Array
    smooth_generator: Array
    smooth_discriminator: Array
    crossings: tuple[Crossing, ...]
    covered: float
    window: int
    comparable: bool = True
    terms: Literal[1, 2] = 2

    @property
    def is_counted(self) -> bool:
        """Whether there is something to count crossings in."""
        return self.comparable and self.covered > 0

    @property
    def per_1000_steps(self) -> float | None:
        """Crossings per 1000 of the steps covered; None where nothing can be counted."""
        return 1000.0 * len(self.crossings) / self.covered if self.is_counted else None


def default_window(steps: int, log_every: int) -> int:
    """Steps to smooth over: 5 % of the run, and never less than five log intervals."""
    return max(round(WINDOW_SHARE * steps), WINDOW_RECORDS * log_every)


def loss_dynamics(
    curves: RunCurves, window: int, hysteresis: float = HYSTERESIS_NATS, scale: LossScale = LossScale()
) -> LossDynamics:
    """The loss curves of one run and their crossings. Records without losses are left out.

    window: steps >= 1; hysteresis: nats >= 0. ValueError for a bad window or band.
    """
    if window < 1 or hysteresis < 0:
        raise ValueError("the window is at least one step and the dead band at least 0 nats")
    losses = curves.held("loss/generator", "loss/discriminator")
    generator, discriminator = losses.values["loss/generator"], losses.values["loss/discriminator"] / scale.terms
    centers = losses.centers
    smooth_generator = moving_average(losses.ends, losses.counts, generator, window)
    smooth_discriminator = moving_average(losses.ends, losses.counts, discriminator, window)
    whole = np.isfinite(smooth_generator)
    smooth = centers[whole], smooth_generator[whole], smooth_discriminator[whole]
    crossings = find_crossings(*smooth, hysteresis) if scale.comparable else ()
    covered = float(np.ptp(centers[whole])) if whole.any() else 0.0
    return LossDynamics(
        centers, generator, discriminator, smooth_generator, smooth_discriminator, crossings, covered, window,
        scale.comparable, scale.terms,
    )  # fmt: skip


@dataclass(frozen=True)
class RunDynamics:
    """What one run's curves come to, in numbers; None where the run lacks the curve, or losses do not compare.

    crossings, per_1000_steps: as `LossDynamics`; interleaving: in [0, 1], as `interleaving.interleaving`. The others
    are means over the last 100 steps (`RunCurves.last_part`). loss_generator, loss_discriminator (per term): in the
    losses' own units, nats with cross entropies; loss_ratio: of these means, G / D; loss_difference: G - D. accuracy_*,
    prob_*: in [0, 1]; *_distance: of the interval means of D(x) and of D(G(z)) before D's update from 1/2, in [0, 0.5];
    largest_distance: the largest of either from 1/2 anywhere in training, smoothed over 100 steps.
    """

    crossings: int | None
    per_1000_steps: float | None
    interleaving: float | None
    loss_generator: float | None
    loss_discriminator: float | None
    loss_ratio: float | None
    loss_difference: float | None
    accuracy_real: float | None
    accuracy_fake: float | None
    prob_real: float | None
    prob_fake: float | None
    real_distance: float | None
    fake_distance: float | None
    largest_distance: float | None = None


def run_dynamics(curves: RunCurves, losses: LossDynamics) -> RunDynamics:
    """Of one run, whose smoothed losses are `losses`."""
    part = curves.last_part
    generator = curves.over_last("loss/generator", part)
    recorded = curves.over_last("loss/discriminator", part)
    discriminator = None if recorded is None else recorded / losses.terms
    known = losses.comparable and generator is not None and discriminator is not None
    return RunDynamics(
        crossings=len(losses.crossings) if losses.is_counted else None,
        per_1000_steps=losses.per_1000_steps,
        interleaving=interleaving(curves, losses.terms) if losses.comparable else None,
        loss_generator=generator,
        loss_discriminator=discriminator,
        loss_ratio=generator / discriminator if known and generator and discriminator else None,
        loss_difference=generator - discriminator if known and generator and discriminator else None,
        accuracy_real=curves.over_last("accuracy/real", part),
        accuracy_fake=curves.over_last("accuracy/fake", part),
        prob_real=curves.over_last("prob/real", part),
        prob_fake=curves.over_last("prob/fake_before", part),
        real_distance=_distance(curves, "prob/real", part),
        fake_distance=_distance(curves, "prob/fake_before", part),
        largest_distance=_largest_distance(curves),
    )


def _distance(curves: RunCurves, name: str, part: float) -> float | None:
    """The mean distance of interval means from 1/2 over the last `part` steps."""
    answers = curves.values.get(name)
    return None if answers is None else curves.mean_over_last(np.abs(answers - 0.5), part)


def _largest_distance(curves: RunCurves) -> float | None:
    """Of smoothed D(x) and D(G(z)) from 1/2 at any time; None where they are not recorded or for too few steps."""
    distances = []
    for name in ("prob/real", "prob/fake_before"):
        held = curves.held(name)
        smooth = moving_average(held.ends, held.counts, held.values[name], LAST_STEPS)
        distances += np.abs(smooth[np.isfinite(smooth)] - 0.5).tolist()
    return max(distances, default=None)
