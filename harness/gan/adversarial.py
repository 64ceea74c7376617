"""One step of training: the discriminator's updates, then the generator's (Goodfellow et al. 2014, algorithm 1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.data.resize import to_float
from harness.design.factors import Hyperparameters
from harness.gan.batches import Batches
from harness.gan.draws import Draws
from harness.gan.losses import Loss, gradient_penalty
from harness.gan.metrics import DiscriminatorUpdate, GeneratorUpdate, step_metrics
from harness.gan.state import TrainingState


@dataclass(frozen=True)
class Rules:
    """What every step of a run has in common. layout: of the images that the discriminator sees."""

    hp: Hyperparameters
    loss: Loss
    draws: Draws
    layout: torch.memory_format


def adversarial_step(state: TrainingState, batches: Batches, rules: Rules) -> Tensor:
    """`discriminator_steps` updates of D, each on its own real batch and fakes, then `generator_steps` of G.

    With a shared fake batch G's first update takes D's last fakes, which pass the updated D again; all others take
    fresh ones. Returns the step's metrics on the device.
    """
    hp = rules.hp
    discriminator_updates = []
    for update in range(hp.discriminator_steps):
        real = to_float(batches.at(state.step * hp.discriminator_steps + update), hp.generator_output)
        shared = hp.fake_batch == "shared" and update == hp.discriminator_steps - 1
        with torch.set_grad_enabled(shared):  # only the generator's update goes back through the generator
            fake = state.generator(rules.draws.latents(state.step, "discriminator", update))
        discriminator_updates.append(update_discriminator(state, real, fake.detach(), update, rules))

    generator_updates = []
    for update in range(hp.generator_steps):
        if update > 0 or hp.fake_batch == "fresh":
            fake = state.generator(rules.draws.latents(state.step, "generator", update))
        generator_updates.append(update_generator(state, fake, update, rules))
    return step_metrics(rules.loss, discriminator_updates, generator_updates)


def update_discriminator(
    state: TrainingState, real: Tensor, fake: Tensor, update: int, rules: Rules
) -> DiscriminatorUpdate:
    """One update of D on images float [N, C, R, R] in the generator's range."""
    hp, draws, discriminator = rules.hp, rules.draws, state.discriminator
    real = _laid_out(draws.noisy(real, state.step, ("discriminator", update), "real"), rules.layout)
    fake = _laid_out(draws.noisy(fake, state.step, ("discriminator", update), "fake"), rules.layout)

    real_logits = discriminator(real)
    fake_logits = discriminator(fake)
    loss = rules.loss.discriminator(real_logits, fake_logits, draws.targets(state.step, update))
    if hp.loss == "wasserstein_gp" and hp.gradient_penalty > 0:
        mixing = draws.mixing(state.step, update)
        loss = loss + hp.gradient_penalty * gradient_penalty(discriminator, real, fake, mixing)
    state.discriminator_optimizer.zero_grad()
    torch.autograd.backward(loss)
    state.discriminator_optimizer.step()
    return DiscriminatorUpdate(loss.detach(), real_logits.detach(), fake_logits.detach())


def update_generator(state: TrainingState, fake: Tensor, update: int, rules: Rules) -> GeneratorUpdate:
    """One update of G through its images `fake`, whose graph is used up."""
    with _frozen(state.discriminator):
        seen = rules.draws.noisy(fake, state.step, ("generator", update), "fake")
        logits = state.discriminator(_laid_out(seen, rules.layout))
        loss = rules.loss.generator(logits)
        state.generator_optimizer.zero_grad()
        torch.autograd.backward(loss)
        state.generator_optimizer.step()
    return GeneratorUpdate(loss.detach(), logits.detach())


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """A block in which no gradients of the network's weights are computed: the generator's update needs none."""
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)


def _laid_out(images: Tensor, layout: torch.memory_format) -> Tensor:
    """Images in a memory format; as they are where it is torch.preserve_format."""
    return images if layout == torch.preserve_format else images.contiguous(memory_format=layout)
