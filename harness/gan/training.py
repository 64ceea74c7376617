"""How one run trains: an update of the discriminator, then one of the generator, until all steps are done."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from harness.data.resize import to_float
from harness.design.experiment import TrainingSettings
from harness.design.factors import Hyperparameters
from harness.errors import DataError, DeviceError
from harness.gan.checkpoints import Description, load_generator, write_checkpoint
from harness.gan.losses import discriminator_loss, generator_loss
from harness.gan.metrics import Interval, MetricsLog, step_metrics
from harness.gan.randomness import normal_latents, random_stream
from harness.gan.sampling import write_sample_grid
from harness.gan.state import TrainingState, commit_state, initial_state, memory_format, resume
from harness.store.presence import require_run_folder
from harness.store.rundir import RunDirectory

_log = logging.getLogger("harness")


@dataclass(frozen=True)
class TrainingTask:
    """One run to be trained. channels: of the images; samples: images in each sample grid.

    state_every_s: seconds after which a state is written wherever the run stands.
    """

    run: RunDirectory
    hyperparameters: Hyperparameters
    channels: int
    seed: int
    key: str
    settings: TrainingSettings
    samples: int
    device: torch.device
    state_every_s: float = 60.0


@dataclass(frozen=True)
class TrainingResult:
    """step: where the run stands, or where it was found to have diverged; reason: what diverged, or empty."""

    outcome: Literal["finished", "interrupted", "diverged"]
    step: int
    reason: str = ""
    metrics: tuple[int, str] | None = None


def train(
    task: TrainingTask, images: Tensor, stop: Callable[[], bool], save: Callable[[], bool] = lambda: False
) -> TrainingResult:
    """Trains from the newest state that holds to `settings.steps`; with nothing left to do, returns at once.

    images: uint8 [N, C, R, R] on the device. `stop` and `save` are asked at every step: when `stop` says yes, a state
    is written and the outcome is "interrupted"; when `save` does, one is written and training goes on. Records lie at
    the multiples of log_every; steps beyond the last one wait in the state, so that a later call with more steps goes
    on as if it had never ended. Raises DataError for images that do not fit, StoreError where the disk refuses.
    """
    _check_images(task, images)
    hp, settings = task.hyperparameters, task.settings
    state, offset = resume(task.run, task.key, lambda: initial_state(hp, task.channels, task.seed, task.device))
    if state.step >= settings.steps:
        return TrainingResult("finished", state.step)
    if stop():
        return TrainingResult("interrupted", state.step)

    batches = Batches(images, hp.batch_size, task.seed)
    layout = memory_format(hp.discriminator, task.device)
    with MetricsLog(task.run.metrics, offset) as log:
        clock = committed_at = time.monotonic()
        while state.step < settings.steps:
            real = to_float(batches.at(state.step)).contiguous(memory_format=layout)
            noise = random_stream(task.seed, "latents", state.step)
            latents = normal_latents(hp.batch_size, hp.latent_dim, noise).to(task.device)
            state.interval.add(adversarial_step(state, real, latents))
            state.step += 1

            stopping = stop() and state.step < settings.steps
            at_log = state.step % settings.log_every == 0
            at_checkpoint = state.step % settings.checkpoint_every == 0 or state.step == settings.steps
            due = save() or time.monotonic() - committed_at >= task.state_every_s
            at_commit = at_checkpoint or stopping or due

            if at_log or at_commit:
                if broken := state.not_finite():
                    log.sync()
                    reason = f"{broken} not finite at step {state.step}"
                    return TrainingResult("diverged", state.step, reason, (log.offset, log.sha256))
                state.interval.seconds += time.monotonic() - clock
                clock = time.monotonic()
            if at_log:
                log.append(state.interval.record(state.step))
                state.interval = Interval.empty(task.device)
            if at_commit:
                require_run_folder(task.run)
            if at_checkpoint:
                state.checkpoints[str(state.step)] = _write_checkpoint(task, state)
                _log.info("checkpoint at step %d", state.step)
            if at_commit:
                commit_state(task.run, state, task.key, log)
                clock = committed_at = time.monotonic()  # an interval's seconds are of training alone
            if stopping:
                return TrainingResult("interrupted", state.step)
    return TrainingResult("finished", state.step)


def adversarial_step(state: TrainingState, real: Tensor, latents: Tensor) -> Tensor:
    """One update of D, then one of G, on the same fake batch (Goodfellow et al. 2014, algorithm 1, k = 1).

    real: float [N, C, R, R] in [-1, 1]; latents [N, L]. Returns the step's metrics [7] on the device.
    """
    generator, discriminator = state.generator, state.discriminator
    fake = generator(latents)

    real_logits = discriminator(real)
    fake_logits = discriminator(fake.detach())
    loss_d = discriminator_loss(real_logits, fake_logits)
    state.discriminator_optimizer.zero_grad()
    torch.autograd.backward(loss_d)
    state.discriminator_optimizer.step()

    discriminator.requires_grad_(False)  # the generator's step needs no gradients of D's weights
    updated_logits = discriminator(fake)
    loss_g = generator_loss(updated_logits)
    state.generator_optimizer.zero_grad()
    torch.autograd.backward(loss_g)
    state.generator_optimizer.step()
    discriminator.requires_grad_(True)

    return step_metrics((loss_g, loss_d), real_logits, fake_logits, updated_logits)


class Batches:
    """Which images each step sees: a new order every epoch, whose incomplete last batch is dropped.

    images: uint8 [N, C, R, R], N at least `batch_size`. A pure function of (seed, step).
    """

    def __init__(self, images: Tensor, batch_size: int, seed: int) -> None:
        self._images = images
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = -1
        self._order = torch.empty(0)

    def at(self, step: int) -> Tensor:
        """The batch of the step that follows `step` done ones, uint8 [batch_size, C, R, R]."""
        epoch, number = divmod(step, len(self._images) // self._batch_size)
        if epoch != self._epoch:
            order = torch.randperm(len(self._images), generator=random_stream(self._seed, "data order", epoch))
            self._order, self._epoch = order.to(self._images.device), epoch
        return self._images[self._order[number * self._batch_size : (number + 1) * self._batch_size]]


def make_deterministic(device: torch.device) -> None:
    """Makes equal inputs give equal bits on `device` in this process; DeviceError where it is too late."""
    if device.type == "cuda" and os.environ.get("CUBLAS_WORKSPACE_CONFIG") not in (":4096:8", ":16:8"):
        raise DeviceError(
            "CUBLAS_WORKSPACE_CONFIG is not set, and without it CUDA does not repeat its results",
            where=str(device),
            remedy="Set CUBLAS_WORKSPACE_CONFIG=:4096:8 before the process starts.",
        )
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def _check_images(task: TrainingTask, images: Tensor) -> None:
    hp = task.hyperparameters
    needed = (task.channels, hp.resolution, hp.resolution)
    if images.dtype != torch.uint8 or images.dim() != 4 or tuple(images.shape[1:]) != needed:
        raise DataError(
            f"images are {images.dtype} {list(images.shape)}, not torch.uint8 [N, {str(list(needed))[1:]}",
            where=str(task.run.root),
            remedy="Remove the experiment's cache folder, so that it is made again.",
        )
    if len(images) < hp.batch_size:
        raise DataError(
            f"{len(images)} images do not fill one batch of {hp.batch_size}",
            where=str(task.run.root),
            remedy="Lower batch_size, raise limit, or add images.",
        )


def _write_checkpoint(task: TrainingTask, state: TrainingState) -> str:
    """The checkpoint and its picture, which is drawn from the file as written; returns the file's SHA-256."""
    path = task.run.checkpoint(state.step)
    description = Description(task.hyperparameters, task.channels, task.key, state.step)
    write_checkpoint(path, state.generator, description)
    checkpoint = load_generator(path, task.device)
    write_sample_grid(task.run.samples(state.step), checkpoint, task.samples, task.device)
    return checkpoint.sha256
