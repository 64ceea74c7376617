"""What is made of a run's checkpoints: sample grids and evaluations, each only where it is missing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from harness.data.cache import open_images, reference_indices
from harness.design.metrics import CLASS_METRICS, LOGIT_METRICS, METRICS
from harness.evaluation.evaluate import Repeat, evaluate, pool
from harness.evaluation.extractors import BATCH_SIZE, Extractor, load_extractor
from harness.evaluation.features import Features
from harness.evaluation.floor import kept_floor
from harness.evaluation.protocol import weights_key
from harness.evaluation.reference import RealSet, real_features, reference_key
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
    """Extractors that a worker process has loaded and real images as they see them, each once."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._loaded: dict[tuple[str, str], Extractor] = {}
        self._real: dict[tuple[Path, str], RealSet] = {}

    def get(self, block: EvaluationAssignment) -> Extractor:
        key = (weights_key(block.settings), block.settings.precision)
        if key not in self._loaded:
            self._loaded[key] = load_extractor(block.settings, self._device, block.images_of_a_run)
        extractor = self._loaded[key]
        if LOGIT_METRICS.intersection(block.settings.metrics):
            extractor.logits(np.zeros((1, extractor.feature_dim)))  # weights without classes are told before any work
        return extractor

    def real(self, block: EvaluationAssignment, cache: Path, between_batches: Callable[[], None]) -> RealSet:
        """The block's real images; between_batches is called while they are made."""
        key = (cache, reference_key(block.protocol))
        if key not in self._real:
            images = partial(_reference_images, block)
            self._real[key] = RealSet(cache, block.protocol, images, self.get(block), between_batches)
        self._real[key].between_batches = between_batches
        return self._real[key]


def draw_samples(assignment: Assignment, step: int, stop: Stop) -> None:
    """The sample grid of one checkpoint, unless it is there for these weights and settings."""
    leave_if_asked(stop)
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
    """Stored after each repeat, so that what was measured outlives the process."""
    settings = block.settings
    extractor = extractors.get(block)
    real = extractors.real(block, assignment.cache, lambda: leave_if_asked(stop))
    sampler, checkpoint_sha256 = _sampler(assignment, block, step, stop)
    evaluation = stored or Evaluation(
        step=step,
        checkpoint_sha256=checkpoint_sha256,
        protocol_sha256=block.protocol.sha256,
        protocol=block.protocol.document(),
        values={},
    )
    evaluation = _with_floor(evaluation, assignment, block, real, extractor, stop)
    pooled = [metric for metric in settings.metrics if METRICS[metric].pooled]
    pooling = not evaluation.has(pooled, settings.repeats)
    repeats: list[Repeat] = []
    for index in range(settings.repeats):
        lacking = evaluation.lacking(settings.metrics, index)
        if lacking or pooling:
            started = time.monotonic()
            measured = evaluate(sampler, block.protocol, real, extractor, index, lacking, pooling=pooling)
            repeats.append(measured)
            evaluation = evaluation.with_repeat(
                index, measured.values, measured.class_counts, seconds=time.monotonic() - started
            )
            _store(assignment, evaluation)
    if pooling:
        evaluation = evaluation.with_pooled(settings.repeats, pool(real, repeats, pooled))
        _store(assignment, evaluation)
    for metric in settings.metrics:
        values = ", ".join(f"{value:.4g}" for value in evaluation.series(metric, settings.repeats))
        _log.info("step %d: %s (%s) %s", step, metric, settings.extractor_name, values)


def _sampler(
    assignment: Assignment, block: EvaluationAssignment, step: int, stop: Stop
) -> tuple[_StoppableSampler, str]:
    """The checkpoint's generator as the protocol wants it, and the checkpoint's SHA-256."""
    settings, hp, device = block.settings, assignment.hyperparameters, torch.device(assignment.device)
    checkpoint = load_generator(
        assignment.directory.checkpoint(step), device, assignment.own_code, hp, weights=settings.generator_weights
    )
    batch_size = hp.batch_size if settings.generator_mode == "train" else SAMPLING_BATCH
    sampler = CheckpointSampler(checkpoint, assignment.seed, settings.generator_mode, batch_size, device)
    return _StoppableSampler(sampler, stop), checkpoint.sha256


def _with_floor(
    evaluation: Evaluation,
    assignment: Assignment,
    block: EvaluationAssignment,
    real: RealSet,
    extractor: Extractor,
    stop: Stop,
) -> Evaluation:
    """The evaluation with what real images measure against each other, and with the classes where they are counted."""

    def spare(count: int) -> Features:
        images = _spare_images(block, count)
        return real_features(images, block.protocol.resolution, extractor, lambda: leave_if_asked(stop))

    floor = kept_floor(
        real.floor_file(block.protocol.samples),
        real,
        spare,
        block.protocol.samples,
        block.settings.metrics,
        lambda: leave_if_asked(stop),
    )
    evaluation = replace(evaluation, floor=floor, feature_dims=extractor.feature_dim)
    if CLASS_METRICS.intersection(block.settings.metrics):
        counts = real.class_counts.tolist()
        return replace(evaluation, classes=list(extractor.classes), reference_class_counts=counts)
    return evaluation


def _store(assignment: Assignment, evaluation: Evaluation) -> None:
    require_run_folder(assignment.directory)
    write_evaluation(assignment.directory, evaluation)


class _StoppableSampler:
    """A sampler that leaves when the process is asked to stop: between any two batches that an extractor sees."""

    def __init__(self, sampler: CheckpointSampler, stop: Stop) -> None:
        self._sampler = sampler
        self._stop = stop

    def images(self, repeat: int, samples: int) -> Iterator[torch.Tensor]:
        for images in self._sampler.images(repeat, samples):
            for batch in torch.split(images, BATCH_SIZE):
                leave_if_asked(self._stop)
                yield batch


def leave_if_asked(stop: Stop) -> None:
    if stop():
        raise Stopped


def _reference_images(block: EvaluationAssignment) -> NDArray[np.uint8]:
    images = open_images(block.reference_images)
    return np.asarray(images[reference_indices(len(images), block.settings.reference)])


def _spare_images(block: EvaluationAssignment, count: int) -> NDArray[np.uint8]:
    """At most `count` further images that are not in the reference: a larger draw holds the smaller one."""
    images = open_images(block.reference_images)
    reference = reference_indices(len(images), block.settings.reference)
    larger = reference_indices(len(images), min(len(images), len(reference) + count))
    return np.asarray(images[np.setdiff1d(larger, reference)])
