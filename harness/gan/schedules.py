"""What changes with the share of training done: a pure function of the step and the total, never of a state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch


def fallen(value: float, until: float | Literal["none"], step: int, steps: int) -> float:
    """`value` falling linearly to 0 at the fraction `until` of training; constant for "none".

    step: steps done, so that the first step has the whole value; steps: the total.
    """
    if until == "none":
        return value
    return value * max(0.0, 1.0 - step / (until * steps))


def learning_rate_factor(decay_from: float | Literal["none"], step: int, steps: int) -> float:
    """By what both learning rates are multiplied in the step that follows `step` done ones, in (0, 1].

    1 until the fraction `decay_from` of training, then falling linearly to what would be 0 in the step after the last;
    always 1 for "none".
    """
    if decay_from == "none":
        return 1.0
    return min(1.0, (steps - step) / (steps * (1.0 - decay_from)))


@contextmanager
def scaled_learning_rates(factor: float, *optimizers: torch.optim.Optimizer) -> Iterator[None]:
    """A block in which the learning rates are multiplied by `factor`.

    Afterwards they are as before: a state holds the rates that the levels name, wherever in the schedule it stands.
    """
    groups = [group for optimizer in optimizers for group in optimizer.param_groups] if factor != 1.0 else []
    rates = [group["lr"] for group in groups]
    for group, rate in zip(groups, rates, strict=True):
        group["lr"] = rate * factor
    try:
        yield
    finally:
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate
