"""How one run trains: step by step until all are done, with records, checkpoints and states on the way."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from harness.data.own_code import OwnCode
from harness.design.experiment import TrainingSettings
from harness.design.factors import Hyperparameters
from harness.errors import DataError, DeviceError, GeneratorError
from harness.gan.adversarial import Rules, whole_step
from harness.gan.batches import Batches
from harness.gan.captured import CapturedStep, captured
from harness.gan.checkpoints import Description, load_generator, write_checkpoint
from harness.gan.draws import Draws
from harness.gan.inputs import DrawnInputs
from harness.gan.losses import adversarial_loss
from harness.gan.metrics import Interval, MetricsLog
from harness.gan.precision import gpu_arithmetic, require_precision, tell_slow_precision
from harness.gan.randomness import global_stream
from harness.gan.sampling import write_sample_grid
from harness.gan.schedules import learning_rate_factor, scaled_learning_rates
from harness.gan.state import (
    TrainingState,
    commit_state,
    discriminator_layout,
    draws_globally,
    has_own_parts,
    initial_state,
    resume,
)
from harness.store.presence import require_run_folder
from harness.store.rundir import RunDirectory

_log = logging.getLogger("harness")


@dataclass(frozen=True)
class TrainingTask:
    """One run to be trained. channels: of the images; samples: images in each sample grid.

    state_every_s: seconds after which a state is written wherever the run stands. own_code: the user's own parts.
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
    own_code: OwnCode = field(default_factory=lambda: OwnCode({}))


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
    on as if it had never ended. Raises DataError for images that do not fit, DeviceError for a precision that the
    device does not have, StoreError where the disk refuses, OwnPartError where the user's own code does.
    """
    _check_images(task, images)
    hp, settings = task.hyperparameters, task.settings
    require_precision(hp.precision, task.device)
    loss = adversarial_loss(hp, task.own_code)
    state, offset = resume(
        task.run, task.key, lambda: initial_state(hp, task.channels, task.seed, task.device, task.own_code)
    )
    if state.step >= settings.steps:
        return TrainingResult("finished", state.step)
    if stop():
        return TrainingResult("interrupted", state.step)

    batches = Batches(images, hp.batch_size, task.seed)
    rules = Rules(hp, loss, discriminator_layout(hp, task.device))
    tell_slow_precision(hp.precision, task.device)
    with (
        MetricsLog(task.run.metrics, offset) as log,
        gpu_arithmetic(hp.precision, task.device),
        fresh_memory(filled=has_own_parts(hp)),
    ):
        take_step = _captured_step(task, state, batches, rules) or _eager_step(task, state, batches, rules)
        clock = committed_at = time.monotonic()
        while state.step < settings.steps:
            state.interval.add(take_step())
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
                state.interval = Interval.empty(state.interval.names, task.device)
            if at_commit:
                require_run_folder(task.run)
            if at_checkpoint:
                try:
                    state.checkpoints[str(state.step)] = _write_checkpoint(task, state)
                except GeneratorError:
                    log.sync()
                    reason = f"the generator's images not finite at step {state.step}"
                    return TrainingResult("diverged", state.step, reason, (log.offset, log.sha256))
                _log.info("checkpoint at step %d", state.step)
            if at_commit:
                commit_state(task.run, state, task.key, log)
                clock = committed_at = time.monotonic()  # an interval's seconds are of training alone
            if stopping:
                return TrainingResult("interrupted", state.step)
    return TrainingResult("finished", state.step)


def _eager_step(task: TrainingTask, state: TrainingState, batches: Batches, rules: Rules) -> Callable[[], Tensor]:
    draws = Draws(task.hyperparameters, task.seed, task.settings.steps, task.device)

    def take_step() -> Tensor:
        with _conditions(task, state):
            return whole_step(state, DrawnInputs(batches, draws, state.step), rules)

    return take_step


def _captured_step(task: TrainingTask, state: TrainingState, batches: Batches, rules: Rules) -> CapturedStep | None:
    """The step as one program of a CUDA GPU; None where there is none, or where this cell's steps run one by one."""
    hp, steps = task.hyperparameters, task.settings.steps
    if task.device.type != "cuda":
        return None
    draws = Draws(hp, task.seed, steps, torch.device("cpu"))
    return captured(
        state,
        rules,
        lambda step: DrawnInputs(batches, draws, step),
        lambda step: learning_rate_factor(hp.lr_decay_from, step, steps),
    )


@contextmanager
def _conditions(task: TrainingTask, state: TrainingState) -> Iterator[None]:
    """What holds during one step: its learning rates, and the random state of layers that draw from torch's own."""
    hp = task.hyperparameters
    factor = learning_rate_factor(hp.lr_decay_from, state.step, task.settings.steps)
    with ExitStack() as scopes:
        scopes.enter_context(task.own_code.told("training"))
        scopes.enter_context(scaled_learning_rates(factor, state.generator_optimizer, state.discriminator_optimizer))
        if draws_globally(hp):
            scopes.enter_context(global_stream(task.device, task.seed, "dropout", state.step))
        yield


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


@contextmanager
def fresh_memory(*, filled: bool) -> Iterator[None]:
    """A block in which torch, asked for equal bits, fills memory before it is written, or does not.

    Filling guards against code that reads what it never wrote, and costs up to a tenth of a step. What is built in
    reads nothing of the kind; a part of one's own may.
    """
    settings: Any = torch.utils.deterministic
    before = settings.fill_uninitialized_memory
    settings.fill_uninitialized_memory = filled
    try:
        yield
    finally:
        settings.fill_uninitialized_memory = before


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
    write_checkpoint(path, state.generator, description, state.average)
    checkpoint = load_generator(path, task.device, task.own_code, task.hyperparameters)
    write_sample_grid(task.run.samples(state.step), checkpoint, task.samples, task.device)
    return checkpoint.sha256
