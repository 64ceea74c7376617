"""One step of training: the discriminator's updates, then the generator's (Goodfellow et al. 2014, algorithm 1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.data.resize import to_float
from harness.design.factors import Hyperparameters
from harness.gan.ema import update_average
from harness.gan.inputs import DiscriminatorInputs, Inputs
from harness.gan.labels import Targets
from harness.gan.losses import Loss, gradient_penalty
from harness.gan.metrics import DiscriminatorUpdate, GeneratorUpdate, step_metrics
from harness.gan.precision import outputs
from harness.gan.state import TrainingState


@dataclass(frozen=True)
class Rules:
    """What every step of a run has in common. layout: of the images that the discriminator sees."""

    hp: Hyperparameters
    loss: Loss
    layout: torch.memory_format


def whole_step(state: TrainingState, inputs: Inputs, rules: Rules) -> Tensor:
    """All that a step changes in networks, optimizers and the moving average; returns its metrics on the device.

    Neither draws anything nor waits for the device, so that it can be captured (`captured`).
    """
    metrics = adversarial_step(state, inputs, rules)
    if state.average is not None:
        update_average(state.average, state.generator, rules.hp.ema_decay)
    return metrics


def adversarial_step(state: TrainingState, inputs: Inputs, rules: Rules) -> Tensor:
    """`discriminator_steps` updates of D, each on its own real batch and fakes, then `generator_steps` of G.

    With a shared fake batch G's first update takes D's last fakes, which pass the updated D again; all others take
    fresh ones. Returns the step's metrics on the device.
    """
    hp = rules.hp
    discriminator_updates = []
    for update in range(hp.discriminator_steps):
        given = inputs.discriminator(update)
        shared = hp.fake_batch == "shared" and update == hp.discriminator_steps - 1
        with torch.set_grad_enabled(shared):  # only the generator's update goes back through the generator
            (fake,) = outputs(state.generator, hp.precision, given.latents)
        discriminator_updates.append(update_discriminator(state, given, fake.detach(), rules))

    generator_updates = []
    for update in range(hp.generator_steps):
        latents, noise = inputs.generator(update)
        if latents is not None:
            (fake,) = outputs(state.generator, hp.precision, latents)
        generator_updates.append(update_generator(state, fake, noise, rules))
    return step_metrics(rules.loss, discriminator_updates, generator_updates)


def update_discriminator(
    state: TrainingState, given: DiscriminatorInputs, fake: Tensor, rules: Rules
) -> DiscriminatorUpdate:
    """One update of D; fake: images float [N, C, R, R] in the generator's range."""
    hp, discriminator = rules.hp, state.discriminator
    real = _as_seen(to_float(given.real, hp.generator_output), given.real_noise, rules)
    fake = _as_seen(fake, given.fake_noise, rules)

    real_logits, fake_logits = outputs(discriminator, hp.precision, real, fake)
    loss = rules.loss.discriminator(real_logits, fake_logits, Targets(given.real_targets, given.fake_targets))
    if given.mixing is not None:
        loss = loss + hp.gradient_penalty * gradient_penalty(discriminator, real, fake, given.mixing)
    state.discriminator_optimizer.zero_grad()
    torch.autograd.backward(loss)
    state.discriminator_optimizer.step()
    return DiscriminatorUpdate(loss.detach(), real_logits.detach(), fake_logits.detach())


def update_generator(state: TrainingState, fake: Tensor, noise: Tensor | None, rules: Rules) -> GeneratorUpdate:
    """One update of G through its images `fake`, whose graph is used up."""
    with _frozen(state.discriminator):
        (logits,) = outputs(state.discriminator, rules.hp.precision, _as_seen(fake, noise, rules))
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


def _as_seen(images: Tensor, noise: Tensor | None, rules: Rules) -> Tensor:
    """Images as the discriminator sees them: with instance noise, in its memory format."""
    noisy = images if noise is None else images + noise
    return noisy if rules.layout == torch.preserve_format else noisy.contiguous(memory_format=rules.layout)
