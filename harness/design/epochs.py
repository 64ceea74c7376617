"""From epochs to steps: how long a cell trains is a matter of its own images and batches."""

from __future__ import annotations

from harness.design.experiment import DataSettings, Experiment
from harness.design.factors import Hyperparameters
from harness.design.training_settings import MAX_CHECKPOINTS, TrainingSettings, too_many_checkpoints
from harness.errors import ExperimentFileError

MAX_STEPS = 10**9


def training_of(hp: Hyperparameters, experiment: Experiment) -> TrainingSettings:
    """What a cell trains, in steps; ExperimentFileError where epochs cannot be counted.

    An epoch has images // batch_size batches, the incomplete one being dropped; each update of the discriminator takes
    one, so that a step takes `discriminator_steps`. Steps are rounded up: the last one may reach into another epoch.
    """
    settings = experiment.training
    if not settings.in_epochs:
        return settings
    steps, checkpoint_every = settings.steps, settings.checkpoint_every
    if settings.epochs is not None:
        steps = _steps(settings.epochs, hp, experiment.data, "training.epochs")
    if settings.checkpoint_every_epochs is not None:
        where = "training.checkpoint_every_epochs"
        checkpoint_every = _steps(settings.checkpoint_every_epochs, hp, experiment.data, where)
    if steps // checkpoint_every > MAX_CHECKPOINTS:
        raise ExperimentFileError(too_many_checkpoints(steps, checkpoint_every), where="training")
    return TrainingSettings(steps=steps, log_every=settings.log_every, checkpoint_every=checkpoint_every)


def _steps(epochs: int, hp: Hyperparameters, data: DataSettings, where: str) -> int:
    if data.count is None:
        raise ExperimentFileError(
            "how many steps that is depends on the number of images, which is not known before they are read",
            where=where,
            remedy="Say it: [data] images = NUMBER. It is checked when they are.",
        )
    images = data.count if hp.limit == "all" else min(hp.limit, data.count)
    batches = images // hp.batch_size
    if batches == 0:
        raise ExperimentFileError(
            f"batch_size {hp.batch_size:,} is more than the {images:,} images of a cell, so that an epoch has no batch",
            where=where,
            remedy="Choose a smaller batch_size, or a larger limit.",
        )
    steps = -(-epochs * batches // hp.discriminator_steps)
    if steps > MAX_STEPS:
        raise ExperimentFileError(f"{steps:,} steps are more than {MAX_STEPS:,}", where=where)
    return steps
