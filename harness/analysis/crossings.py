"""Where two loss curves change places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.analysis.curves import Array

Role = Literal["generator", "discriminator"]


@dataclass(frozen=True)
class Crossing:
    """step: where the smoothed curves are equal, interpolated; loss: their value there in nats; above: whose loss is
    the higher one afterwards."""

    step: float
    loss: float
    above: Role


def find_crossings(steps: Array, generator: Array, discriminator: Array, hysteresis: float) -> tuple[Crossing, ...]:
    """Where two curves change places, ascending in step.

    A change counts once the difference is beyond `hysteresis` on the other side; it is dated back to the last point
    of equality before that, by linear interpolation. Touching, or wavering inside the band, is no crossing.
    """
    difference = generator - discriminator
    beyond = np.flatnonzero(np.abs(difference) > hysteresis)
    signs = np.sign(difference[beyond])
    changes = np.flatnonzero(signs[1:] != signs[:-1])
    return tuple(
        _crossing(steps, generator, difference, (int(beyond[at]), int(beyond[at + 1])), float(signs[at + 1]))
        for at in changes
    )


def _crossing(steps: Array, generator: Array, difference: Array, span: tuple[int, int], sign: float) -> Crossing:
    """The last equality between two points beyond the band; `sign`: of the difference after it."""
    start, end = span
    before = max(index for index in range(start, end) if difference[index] * sign <= 0)
    share = -difference[before] / (difference[before + 1] - difference[before])
    step = steps[before] + share * (steps[before + 1] - steps[before])
    loss = generator[before] + share * (generator[before + 1] - generator[before])
    return Crossing(float(step), float(loss), "generator" if sign > 0 else "discriminator")
