"""From hyperparameters to networks: which family, and with which first weights."""

from __future__ import annotations

import torch
from torch import nn

from harness.design.factors import Hyperparameters
from harness.gan.networks.cnn import cnn_discriminator, cnn_generator
from harness.gan.networks.mlp import mlp_discriminator, mlp_generator

INITIAL_SD = 0.02
"""Standard deviation of initial weights (Radford et al. 2016, section 4)."""


def build_generator(hp: Hyperparameters, channels: int, stream: torch.Generator) -> nn.Module:
    """z [N, latent_dim] -> images [N, channels, R, R] in [-1, 1], on the CPU; weights from `stream` alone."""
    return _initialized(_generator_layers(hp, channels), stream)


def build_discriminator(hp: Hyperparameters, channels: int, stream: torch.Generator) -> nn.Module:
    """Images [N, channels, R, R] in [-1, 1] -> logits [N], on the CPU; weights drawn from `stream` alone."""
    return _initialized(_discriminator_layers(hp, channels), stream)


def generator_with(hp: Hyperparameters, channels: int, weights: dict[str, torch.Tensor]) -> nn.Module:
    """The generator with these parameters and buffers; RuntimeError where names or shapes do not fit."""
    network = _generator_layers(hp, channels)
    network.load_state_dict(weights, strict=True, assign=True)
    return network


def parameter_count(network: nn.Module) -> int:
    """Number of trainable values (buffers are not counted)."""
    return sum(parameter.numel() for parameter in network.parameters())


# The meta device holds shapes without values: torch's own default initialization, which would draw from the
# global random state, does nothing there.


def _generator_layers(hp: Hyperparameters, channels: int) -> nn.Module:
    with torch.device("meta"):
        match hp.generator:
            case "cnn":
                return cnn_generator(hp, channels)
            case "mlp":
                return mlp_generator(hp, channels)


def _discriminator_layers(hp: Hyperparameters, channels: int) -> nn.Module:
    with torch.device("meta"):
        match hp.discriminator:
            case "cnn":
                return cnn_discriminator(hp, channels)
            case "mlp":
                return mlp_discriminator(hp, channels)


@torch.no_grad()
def _initialized(network: nn.Module, stream: torch.Generator) -> nn.Module:
    """Weights N(0, 0.02), batch norm's N(1, 0.02), biases 0, running statistics 0 and 1."""
    network.to_empty(device="cpu")
    for module in network.modules():
        match module:
            case nn.Conv2d() | nn.ConvTranspose2d() | nn.Linear():
                module.weight.normal_(0.0, INITIAL_SD, generator=stream)
            case nn.BatchNorm1d() | nn.BatchNorm2d():
                module.weight.normal_(1.0, INITIAL_SD, generator=stream)
                module.reset_running_stats()
            case _ if any(True for _ in module.parameters(recurse=False)):
                raise TypeError(f"no initialization is defined for {type(module).__name__}")
            case _:
                continue
        if module.bias is not None:
            module.bias.zero_()
    return network
