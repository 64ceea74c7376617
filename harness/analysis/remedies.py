"""What to try against a symptom: levels that a cell does not have yet, as lines of an experiment file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.design.combinations import LABEL_LOSSES
from harness.design.factors import Hyperparameters, Level, as_fields, levels_of
from harness.design.folding import Parameters, fold

Symptom = Literal[
    "discriminator ahead",
    "generator ahead",
    "too good at real",
    "too good at fake",
    "too weak",
    "losses out of range",
    "vanishing gradient",
    "oscillation",
    "mode collapse",
    "memorization",
    "no progress",
]
RemedyName = Literal[
    "slower discriminator",
    "weaker discriminator",
    "more dropout in the discriminator",
    "stronger discriminator",
    "more updates of the discriminator",
    "slower generator",
    "lower learning rates",
    "higher learning rates",
    "falling learning rates",
    "larger batch",
    "label smoothing",
    "larger latent vector",
    "noise on images",
    "WGAN loss",
    "all images",
]

_STRONG: tuple[RemedyName, ...] = (
    "slower discriminator", "more dropout in the discriminator", "weaker discriminator",
)  # fmt: skip
_WEAK: tuple[RemedyName, ...] = (
    "stronger discriminator", "more updates of the discriminator", "slower generator",
)  # fmt: skip
_TRIED: dict[Symptom, tuple[RemedyName, ...]] = {
    "discriminator ahead": _STRONG,
    "generator ahead": _WEAK,
    "too good at real": _STRONG,
    "too good at fake": _STRONG,
    "too weak": _WEAK,
    "losses out of range": ("lower learning rates", "larger batch"),
    "vanishing gradient": ("label smoothing", "slower discriminator"),
    "oscillation": ("lower learning rates", "larger batch", "falling learning rates"),
    "mode collapse": ("larger latent vector", "noise on images", "WGAN loss"),
    "memorization": ("all images", "more dropout in the discriminator", "weaker discriminator"),
    "no progress": ("higher learning rates",),
}


@dataclass(frozen=True)
class Remedy:
    """levels: by factor; at least one is another one than the cell's, and the cell can train with all of them."""

    name: RemedyName
    levels: tuple[tuple[str, Level], ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """`discriminator_lr = 0.0001`: a TOML line for each level, for a `[[cell]]` or the `[baseline]`."""
        return tuple(_assignment(factor, level) for factor, level in self.levels)

    def cell_table(self, varied: Mapping[str, Level], comment: str) -> str:
        """The cell of these levels (`Cell.varied`) with the remedy, as a `[[cell]]` to paste into its file."""
        changed = {factor for factor, _ in self.levels}
        kept = [_assignment(name, level) for name, level in varied.items() if name not in changed]
        return "\n".join([f"[[cell]]  # {comment}", *kept, *self.lines])

    def levels_with(self, varied: Mapping[str, Level]) -> dict[str, Level]:
        """The levels of that cell, by field."""
        return as_fields(varied) | dict(self.levels)


def remedies_for(symptom: Symptom, hp: Hyperparameters, parameters: Parameters) -> tuple[Remedy, ...]:
    """What to try in a cell with these levels; what it has, cannot have or would not notice is left out.

    parameters: those of own parts, as `Plan.parameters`. What is tried follows the usual advice: more latent
    dimensions, noise or a Wasserstein loss against mode collapse, smoothed labels or a slower D against vanishing
    gradients, lower rates or a larger batch against instability, dropout or a smaller D where D is too good.
    """
    found = []
    for name in _TRIED[symptom]:
        levels = _levels(name, hp)
        if levels and _changes(hp, levels, parameters):
            found.append(Remedy(name, tuple(levels.items())))
    return tuple(found)


def _changes(hp: Hyperparameters, levels: Mapping[str, Level], parameters: Parameters) -> bool:
    """Whether the cell can train with these levels, as another run than it is."""
    try:
        changed = Hyperparameters(**levels_of(hp) | dict(levels))
    except ValueError:
        return False
    return fold(changed, parameters)[0] != fold(hp, parameters)[0]


def _levels(name: RemedyName, hp: Hyperparameters) -> dict[str, Level]:
    """The next level in the remedy's direction; empty where the cell has it already."""
    match name:
        case "slower discriminator":
            return {"discriminator_lr": _lower(hp.discriminator_lr)}
        case "slower generator":
            return {"generator_lr": _lower(hp.generator_lr)}
        case "lower learning rates":
            return {"generator_lr": _lower(hp.generator_lr), "discriminator_lr": _lower(hp.discriminator_lr)}
        case "higher learning rates":
            return {"generator_lr": 5 * hp.generator_lr, "discriminator_lr": 5 * hp.discriminator_lr}
        case "falling learning rates":
            return {} if hp.lr_decay_from != "none" else {"lr_decay_from": 0.5}
        case "weaker discriminator":
            return {"discriminator_hidden_dim": max(1, hp.discriminator_hidden_dim // 2)}
        case "stronger discriminator":
            return {"discriminator_hidden_dim": 2 * hp.discriminator_hidden_dim}
        case "more updates of the discriminator":
            return {"discriminator_steps": hp.discriminator_steps + 1}
        case "more dropout in the discriminator":
            more = next((level for level in (0.3, 0.5) if level > hp.discriminator_dropout), None)
            return {} if more is None else {"discriminator_dropout": more}
        case "larger batch":
            return {"batch_size": 128 if hp.batch_size < 128 else 2 * hp.batch_size}
        case "label smoothing":
            is_hard = hp.loss in LABEL_LOSSES and (hp.real_label, hp.fake_label) == (1.0, 0.0)
            return {"real_label": 0.9, "fake_label": 0.1} if is_hard else {}
        case "larger latent vector":
            return {"latent_dim": 200 if hp.latent_dim < 200 else 2 * hp.latent_dim}
        case "noise on images":
            return {"instance_noise": 0.1 if hp.instance_noise < 0.1 else 2 * hp.instance_noise}
        case "WGAN loss":
            return {} if hp.loss == "wasserstein_gp" else _wasserstein(hp)
        case "all images":
            return {} if hp.limit == "all" else {"limit": "all"}


def _wasserstein(hp: Hyperparameters) -> dict[str, Level]:
    """With the critic's updates and Adam of Gulrajani et al. 2017 (arXiv:1704.00028), algorithm 1.

    Its penalty is on each image alone, which batch normalization in D does not leave alone.
    """
    keeps = hp.discriminator_normalization in ("none", "instance")
    adam: dict[str, Level] = {
        "generator_lr": 1e-4, "discriminator_lr": 1e-4,
        "generator_betas": (0.0, 0.9), "discriminator_betas": (0.0, 0.9),
    }  # fmt: skip
    normalization: dict[str, Level] = {} if keeps else {"discriminator_normalization": "none"}
    return {"loss": "wasserstein_gp", **normalization, "discriminator_steps": 5, **adam}


def _lower(rate: float) -> float:
    return 1e-4 if rate > 1e-4 else rate / 2


def _assignment(factor: str, level: Level) -> str:
    key = ".".join(part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else json.dumps(part) for part in factor.split("."))
    return f"{key} = {_toml(level)}"


def _toml(level: Level) -> str:
    if isinstance(level, tuple):
        return f"[{', '.join(_toml(one) for one in level)}]"
    if isinstance(level, bool):
        return "true" if level else "false"
    return json.dumps(level, ensure_ascii=False) if isinstance(level, str) else repr(level)
