"""A normalisation layer of one's own: division by the root mean square, without taking the mean away."""

import torch
from torch import Tensor, nn


class PowerNorm(nn.Module):
    """x / sqrt(mean of x^2) for each channel, then a weight and a bias for each channel.

    While training the mean is over the batch and all positions; a running mean stands in for it in eval mode, as in
    batch normalisation. Takes maps [N, channels, m, m] and features [N, channels]; gives the same shape.
    """

    def __init__(self, channels: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_power", torch.ones(channels))
        self.momentum = momentum

    def forward(self, x: Tensor) -> Tensor:
        shape = (1, -1) + (1,) * (x.dim() - 2)  # one value for each channel, whatever follows
        power = self.running_power
        if self.training:
            power = x.square().mean(dim=[0, *range(2, x.dim())])
            with torch.no_grad():
                self.running_power.lerp_(power, self.momentum)
        scale = self.weight * torch.rsqrt(power + 1e-5)
        return x * scale.view(shape) + self.bias.view(shape)
