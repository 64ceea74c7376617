"""The moving average of the generator's weights (Yazici et al. 2019, arXiv:1806.04498)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

Average = dict[str, Tensor]
"""Parameters and buffers by the names of the generator's state dict."""


@torch.no_grad()
def initial_average(generator: nn.Module) -> Average:
    """The average at step 0: a copy of the generator's parameters and buffers."""
    return {name: tensor.detach().clone() for name, tensor in generator.state_dict().items()}


@torch.no_grad()
def update_average(average: Average, generator: nn.Module, decay: float) -> None:
    """average = decay * average + (1 - decay) * generator, in place, after a step.

    Over parameters and floating-point buffers; what counts (batch norm's batches) is copied.
    """
    for name, tensor in generator.state_dict().items():
        if tensor.is_floating_point():
            average[name].lerp_(tensor, 1.0 - decay)
        else:
            average[name].copy_(tensor)
