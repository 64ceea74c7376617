"""The discriminator's targets: smoothed, drawn for each image, swapped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from harness.design.factors import Hyperparameters

Label = float | tuple[float, float]
"""One target for all images, or the bounds between which each image's is drawn."""

Stream = Callable[[str, str], torch.Generator]
"""For which images ("real", "fake"), what is drawn ("labels", "swaps") -> the stream that it is drawn from."""


@dataclass(frozen=True)
class Targets:
    """What the discriminator shall say of each image of a batch, float32 [N] each."""

    real: Tensor
    fake: Tensor


def discriminator_targets(hp: Hyperparameters, swap: float, stream: Stream, device: torch.device) -> Targets:
    """The targets of one batch of real and one of generated images.

    swap: the probability, for each image on its own, that its target is one of the other class: that class's label,
    drawn from that class's bounds. Draws on the CPU, and only what the levels ask for.
    """
    kinds = {"real": (hp.real_label, hp.fake_label), "fake": (hp.fake_label, hp.real_label)}
    targets: dict[str, Tensor] = {}
    for kind, (label, other) in kinds.items():
        if swap > 0 or isinstance(label, tuple):
            bounds = _bounds(label, other, swap, hp.batch_size, partial(stream, kind))
            targets[kind] = _between(bounds, partial(stream, kind)).to(device)
        else:
            targets[kind] = torch.full((hp.batch_size,), label, device=device)
    return Targets(**targets)


def _bounds(label: Label, other: Label, swap: float, count: int, stream: Callable[[str], torch.Generator]) -> Tensor:
    """Between what each image's target lies, [N, 2]: the bounds of its own class, or swapped of the other."""
    own, others = (torch.tensor(bounds if isinstance(bounds, tuple) else (bounds, bounds)) for bounds in (label, other))
    if swap == 0:
        return own.expand(count, 2)
    swapped = torch.rand(count, generator=stream("swaps")) < swap
    return torch.where(swapped.unsqueeze(1), others, own)


def _between(bounds: Tensor, stream: Callable[[str], torch.Generator]) -> Tensor:
    """low + (high - low) u with u uniform in [0, 1) for each row."""
    low, high = bounds.unbind(1)
    return low + (high - low) * torch.rand(len(bounds), generator=stream("labels"))
