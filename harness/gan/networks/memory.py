"""Memory for networks that are only shapes, where it is not much."""

from __future__ import annotations

import torch
from torch import nn

from harness.gan.networks.sizes import weights_bytes

SMALL_BYTES = 2**26
"""Of weights; running two images through these takes some milliseconds."""


def with_memory(network: nn.Module) -> nn.Module:
    """A network of the meta device as one of the CPU, its values whatever lies there; a large one as it is.

    For whoever asks only for shapes: with the meta device torch loads its compiler, which takes a second.
    """
    return network.to_empty(device="cpu") if weights_bytes(network) <= SMALL_BYTES else network


def device_of(network: nn.Module) -> torch.device:
    """Where its weights are; the CPU for a network without any."""
    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
