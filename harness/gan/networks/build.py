"""From hyperparameters to networks: which family, and with which first weights."""

from __future__ import annotations

import torch
from torch import nn

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.design.own_parts import is_own
from harness.gan.networks.cnn import cnn_discriminator, cnn_generator
from harness.gan.networks.initialization import initialize, seeded_construction
from harness.gan.networks.mixed import mlp_conv_generator, upsample_cnn_generator
from harness.gan.networks.mlp import mlp_discriminator, mlp_generator
from harness.gan.networks.own import own_discriminator, own_generator
from harness.gan.networks.shallow import cnn2_discriminator, cnn2_mlp_discriminator, cnn4_discriminator

_INITIALIZED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d, nn.InstanceNorm2d)
"""The layers with parameters that `initialize` fills whole."""


def build_generator(hp: Hyperparameters, channels: int, stream: torch.Generator, own_code: OwnCode) -> nn.Module:
    """z [N, latent_dim] -> images [N, channels, R, R] in the output's range, on the CPU; from `stream` alone."""
    if hp.initialization != "pytorch" and not has_own_generator_part(hp):
        return initialize(_empty(generator_shapes(hp, channels)), hp.initialization, stream)
    with seeded_construction(stream):
        network = _generator_layers(hp, channels, own_code)
    return initialize(network, hp.initialization, stream)


def build_discriminator(hp: Hyperparameters, channels: int, stream: torch.Generator, own_code: OwnCode) -> nn.Module:
    """Images [N, channels, R, R] -> logits [N], on the CPU; weights drawn from `stream` alone."""
    spectral = hp.discriminator_normalization == "spectral"  # its singular vectors are drawn as the layers are made
    if hp.initialization != "pytorch" and not spectral and not has_own_discriminator_part(hp):
        return initialize(_empty(discriminator_shapes(hp, channels)), hp.initialization, stream)
    with seeded_construction(stream):
        network = _discriminator_layers(hp, channels, own_code)
    return initialize(network, hp.initialization, stream)


def generator_with(
    hp: Hyperparameters, channels: int, weights: dict[str, torch.Tensor], own_code: OwnCode
) -> nn.Module:
    """The generator with these parameters and buffers; RuntimeError where names or shapes do not fit."""
    if not has_own_generator_part(hp):
        network = generator_shapes(hp, channels)
        _require_names(weights, network)
        network.load_state_dict(weights, strict=True, assign=True)
        return network
    with seeded_construction(torch.Generator().manual_seed(0)):
        network = _generator_layers(hp, channels, own_code)
    _require_names(weights, network)
    network.load_state_dict(weights, strict=True)
    return network


def _require_names(weights: dict[str, torch.Tensor], network: nn.Module) -> None:
    """RuntimeError for other names than the network's: torch itself makes up a batch norm's counter that is missing."""
    if other := weights.keys() ^ network.state_dict().keys():
        raise RuntimeError(f"names that do not fit: {', '.join(sorted(other)[:5])}")


def parameter_count(network: nn.Module) -> int:
    """Number of trainable values (buffers are not counted)."""
    return sum(parameter.numel() for parameter in network.parameters())


def has_own_generator_part(hp: Hyperparameters) -> bool:
    """Whether the generator or its normalization is of one's own."""
    return is_own(hp.generator) or is_own(hp.generator_normalization)


def has_own_discriminator_part(hp: Hyperparameters) -> bool:
    return is_own(hp.discriminator) or is_own(hp.discriminator_normalization)


# The meta device holds shapes without values: torch's own default initialization, which would draw from the
# global random state, does nothing there.


def generator_shapes(hp: Hyperparameters, channels: int) -> nn.Module:
    """The built-in generator without values, on the meta device."""
    with torch.device("meta"):
        return _generator_layers(hp, channels, OwnCode({}))


def discriminator_shapes(hp: Hyperparameters, channels: int) -> nn.Module:
    """The built-in discriminator without values, on the meta device."""
    with torch.device("meta"):
        return _discriminator_layers(hp, channels, OwnCode({}))


def _generator_layers(hp: Hyperparameters, channels: int, own_code: OwnCode) -> nn.Module:
    match hp.generator:
        case "cnn":
            return cnn_generator(hp, channels, own_code)
        case "mlp":
            return mlp_generator(hp, channels, own_code)
        case "mlp_conv":
            return mlp_conv_generator(hp, channels, own_code)
        case "upsample_cnn":
            return upsample_cnn_generator(hp, channels, own_code)
        case reference:
            return own_generator(reference, hp, channels, own_code)


def _discriminator_layers(hp: Hyperparameters, channels: int, own_code: OwnCode) -> nn.Module:
    match hp.discriminator:
        case "cnn":
            return cnn_discriminator(hp, channels, own_code)
        case "mlp":
            return mlp_discriminator(hp, channels, own_code)
        case "cnn2":
            return cnn2_discriminator(hp, channels, own_code)
        case "cnn2_mlp":
            return cnn2_mlp_discriminator(hp, channels, own_code)
        case "cnn4":
            return cnn4_discriminator(hp, channels, own_code)
        case reference:
            return own_discriminator(reference, hp, channels, own_code)


def _empty(network: nn.Module) -> nn.Module:
    """The network on the CPU with values yet to be filled in; TypeError for a layer that would keep garbage."""
    for module in network.modules():
        if any(True for _ in module.parameters(recurse=False)) and not isinstance(module, _INITIALIZED):
            raise TypeError(f"no initialization is defined for {type(module).__name__}")
    return network.to_empty(device="cpu")
