"""What one step is given: images, latents, targets and noise, all of them pure functions of seed and step.

What a step does with them is on the device alone (`adversarial`), so that it can be captured once and repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from harness.gan.batches import Batches
from harness.gan.draws import Draws


class DiscriminatorInputs(NamedTuple):
    """Of one update of D, N images in all: real uint8 [N, C, R, R]; latents of the fakes float32 [N, L]; targets
    float32 [N]; instance noise float32 [N, C, R, R], None where there is none; mixing of the gradient penalty float32
    [N], None without it."""

    real: Tensor
    latents: Tensor
    real_targets: Tensor
    fake_targets: Tensor
    real_noise: Tensor | None
    fake_noise: Tensor | None
    mixing: Tensor | None


class GeneratorInputs(NamedTuple):
    """Of one update of G: latents, None where it takes D's last fakes; instance noise, None where there is none."""

    latents: Tensor | None
    noise: Tensor | None


class Inputs(Protocol):
    """The inputs of one step, by the number of the update."""

    def discriminator(self, update: int) -> DiscriminatorInputs: ...

    def generator(self, update: int) -> GeneratorInputs: ...


@dataclass(frozen=True)
class DrawnInputs:
    """The inputs of the step that follows `step` done ones, drawn when they are asked for."""

    batches: Batches
    draws: Draws
    step: int

    def discriminator(self, update: int) -> DiscriminatorInputs:
        hp, draws, step = self.draws.hp, self.draws, self.step
        real = self.batches.at(step * hp.discriminator_steps + update)
        targets = draws.targets(step, update)
        penalized = hp.loss == "wasserstein_gp" and hp.gradient_penalty > 0
        return DiscriminatorInputs(
            real,
            draws.latents(step, "discriminator", update),
            targets.real,
            targets.fake,
            draws.noise(real.shape, step, ("discriminator", update), "real"),
            draws.noise(real.shape, step, ("discriminator", update), "fake"),
            draws.mixing(step, update) if penalized else None,
        )

    def generator(self, update: int) -> GeneratorInputs:
        hp, draws, step = self.draws.hp, self.draws, self.step
        fresh = update > 0 or hp.fake_batch == "fresh"
        noise = draws.noise(self.batches.shape, step, ("generator", update), "fake")
        return GeneratorInputs(draws.latents(step, "generator", update) if fresh else None, noise)
