"""A generator of one's own: blocks with a shortcut, as many as the factor `blocks` says."""

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """x + two convolutions of x; the shape stays."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ResidualGenerator(nn.Module):
    """z [N, latent_dim] -> images [N, channels, resolution, resolution].

    The parameters are what the harness hands to a generator by name; the last one is a factor of this network's own,
    `own.blocks` in the experiment file. Those that it does not need (kernel_size, dropout) are left out.
    """

    def __init__(
        self, latent_dim: int, channels: int, resolution: int, hidden_dim: int, output: str, blocks: int = 1
    ) -> None:
        super().__init__()
        self.side = resolution // 4
        self.first = nn.Linear(latent_dim, hidden_dim * self.side**2)
        self.blocks = nn.Sequential(*(Block(hidden_dim) for _ in range(blocks)))
        self.larger = nn.Upsample(scale_factor=4, mode="bilinear", align_corners=False)
        self.last = nn.Conv2d(hidden_dim, channels, 3, padding=1)
        self.output = {"tanh": torch.tanh, "sigmoid": torch.sigmoid}[output]

    def forward(self, z: Tensor) -> Tensor:
        maps = self.first(z).view(len(z), -1, self.side, self.side)
        return self.output(self.last(self.larger(self.blocks(maps))))
