"""Loss crossings: how often the generator's loss and the discriminator's per-term loss change places.

The discriminator's loss has two terms (real and fake), the generator's one; as the mean of its terms, D's is on G's
scale. Where D cannot tell real from generated images, the cross entropy makes it answer half the sum of its two labels
to all: 1/2 in the original game (Goodfellow et al. 2014, arXiv:1406.2661) and wherever the labels add up to 1. At
D = 1/2 both losses are ln 2, whatever the labels and the generator's target. Other games have no value at which both
losses meet: a change of places there says nothing of who is ahead, and none is counted.
Both curves are smoothed over a window, and a change of places counts only once the curves are apart by more than a
dead band on the other side, so that noise around equality is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

EQUILIBRIUM_NATS = float(np.log(2.0))
HYSTERESIS_NATS = 0.05
"""Half width of the dead band: about 7 % of ln 2, well above the noise that the window leaves."""
WINDOW_SHARE = 0.05
WINDOW_RECORDS = 5

Array = NDArray[np.float64]
Role = Literal["generator", "discriminator"]
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


@dataclass(frozen=True)
class Crossing:
    """step: where the smoothed curves are equal, interpolated; loss: their value there in nats; above: whose loss is
    the higher one afterwards."""

    step: float
    loss: float
    above: Role


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
    records: Sequence[Mapping[str, Any]],
    window: int,
    hysteresis: float = HYSTERESIS_NATS,
    scale: LossScale = LossScale(),
) -> LossDynamics:
    """The loss curves of one run's records (step, n, loss/generator, loss/discriminator) and their crossings.

    window: steps >= 1; hysteresis: nats >= 0. Records without losses are left out; ValueError for a bad window or band.
    """
    if window < 1 or hysteresis < 0:
        raise ValueError("the window is at least one step and the dead band at least 0 nats")
    held = [record for record in records if "loss/generator" in record and "loss/discriminator" in record]
    ends = np.array([record["step"] for record in held], dtype=np.float64)
    counts = np.array([record["n"] for record in held], dtype=np.float64)
    generator = np.array([record["loss/generator"] for record in held], dtype=np.float64)
    discriminator = np.array([record["loss/discriminator"] for record in held], dtype=np.float64) / scale.terms
    centers = ends - counts / 2
    smooth_generator = moving_average(ends, counts, generator, window)
    smooth_discriminator = moving_average(ends, counts, discriminator, window)
    whole = np.isfinite(smooth_generator)
    smooth = centers[whole], smooth_generator[whole], smooth_discriminator[whole]
    crossings = find_crossings(*smooth, hysteresis) if scale.comparable else ()
    covered = float(np.ptp(centers[whole])) if whole.any() else 0.0
    return LossDynamics(
        centers, generator, discriminator, smooth_generator, smooth_discriminator, crossings, covered, window,
        scale.comparable, scale.terms,
    )  # fmt: skip


def moving_average(ends: Array, counts: Array, means: Array, window: int) -> Array:
    """Centred moving average of interval means over `window` steps, at each interval's middle.

    Interval i holds the mean over the `counts[i]` steps up to `ends[i]`; intervals that the window cuts count by the
    part inside. NaN where the window reaches over an edge of the data or over a gap: a shorter window there would be
    noisier, a one-sided one would lag.
    """
    if not len(ends):
        return means.copy()
    centers = ends - counts / 2
    edges = np.ravel(np.column_stack([ends - counts, ends]))
    total = np.ravel(np.column_stack([np.cumsum(means * counts) - means * counts, np.cumsum(means * counts)]))
    known = np.ravel(np.column_stack([np.cumsum(counts) - counts, np.cumsum(counts)]))
    low, high = centers - window / 2, centers + window / 2
    inside = np.interp(high, edges, known) - np.interp(low, edges, known)
    sums = np.interp(high, edges, total) - np.interp(low, edges, total)
    whole = inside >= window - 1e-6
    average = np.full(len(ends), np.nan)
    average[whole] = sums[whole] / window
    return average


def find_crossings(steps: Array, generator: Array, discriminator: Array, hysteresis: float) -> tuple[Crossing, ...]:
    """Where two curves change places, ascending in step.

    A change counts once the difference is beyond `hysteresis` on the other side; it is dated back to the last point
    of equality before that, by linear interpolation. Touching, or wavering inside the band, is no crossing.
    """
    difference = generator - discriminator
    crossings: list[Crossing] = []
    side = 0.0
    last = -1  # index of the last point beyond the band
    for index in np.flatnonzero(np.abs(difference) > hysteresis):
        sign = float(np.sign(difference[index]))
        if side and sign != side:
            crossings.append(_crossing(steps, generator, difference, (last, int(index)), sign))
        side, last = sign, int(index)
    return tuple(crossings)


def _crossing(steps: Array, generator: Array, difference: Array, span: tuple[int, int], sign: float) -> Crossing:
    """The last equality between two points beyond the band; `sign`: of the difference after it."""
    start, end = span
    before = max(index for index in range(start, end) if difference[index] * sign <= 0)
    share = -difference[before] / (difference[before + 1] - difference[before])
    step = steps[before] + share * (steps[before + 1] - steps[before])
    loss = generator[before] + share * (generator[before + 1] - generator[before])
    return Crossing(float(step), float(loss), "generator" if sign > 0 else "discriminator")
