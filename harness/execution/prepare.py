"""What all runs of an experiment share, made once by the parent before any of them starts, under a lock."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.cache import ImageCache, open_images, skipped_images
from harness.data.own_code import OwnCode, check_signatures
from harness.data.own_images import own_images
from harness.data.sources import content_sha256, fetch, is_present
from harness.design.expansion import Cell, Plan
from harness.design.experiment import DataSettings, EvaluationSettings, Experiment
from harness.design.experiment_file import ExperimentFile
from harness.design.factors import Hyperparameters
from harness.design.metrics import METRICS
from harness.design.own_parts import is_own, split_reference
from harness.errors import DamagedFileError, DataError, StoreError, WeightsError
from harness.evaluation.extractor_weights import weights_file, weights_sha256
from harness.evaluation.protocol import caveat, weights_key
from harness.execution.events import Event, Observer
from harness.execution.real_images import write_real_images
from harness.execution.threads import thread_count, threads_before
from harness.store import atomic, reading
from harness.store.locks import WAIT_FOR_EVER, held
from harness.store.manifest import ExperimentManifest, read_experiment_manifest, write_experiment_manifest
from harness.store.real_images import asked_real_images, missing_real_images
from harness.store.rundir import ExperimentDirectory
from harness.store.source import keep_sources


@dataclass(frozen=True)
class Prepared:
    """images: the cached array by resolution, for training and for reference; own_code: copies of own source files."""

    manifest: ExperimentManifest
    data_sha256: str
    images: dict[int, Path]
    own_code: OwnCode


def prepare(
    file: ExperimentFile,
    directory: ExperimentDirectory,
    observe: Observer,
    *,
    threads: int | None,
    sets: Sequence[str],
) -> Prepared:
    """Data, weights, own source files and the thread count of an experiment, looked up or made and noted.

    threads None: as at the first run, else by runs and cores. Raises DataError, WeightsError, StoreError or
    OwnPartError with the remedy.
    """
    experiment = file.experiment
    _make_writable(directory)
    with held(directory.lock, timeout_s=WAIT_FOR_EVER):
        before = _manifest_before(directory, observe)
        own_code = OwnCode(keep_sources(directory, file.plan.sources))
        check_signatures(own_code, file.plan)
        own = _present_data(experiment.data, own_code, observe)
        data_sha256 = content_sha256(experiment.data, own)
        weights = {weights_key(settings): _weights(settings, observe) for settings in experiment.evaluation}
        earlier = threads_before(before, directory)
        manifest = ExperimentManifest(
            name=experiment.name,
            threads=thread_count(threads, earlier, len(file.plan.runs), experiment.resources.cpus),
            data_sha256=before.data_sha256 if before else {},
            weights_sha256={**(before.weights_sha256 if before else {}), **weights},
            image_counts=before.image_counts if before else {},
            data_sources=before.data_sources if before else {},
        ).with_data(
            experiment.data.declared(),
            data_sha256,
            where=experiment.data.root if own is None else experiment.data.source,
            source=file.plan.source_hashes.get(split_reference(experiment.data.source)[0]),
        )
        if earlier not in (None, manifest.threads):
            text = f"threads change from {earlier} to {manifest.threads}: bit-identical weights are not promised"
            observe(Event("note", text=text))
        usual = thread_count(None, None, len(file.plan.runs), experiment.resources.cpus)
        if threads is None and manifest.threads > usual:
            text = (
                f"{manifest.threads} threads for each worker, as at the first run; for as many runs as there are now "
                f"--threads {usual} is quicker, with other bits from there on"
            )
            observe(Event("note", text=text))
        images = _images(file.plan, directory, data_sha256, own, observe)
        count = len(open_images(next(iter(images.values()))))
        manifest = manifest.with_count(experiment.data.declared(), count)
        for settings in experiment.evaluation:
            if text := caveat(settings, experiment.data):
                observe(Event("note", text=text))
        if manifest != before:
            write_experiment_manifest(directory, manifest)
        for grid in missing_real_images(directory, asked_real_images(file.plan, manifest)):
            write_real_images(directory, grid, images)
        overrides = "".join(f"# --set {override}\n" for override in sets)
        _write_if_changed(directory.file_copy, (overrides + file.text).encode())
    return Prepared(manifest, data_sha256, images, own_code)


def look_again(experiment: Experiment, directory: ExperimentDirectory) -> None:
    """Forgets optional weights that were missing and lie there now, so that their evaluations become due."""
    with held(directory.lock, timeout_s=WAIT_FOR_EVER):
        manifest = read_experiment_manifest(directory)
        if manifest is None:
            return
        appeared = {weights_key(settings) for settings in experiment.evaluation if _has_appeared(settings, manifest)}
        kept = {key: digest for key, digest in manifest.weights_sha256.items() if key not in appeared}
        if appeared:
            write_experiment_manifest(directory, replace(manifest, weights_sha256=kept))


def _has_appeared(settings: EvaluationSettings, manifest: ExperimentManifest) -> bool:
    if manifest.weights_sha256.get(weights_key(settings), "") is not None:
        return False
    try:
        weights_file(settings, download=False)
    except WeightsError:
        return False
    return True


def _weights(settings: EvaluationSettings, observe: Observer) -> str | None:
    """SHA-256 of a block's weights, or None where they are missing and the block is not required."""
    try:
        return weights_sha256(settings)
    except WeightsError as error:
        if settings.required:
            raise
        observe(Event("note", text=f"evaluation with {settings.extractor_name} is left out: {error.what}"))
        return None


def _present_data(data: DataSettings, own_code: OwnCode, observe: Observer) -> NDArray[np.uint8] | None:
    """Sees to it that the images are there; those that a function of one's own gives."""
    if is_own(data.source):
        return own_images(data, own_code)
    if not is_present(data):
        if data.source != "folder":
            observe(Event("note", text=f"fetching {data.source} into {data.root}"))
        fetch(data)
    return None


def _images(
    plan: Plan, directory: ExperimentDirectory, data_sha256: str, own: NDArray[np.uint8] | None, observe: Observer
) -> dict[int, Path]:
    data = plan.experiment.data
    resolutions = {cell.hyperparameters.resolution for cell in plan.cells}
    resolutions |= {
        settings.resolution or plan.experiment.baseline.resolution for settings in plan.experiment.evaluation
    }
    cache = ImageCache(directory.cache)
    paths = {resolution: cache.prepare(data, data_sha256, resolution, own) for resolution in sorted(resolutions)}
    first = next(iter(paths.values()))
    skipped = skipped_images(first)
    if skipped:
        shown = ", ".join(skipped[:5]) + (f" and {len(skipped) - 5} more" if len(skipped) > 5 else "")
        observe(Event("note", text=f"{len(skipped)} unreadable images are skipped, as the file says: {shown}"))
    _check_counts(plan, len(open_images(first)))
    return paths


def _check_counts(plan: Plan, count: int) -> None:
    """Levels that the data cannot give are refused before anything trains."""
    stated = plan.experiment.data.images
    if stated not in (None, count):
        raise DataError(
            f"images = {stated} is not the {count} images there are",
            where="data.images",
            remedy=f"Say images = {count}; steps are counted from it where [training] says epochs.",
        )
    for cell in plan.cells:
        hp = cell.hyperparameters
        used = count if hp.limit == "all" else hp.limit
        where = f"cell {cell.name}"
        if used > count:
            raise DataError(
                f"limit = {used} is more than the {count} images there are",
                where=where,
                remedy='Lower it, or say "all".',
            )
        if hp.batch_size > used:
            raise DataError(
                f"batch_size = {hp.batch_size} is more than the {used} images of an epoch",
                where=where,
                remedy="Lower batch_size, or raise limit.",
            )
    _refuse_equal_cells(plan, count)
    for index, settings in enumerate(plan.experiment.evaluation):
        if settings.reference != "all" and settings.reference > count:
            raise DataError(
                f"reference = {settings.reference} is more than the {count} images there are",
                where=f"evaluation.{index}.reference",
                remedy='Lower it, or say "all".',
            )
        real = count if settings.reference == "all" else settings.reference
        needing = max((METRICS[name] for name in settings.metrics), key=lambda metric: metric.least)
        if real < needing.least:
            raise DataError(
                f"{needing.name} needs at least {needing.least} real images, and there are {real}",
                where=f"evaluation.{index}.metrics",
                remedy="Leave it out, or use more images.",
            )


def _refuse_equal_cells(plan: Plan, count: int) -> None:
    """DataError where a cell is limited to as many images as there are, and another to none: one run under two keys."""
    cells: dict[Hyperparameters, Cell] = {}
    for cell in plan.cells:
        hp = cell.hyperparameters
        whole = hp.model_copy(update={"limit": "all"}) if hp.limit == count else hp
        other = cells.setdefault(whole, cell)
        if other is not cell:
            raise DataError(
                f"limit = {count} is all the images there are, so that the cells {other.name} and {cell.name} are the "
                "same run",
                where=f"cell {cell.name}",
                remedy="Leave one of them out.",
            )


def _make_writable(directory: ExperimentDirectory) -> None:
    try:
        directory.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the runs folder cannot be made: {error.strerror}",
            where=str(directory.root),
            remedy="Choose another with --runs-dir.",
        ) from error
    if not os.access(directory.root, os.W_OK):
        raise StoreError(
            "the runs folder is not writable",
            where=str(directory.root),
            remedy="Choose another with --runs-dir.",
        )


def _manifest_before(directory: ExperimentDirectory, observe: Observer) -> ExperimentManifest | None:
    try:
        return read_experiment_manifest(directory)
    except DamagedFileError as error:
        observe(Event("note", text=f"{error}; it is made again"))
        return None


def _write_if_changed(path: Path, content: bytes) -> None:
    if not reading.is_there(path) or reading.read_bytes(path) != content:
        atomic.write_bytes(path, content)
