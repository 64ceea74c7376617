"""Fewer points for long curves: what a panel a few inches wide can show."""

from __future__ import annotations

import numpy as np

from harness.analysis.curves import Array

MOST_POINTS = 600
"""A panel is some 400 dots wide."""
FEW_POINTS = 160
"""Of thin lines beside a thick one."""


def thinned(steps: Array, values: Array, most: int = MOST_POINTS) -> tuple[Array, Array]:
    """The points of a curve [n] to draw: all up to `most`, else the lowest and the highest of equal stretches, so
    that no peak is lost. NaN where a stretch has no other value."""
    if len(values) <= most:
        return steps, values
    length = -(-2 * len(values) // most)
    stretches = -(-len(values) // length)
    padded = np.concatenate([values, np.full(stretches * length - len(values), np.nan)]).reshape(stretches, length)
    unknown = np.isnan(padded)
    starts = length * np.arange(stretches)
    lowest = starts + np.argmin(np.where(unknown, np.inf, padded), axis=1)
    highest = starts + np.argmax(np.where(unknown, -np.inf, padded), axis=1)
    chosen = np.unique(np.concatenate([lowest, highest]))
    return steps[chosen], values[chosen]
