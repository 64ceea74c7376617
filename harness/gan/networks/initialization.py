"""First weights of a network, from one random stream alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from harness.design.factors import Initialization

INITIAL_SD = 0.02
"""Standard deviation of initial weights (Radford et al. 2016, section 4)."""

POWER_ITERATIONS = 15
"""Of spectral normalization on first weights, as many as torch takes when a layer is made."""

Weighted = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
Normalizing = nn.BatchNorm1d | nn.BatchNorm2d | nn.InstanceNorm2d


@torch.no_grad()
def initialize(network: nn.Module, kind: Initialization, stream: torch.Generator) -> nn.Module:
    """The network itself, its first weights drawn from `stream` in the order of its modules.

    dcgan: convolutions and linear layers N(0, 0.02), batch and instance norm N(1, 0.02), biases 0. dcgan_bn0: batch
    and instance norm N(0, 0.02). pytorch: as made. Layers of other types and weights that are not trained keep their
    values.
    """
    if kind == "pytorch":
        return network
    for module in network.modules():
        match module:
            case nn.Conv2d() | nn.ConvTranspose2d() | nn.Linear():
                _draw(module, 0.0, stream)
            case nn.BatchNorm1d() | nn.BatchNorm2d() | nn.InstanceNorm2d():
                _draw(module, 1.0 if kind == "dcgan" else 0.0, stream)
                module.reset_running_stats()
    return network


@contextmanager
def seeded_construction(stream: torch.Generator) -> Iterator[None]:
    """Inside, torch's global CPU generator starts from what `stream` would give next; both are left as they were."""
    ahead = torch.Generator().set_state(stream.get_state())
    seed = int(torch.randint(2**63 - 1, (), generator=ahead))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def left_as_made(network: nn.Module, kind: Initialization) -> Iterator[str]:
    """Layers of the known types that `initialize` cannot draw: their weight is made of several tensors."""
    for name, module in network.named_modules():
        known = isinstance(module, Weighted | Normalizing) and kind != "pytorch"
        if known and _source(module) is None and getattr(module, "weight", None) is not None:
            yield name


def _source(module: nn.Module) -> nn.Parameter | None:
    """What a layer's weight is, or is made of where that is one tensor, as under both kinds of spectral norm."""
    weight: object
    if is_parametrized(module, "weight"):
        weight = getattr(module.parametrizations["weight"], "original", None)  # type: ignore[index]
    else:  # `nn.utils.spectral_norm`, the older one, makes `weight` of `weight_orig` before each forward pass
        weight = getattr(module, "weight_orig", module.weight)
    return weight if isinstance(weight, nn.Parameter) else None


def _draw(module: Weighted | Normalizing, mean: float, stream: torch.Generator) -> None:
    weight = _source(module)
    if weight is not None and weight.requires_grad:
        weight.normal_(mean, INITIAL_SD, generator=stream)
        if is_parametrized(module, "weight"):
            for _ in range(POWER_ITERATIONS):
                _ = module.weight  # each look in train mode is one power iteration
    if isinstance(module.bias, nn.Parameter) and module.bias.requires_grad:
        module.bias.zero_()
