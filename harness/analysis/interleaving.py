"""How much two loss curves interleave: a number in [0, 1] beside the count of their crossings.

Training is cut into PARTS equal parts. In each, the score is twice the chance that two of its steps, drawn from
different records, have different leaders, the leader being the network of the higher loss:

    score of a part = 2 P(leader of i != leader of j) = 4 W_g W_d / (W^2 - sum w_i^2),

with w_i the steps of record i, W_g and W_d the steps that G and D lead, and W = W_g + W_d. The number is the mean
over the parts, cut at 1. It is 0 where one network leads in each part from end to end; a single change of places adds
at most about 1 / PARTS, in the middle of a part; it is 1 where the networks take turns within every part. Two curves
whose leader is a fair coin's at each record have an expected score of 1, however many records there are (the chance
is that of pairs without replacement). Only the leader counts: neither the scale of the losses nor how far they are
apart changes it. It is taken from the recorded interval means, without smoothing, so that curves that lie on each
other within their noise interleave, of which the count of crossings says nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.analysis.curves import Array, RunCurves

PARTS = 10
LEAST_RECORDS = 4 * PARTS


def interleaving(curves: RunCurves, terms: int) -> float | None:
    """The score of one run's losses, D's divided by `terms`; None with fewer than LEAST_RECORDS records of both."""
    losses = curves.held("loss/generator", "loss/discriminator")
    if len(losses.ends) < LEAST_RECORDS:
        return None
    return interleaving_score(
        losses.centers, losses.counts, losses.values["loss/generator"] - losses.values["loss/discriminator"] / terms
    )


def interleaving_score(centers: Array, counts: Array, difference: Array) -> float:
    """As this file says, of n records: middles and lengths of their intervals in steps, G's loss minus D's, [n] each.

    Records of equal losses have no leader and are left out; a part with one record or none scores 0.
    """
    start, end = centers[0] - counts[0] / 2, centers[-1] + counts[-1] / 2
    part = np.minimum(((centers - start) / (end - start) * PARTS).astype(np.int64), PARTS - 1)
    ahead = [np.bincount(part, weights=np.where(led, counts, 0.0), minlength=PARTS) for led in _leads(difference)]
    squares = np.bincount(part, weights=np.where(difference != 0, counts, 0.0) ** 2, minlength=PARTS)
    pairs = (ahead[0] + ahead[1]) ** 2 - squares
    scores = np.divide(4 * ahead[0] * ahead[1], pairs, out=np.zeros(PARTS), where=pairs > 0)
    return min(1.0, float(scores.mean()))


def _leads(difference: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where G leads, and where D does."""
    return difference > 0, difference < 0
