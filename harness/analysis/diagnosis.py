"""Diagnosis of a run from its last steps: rules of thumb with stated thresholds, each with the numbers that it saw.

Three rules judge the last 100 steps, with strict inequalities, on D's loss per term: 0.3 < G / D < 3; both accuracies
in (0.6, 0.9); both losses in (0.5, 1.5) nats. Where accuracies are not, it is because D is too good at real images
(more than 0.9 of them right), else too good at generated ones, else too weak. These thresholds are custom, not theory:
they were made for the cross entropy on small images, and are kept exactly. More symptoms: a vanishing gradient
(D's loss at the least that its labels allow, so that D is certain and G learns little from it), oscillation
(`analysis.oscillation`), missing classes (`analysis.modes`) and memorized training images; and that FID hardly changes
over the checkpoints.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Literal

import numpy as np

from harness.analysis.curves import LAST_STEPS, RunCurves, moving_average
from harness.analysis.modes import LEAST_PRECISION, ModeVerdict
from harness.analysis.oscillation import strongest_swing
from harness.analysis.remedies import Remedy, Symptom, remedies_for
from harness.design.factors import Hyperparameters
from harness.design.folding import Parameters

RATIO = (0.3, 3.0)
ACCURACY = (0.6, 0.9)
LOSS = (0.5, 1.5)
"""In nats, of the generator and of the discriminator per term."""
VANISHING = 0.05
"""Nats per term over the least possible: D gives the truth 95 % (geometric mean)."""
NEAREST_RATIO = 0.5
NEAREST_SHARE = 0.5
PROGRESS = 0.1
"""Share by which FID has to have changed since the first checkpoint."""
FAR = 10.0
"""Times the FID of real images beyond which a FID that stands still is a symptom, and no success."""

Rule = Literal[
    "loss ratio", "accuracies", "loss range", "vanishing gradient", "oscillation", "mode collapse", "memorization",
    "progress",
]  # fmt: skip
Quantity = Literal[
    "G/D", "G loss", "D loss", "accuracy real", "accuracy fake", "least D loss", "period", "share of variance",
    "chance", "classes there", "classes judged", "largest share", "1-NN ratio", "nearer than real",
    "1-NN ratio of real", "nearer than real of real", "precision", "first FID", "last FID", "FID of real",
]  # fmt: skip

Evidence = tuple[tuple[Quantity, float], ...]


@dataclass(frozen=True)
class Finding:
    """What one rule says. holds: whether its symptom is there, None where the run lacks what the rule needs.

    symptom: which, where there is one; evidence: the numbers that the rule saw; remedies: of a symptom that is there.
    """

    rule: Rule
    holds: bool | None
    evidence: Evidence = ()
    symptom: Symptom | None = None
    remedies: tuple[Remedy, ...] = ()


@dataclass(frozen=True)
class Nearness:
    """How near generated images are to training ones, and real images to other real ones (the floor); None where not
    measured. ratio, share: the metrics nearest_ratio (expected: 1) and nearest_share (expected: 0.05)."""

    ratio: float | None = None
    share: float | None = None
    floor_ratio: float | None = None
    floor_share: float | None = None


@dataclass(frozen=True)
class Setting:
    """A cell's levels, the parameters of own parts (`Plan.parameters`), and the terms that D's recorded loss adds."""

    hp: Hyperparameters
    parameters: Parameters
    terms: int


def training_findings(curves: RunCurves, setting: Setting) -> tuple[Finding, ...]:
    """What the rules on curves say of one run."""
    return (
        _loss_ratio(curves, setting),
        _accuracies(curves, setting),
        _loss_range(curves, setting),
        _vanishing(curves, setting),
        _oscillation(curves, setting),
    )


def mode_collapse(verdict: ModeVerdict | None, setting: Setting, precision: float | None = None) -> Finding:
    """Holds where judged classes are missing or most are; None where too few images, or none, were classified, or the
    images are not like the data (precision)."""
    if verdict is not None and precision is not None and precision < LEAST_PRECISION:
        return Finding("mode collapse", None, (("precision", precision),))
    if verdict is None or verdict.kind in ("undecided", "unlike data"):
        return Finding("mode collapse", None)
    evidence: Evidence = (
        ("classes there", verdict.present), ("classes judged", verdict.judged),
        ("largest share", verdict.largest_share),
    )  # fmt: skip
    return _finding("mode collapse", verdict.kind in ("collapsed", "missing"), evidence, "mode collapse", setting)


def progress(first: float | None, last: float | None, floor: float | None, setting: Setting) -> Finding:
    """Holds where FID hardly differs between the first and the last checkpoint and is far from that of real images.

    None with one checkpoint or without a floor.
    """
    if first is None or last is None or floor is None or min(first, last, floor) <= 0:
        return Finding("progress", None)
    stands = abs(log(last / first)) < -log(1 - PROGRESS) and last > FAR * floor
    evidence: Evidence = (("first FID", first), ("last FID", last), ("FID of real", floor))
    return _finding("progress", stands, evidence, "no progress", setting)


@dataclass(frozen=True)
class CertainSteps:
    """Where D was certain, by its loss smoothed over LAST_STEPS: the first and the last step about which it was, and
    the share in (0, 1] of the steps about which its loss can be smoothed."""

    first: int
    last: int
    share: float


def certain_steps(curves: RunCurves, setting: Setting) -> CertainSteps | None:
    """Where in training D's smoothed loss was as near its least as in a vanishing gradient; None where nowhere."""
    if setting.hp.loss not in ("bce", "sigmoid_logits"):
        return None
    held = curves.held("loss/discriminator")
    losses = moving_average(held.ends, held.counts, held.values["loss/discriminator"] / setting.terms, LAST_STEPS)
    low = losses - least_discriminator_loss(setting.hp) < VANISHING  # False where NaN
    if not low.any():
        return None
    share = held.counts[low].sum() / held.counts[np.isfinite(losses)].sum()
    return CertainSteps(round(held.centers[low][0]), round(held.centers[low][-1]), float(share))


def memorization(nearness: Nearness, setting: Setting) -> Finding:
    """Holds where generated images are less than half as far from training images as these from each other, or more
    than half of them are nearer than 95 % of these. None where neither is measured, or real images would do the same.
    """
    found: tuple[tuple[Quantity, float | None], ...] = (
        ("1-NN ratio", nearness.ratio), ("nearer than real", nearness.share),
        ("1-NN ratio of real", nearness.floor_ratio), ("nearer than real of real", nearness.floor_share),
    )  # fmt: skip
    evidence: Evidence = tuple((name, value) for name, value in found if value is not None)
    unmeasured = nearness.ratio is None and nearness.share is None
    if unmeasured or _are_copies(nearness.floor_ratio, nearness.floor_share):
        return Finding("memorization", None, evidence)
    return _finding("memorization", _are_copies(nearness.ratio, nearness.share), evidence, "memorization", setting)


def _are_copies(ratio: float | None, share: float | None) -> bool:
    return (ratio is not None and ratio < NEAREST_RATIO) or (share is not None and share > NEAREST_SHARE)


def least_discriminator_loss(hp: Hyperparameters) -> float:
    """The least that D's cross entropy per term can be, in nats: the entropy of its targets, 0 for labels 1 and 0."""
    swapped = hp.label_swap if hp.label_swap_decay == "none" else 0.0
    real, fake = (
        sum(label) / len(label) if isinstance(label, tuple) else label for label in (hp.real_label, hp.fake_label)
    )
    mixed = ((1 - swapped) * real + swapped * fake, (1 - swapped) * fake + swapped * real)
    return sum(-p * log(p) for target in mixed for p in (target, 1 - target) if p > 0) / 2


def _finding(rule: Rule, holds: bool, evidence: Evidence, symptom: Symptom, setting: Setting) -> Finding:
    if not holds:
        return Finding(rule, False, evidence)
    return Finding(rule, True, evidence, symptom, remedies_for(symptom, setting.hp, setting.parameters))


def _last_losses(curves: RunCurves, setting: Setting) -> tuple[float, float] | None:
    """G's and D's per term over the last steps."""
    generator = curves.over_last("loss/generator", LAST_STEPS)
    discriminator = curves.over_last("loss/discriminator", LAST_STEPS)
    if generator is None or discriminator is None:
        return None
    return generator, discriminator / setting.terms


def _loss_ratio(curves: RunCurves, setting: Setting) -> Finding:
    """Of the mean losses, not the mean of ratios, which single records would rule."""
    losses = _last_losses(curves, setting)
    if losses is None or setting.hp.loss != "bce":
        return Finding("loss ratio", None)
    generator, discriminator = losses
    evidence: list[tuple[Quantity, float]] = [("G loss", generator), ("D loss", discriminator)]
    if discriminator > 0:
        evidence.insert(0, ("G/D", generator / discriminator))
    low, high = RATIO
    balanced = low * discriminator < generator < high * discriminator
    symptom: Symptom = "discriminator ahead" if generator >= high * discriminator else "generator ahead"
    return _finding("loss ratio", not balanced, tuple(evidence), symptom, setting)


def _accuracies(curves: RunCurves, setting: Setting) -> Finding:
    real = curves.over_last("accuracy/real", LAST_STEPS)
    fake = curves.over_last("accuracy/fake", LAST_STEPS)
    if real is None or fake is None:
        return Finding("accuracies", None)
    low, high = ACCURACY
    good = low < real < high and low < fake < high
    symptom: Symptom = "too good at real" if real > high else "too good at fake" if fake > high else "too weak"
    return _finding("accuracies", not good, (("accuracy real", real), ("accuracy fake", fake)), symptom, setting)


def _loss_range(curves: RunCurves, setting: Setting) -> Finding:
    losses = _last_losses(curves, setting)
    if losses is None or setting.hp.loss != "bce":
        return Finding("loss range", None)
    low, high = LOSS
    within = all(low < loss < high for loss in losses)
    return _finding(
        "loss range", not within, (("G loss", losses[0]), ("D loss", losses[1])), "losses out of range", setting
    )


def _vanishing(curves: RunCurves, setting: Setting) -> Finding:
    losses = _last_losses(curves, setting)
    if losses is None or setting.hp.loss not in ("bce", "sigmoid_logits"):
        return Finding("vanishing gradient", None)
    least = least_discriminator_loss(setting.hp)
    evidence: Evidence = (("D loss", losses[1]), ("least D loss", least))
    return _finding("vanishing gradient", losses[1] - least < VANISHING, evidence, "vanishing gradient", setting)


def _oscillation(curves: RunCurves, setting: Setting) -> Finding:
    swing = strongest_swing(curves, setting.terms)
    if swing is None:
        return Finding("oscillation", None)
    evidence: Evidence = (
        ("period", swing.period), ("share of variance", swing.share), ("chance", swing.chance),
    )  # fmt: skip
    return _finding("oscillation", swing.is_oscillation, evidence, "oscillation", setting)
