"""What is made of a run's checkpoints: sample grids and evaluations, each only where it is missing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from harness.data.cache import open_images, reference_indices
from harness.design.experiment import EvaluationSettings
from harness.evaluation.evaluate import evaluate, reference_statistics
from harness.evaluation.extractors import BATCH_SIZE, Extractor, load_extractor
from harness.evaluation.protocol import weights_key
from harness.execution.assignment import Assignment, EvaluationAssignment
from harness.gan.checkpoints import load_generator
from harness.gan.sampling import CheckpointSampler, samples_match, write_sample_grid
from harness.store import atomic
from harness.store.commits import Commit
from harness.store.evaluations import Evaluation, read_evaluation, write_evaluation
from harness.store.presence import require_run_folder

Stop = Callable[[], bool]
"""Whether the process should leave; asked between any two pieces of work, which is also how its progress is seen."""

Save = Callable[[], bool]
"""Whether a state was asked for since the last time that this was called."""

_log = logging.getLogger("harness")

SAMPLING_BATCH = 256
"""Images generated at a time in eval mode; the same for all cells, because it can change a pixel by one gray level."""


class Stopped(Exception):
    """The process was asked to leave in the middle of an evaluation."""


class LoadedExtractors:
    """Extractors that a worker process has loaded, each once."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._loaded: dict[str, Extractor] = {}

    def get(self, settings: EvaluationSettings) -> Extractor:
        key = weights_key(settings)
        if key not in self._loaded:
            self._loaded[key] = load_extractor(settings, self._device)
        return self._loaded[key]


def draw_samples(assignment: Assignment, step: int, stop: Stop) -> None:
    """The sample grid of one checkpoint, unless it is there for these weights and settings."""
    _leave_if_asked(stop)
    run = assignment.directory
    digest = atomic.stored_hash(run.checkpoint(step))
    if digest is None or not samples_match(run.samples(step), digest, assignment.samples):
        device = torch.device(assignment.device)
        require_run_folder(run)
        loaded = load_generator(run.checkpoint(step), device, assignment.own_code, assignment.hyperparameters)
        write_sample_grid(run.samples(step), loaded, assignment.samples, device)


def measure(
    assignment: Assignment,
    block: EvaluationAssignment,
    commit: Commit,
    extractors: LoadedExtractors,
    stop: Stop,
) -> None:
    """Whatever one `[[evaluation]]` block still lacks, stored after each checkpoint."""
    wanted = [step for step in block.settings.steps_measured(assignment.training) if str(step) in commit.checkpoints]
    for step in wanted:
        stored = read_evaluation(assignment.directory, step, block.protocol.sha256)
        if stored is None or not stored.has(block.settings.metrics, block.settings.repeats):
            _measure_checkpoint(assignment, block, step, stored, extractors, stop)


def _measure_checkpoint(
    assignment: Assignment,
    block: EvaluationAssignment,
    step: int,
    stored: Evaluation | None,
    extractors: LoadedExtractors,
    stop: Stop,
) -> None:
    run, settings = assignment.directory, block.settings
    device = torch.device(assignment.device)
    extractor = extractors.get(settings)
    reference = reference_statistics(
        assignment.cache,
        block.protocol,
        lambda: _reference_images(block),
        extractor,
        lambda: _leave_if_asked(stop),
    )
    checkpoint = load_generator(
        run.checkpoint(step),
        device,
        assignment.own_code,
        assignment.hyperparameters,
        weights=settings.generator_weights,
    )
    sampler = _StoppableSampler(
        CheckpointSampler(
            checkpoint,
            assignment.seed,
            settings.generator_mode,
            assignment.hyperparameters.batch_size if settings.generator_mode == "train" else SAMPLING_BATCH,
            device,
        ),
        stop,
    )
    started = time.monotonic()
    before = stored.values if stored else {}
    values: dict[str, list[float]] = {metric: list(before.get(metric, ())) for metric in settings.metrics}
    for repeat in range(settings.repeats):
        lacking = [metric for metric in settings.metrics if len(values[metric]) <= repeat]
        if lacking:
            for metric, fresh in evaluate(
                sampler, block.protocol, reference, extractor, range(repeat, repeat + 1), lacking
            ).items():
                values[metric].extend(fresh)
    for metric, measured in values.items():
        _log.info("step %d: %s (%s) %s", step, metric, settings.extractor, ", ".join(f"{v:.4g}" for v in measured))
    require_run_folder(run)
    write_evaluation(
        run,
        Evaluation(
            step=step,
            checkpoint_sha256=checkpoint.sha256,
            protocol_sha256=block.protocol.sha256,
            protocol=block.protocol.document(),
            values={**before, **values},
            seconds=round((stored.seconds if stored else 0.0) + time.monotonic() - started, 3),
        ),
    )


class _StoppableSampler:
    """A sampler that leaves when the process is asked to stop: between any two batches that an extractor sees."""

    def __init__(self, sampler: CheckpointSampler, stop: Stop) -> None:
        self._sampler = sampler
        self._stop = stop

    def images(self, repeat: int, samples: int) -> Iterator[torch.Tensor]:
        for images in self._sampler.images(repeat, samples):
            for batch in torch.split(images, BATCH_SIZE):
                _leave_if_asked(self._stop)
                yield batch


def _leave_if_asked(stop: Stop) -> None:
    if stop():
        raise Stopped


def _reference_images(block: EvaluationAssignment) -> NDArray[np.uint8]:
    images = open_images(block.reference_images)
    return np.asarray(images[reference_indices(len(images), block.settings.reference)])
