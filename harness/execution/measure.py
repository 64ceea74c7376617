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
from harness.design.metrics import CLASS_METRICS, LOGIT_METRICS, METRICS, MetricName
from harness.errors import HarnessError, StoreError
from harness.evaluation.evaluate import Repeat, evaluate, pool
from harness.evaluation.extractors import BATCH_SIZE, Extractor, load_extractor
from harness.evaluation.features import Beat
from harness.evaluation.floor import kept_floor
from harness.evaluation.protocol import weights_key
from harness.evaluation.reference import RealSet, reference_key
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

    def get(self, block: EvaluationAssignment, between_pieces: Beat) -> Extractor:
        """The block's extractor; between_pieces is called while it is prepared."""
        key = (weights_key(block.settings), block.settings.precision)
        if key not in self._loaded:
            self._loaded[key] = load_extractor(block.settings, self._device, block.images, between_pieces)
        extractor = self._loaded[key]
        if LOGIT_METRICS.intersection(block.settings.metrics):
            extractor.logits(np.zeros((1, extractor.feature_dim)))  # weights without classes are told before any work
        return extractor

    def real(self, block: EvaluationAssignment, cache: Path, between_blocks: Beat) -> RealSet:
        """The block's real images; between_blocks is called while they are made."""
        key = (cache, reference_key(block.protocol))
        if key not in self._real:
            images, spare = partial(_reference_images, block), partial(_spare_images, block)
            extractor = self.get(block, between_blocks)
            self._real[key] = RealSet(cache, block.protocol, images, extractor, between_blocks, spare=spare)
        self._real[key].between_blocks = between_blocks
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
) -> list[HarnessError]:
    """Whatever one `[[evaluation]]` block still lacks; returns why checkpoints cannot be measured, which bars no other.

    Raises StoreError where nothing can be stored.
    """
    problems: list[HarnessError] = []
    wanted = [step for step in block.settings.steps_measured(assignment.training) if str(step) in commit.checkpoints]
    for step in wanted:
        stored = read_evaluation(assignment.directory, step, block.protocol.sha256)
        if stored and stored.floor and stored.has(block.settings.metrics, block.settings.repeats):
            continue
        try:
            _measure_checkpoint(assignment, block, step, stored, extractors, stop)
        except StoreError:
            raise
        except HarnessError as error:
            _log.error("step %d cannot be measured (%s): %s", step, block.settings.extractor_name, error)
            problems.append(error)
    return problems


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
    extractor = extractors.get(block, lambda: leave_if_asked(stop))
    real = extractors.real(block, assignment.cache, lambda: leave_if_asked(stop))
    sampler, checkpoint_sha256 = _sampler(assignment, block, step, stop)
    evaluation = stored or Evaluation(
        step=step,
        checkpoint_sha256=checkpoint_sha256,
        protocol_sha256=block.protocol.sha256,
        protocol=block.protocol.document(),
        values={},
    )
    had_floor = evaluation.floor is not None
    evaluation = _with_floor(evaluation, block, real, extractor)
    if stored and not had_floor:
        _store(assignment, evaluation)
    pooled = [metric for metric in settings.metrics if METRICS[metric].pooled]
    pooling = not evaluation.has(pooled, settings.repeats)
    measured_each: tuple[MetricName, ...] = settings.metrics if not pooled else (*settings.metrics, "fid")
    repeats: list[Repeat] = []
    for index in range(settings.repeats):
        lacking = evaluation.lacking(dict.fromkeys(measured_each), index)  # FID is stored with all that is pooled of it
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


def _with_floor(evaluation: Evaluation, block: EvaluationAssignment, real: RealSet, extractor: Extractor) -> Evaluation:
    """The evaluation with what real images measure against each other, and with the classes where they are counted."""
    samples, metrics = block.protocol.samples, block.settings.metrics
    floor = kept_floor(real.floor_file(samples), real, real.spare_features, samples, metrics)
    evaluation = replace(evaluation, floor=floor, feature_dims=extractor.feature_dim)
    if CLASS_METRICS.intersection(metrics):
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
