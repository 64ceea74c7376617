"""Everything that a step draws, as pure functions of seed, step and update, drawn on the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from harness.design.factors import Hyperparameters
from harness.gan.labels import Targets, discriminator_targets
from harness.gan.randomness import normal_latents, random_stream
from harness.gan.schedules import fallen

Network = Literal["discriminator", "generator"]
_HALF_RANGE = {"tanh": 1.0, "sigmoid": 0.5}
"""Half the width of each output's range: noise is stated in units of [-1, 1]."""


@dataclass(frozen=True)
class Draws:
    """One run's draws. steps: the total, which the schedules read; `step` is always the number of steps done."""

    hp: Hyperparameters
    seed: int
    steps: int
    device: torch.device

    def latents(self, step: int, network: Network, update: int) -> Tensor:
        """z [N, L] of the fakes made for an update; the discriminator's first ones are the step's own."""
        first = network == "discriminator" and update == 0
        name = ("latents", step) if first else ("latents", step, network, update)
        latents = normal_latents(self.hp.batch_size, self.hp.latent_dim, random_stream(self.seed, *name))
        return latents.to(self.device)

    def targets(self, step: int, update: int) -> Targets:
        """The targets of one update of the discriminator."""
        hp = self.hp
        swap = fallen(hp.label_swap, hp.label_swap_decay, step, self.steps)
        return discriminator_targets(
            hp, swap, lambda kind, what: random_stream(self.seed, what, step, update, kind), self.device
        )

    def noise(
        self, shape: torch.Size, step: int, update: tuple[Network, int], kind: Literal["real", "fake"]
    ) -> Tensor | None:
        """Instance noise on the images of a batch that the discriminator sees in an update; None where there is none.

        (Sønderby et al. 2017, arXiv:1610.04490.)
        """
        hp = self.hp
        deviation = fallen(hp.instance_noise, hp.instance_noise_decay, step, self.steps)
        if deviation == 0:
            return None
        stream = random_stream(self.seed, "instance noise", step, *update, kind)
        return (deviation * _HALF_RANGE[hp.generator_output] * torch.randn(shape, generator=stream)).to(self.device)

    def mixing(self, step: int, update: int) -> Tensor:
        """e ~ U[0, 1) of the gradient penalty, [N]."""
        stream = random_stream(self.seed, "penalty mixing", step, update)
        return torch.rand(self.hp.batch_size, generator=stream).to(self.device)
