"""How large the networks of a cell are, told without training them."""

from __future__ import annotations

import torch
from torch import nn

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.gan.networks.build import (
    build_discriminator,
    build_generator,
    discriminator_shapes,
    generator_shapes,
    has_own_discriminator_part,
    has_own_generator_part,
    parameter_count,
)
from harness.store.networks import Networks, NetworkSize


def network_sizes(hp: Hyperparameters, channels: int, own_code: OwnCode) -> Networks:
    """Both networks of these levels. channels: of the data's images.

    Networks with own parts are built, so that `own_code` should be one that nothing trains with: the user's modules
    may keep count of what they make. OwnPartError where an own part cannot be made.
    """
    stream = torch.Generator().manual_seed(0)
    if has_own_generator_part(hp):
        generator = build_generator(hp, channels, stream, own_code)
    else:
        generator = generator_shapes(hp, channels)
    if has_own_discriminator_part(hp):
        discriminator = build_discriminator(hp, channels, stream, own_code)
    else:
        discriminator = discriminator_shapes(hp, channels)
    return Networks(_size(generator), _size(discriminator))


def weights_bytes(network: nn.Module) -> int:
    """Of parameters and kept buffers, each counted once."""
    kept = {id(tensor): tensor for tensor in network.state_dict(keep_vars=True).values()}
    return sum(tensor.numel() * tensor.element_size() for tensor in kept.values())


def _size(network: nn.Module) -> NetworkSize:
    return NetworkSize(parameter_count(network), weights_bytes(network))
