"""How a network's weights and maps lie in memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def lay_out(network: nn.Module, layout: torch.memory_format) -> nn.Module:
    """The network itself, its weights in a memory format, and channels last its maps as well.

    Of gray images torch cannot tell how they lie, takes them as contiguous, and so would all maps of the first layer:
    every layer behind it would turn them round, forwards and backwards. They are turned once instead: the same bits.
    """
    network.to(memory_format=layout)
    if layout == torch.channels_last:
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d) and layer.in_channels == 1:
                layer.register_forward_hook(_channels_last)
    return network


def _channels_last(layer: nn.Module, inputs: object, maps: Tensor) -> Tensor:
    return maps.contiguous(memory_format=torch.channels_last)
