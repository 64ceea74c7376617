"""Pictures of checkpoints beside sample grids: walks between latents, one noise over all checkpoints, class sheets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from harness.data.resize import resize
from harness.evaluation.protocol import class_sheet as sheet_of_block
from harness.execution.assignment import Assignment, EvaluationAssignment
from harness.gan.checkpoints import Checkpoint, load_generator
from harness.gan.grids import png_bytes, require_room
from harness.gan.latents import sample_latents, walk_latents, walk_times
from harness.gan.sampling import generated
from harness.gan.sheets import class_grid_width, class_sheet, interpolation_sheet, progress_sheet
from harness.store import atomic
from harness.store.pictures import SETTINGS_TEXT, ClassSheet, Interpolations, missing_pictures, settings_text
from harness.store.png import CHECKPOINT_TEXT
from harness.store.presence import require_run_folder


class Classifier(Protocol):
    """Tells the class of images: an extractor with classes of its own."""

    @property
    def classes(self) -> Sequence[str]:
        """The classes' names."""
        ...

    def features(self, images: Tensor) -> NDArray[Any]:
        """uint8 images [N, 1 or 3, H, W] -> [N, d]."""
        ...

    def logits(self, features: NDArray[Any]) -> NDArray[Any]:
        """[N, d] -> [N, classes]."""
        ...


def draw_pictures(
    assignment: Assignment,
    step: int,
    classifier_of: Callable[[EvaluationAssignment], Classifier],
    leave_if_asked: Callable[[], None],
) -> None:
    """What the report asks for of the checkpoint at `step`, unless it is there for these weights and settings.

    leave_if_asked: called between batches; raises where the process should leave. GeneratorError for images that are
    not finite.
    """
    leave_if_asked()
    run = assignment.directory
    lacking = missing_pictures(run, step, atomic.stored_hash(run.checkpoint(step)), assignment.pictures)
    if not lacking:
        return
    require_run_folder(run)
    device = torch.device(assignment.device)

    @cache
    def checkpoint(weights: Literal["raw", "ema"]) -> Checkpoint:
        hp = assignment.hyperparameters
        return load_generator(run.checkpoint(step), device, assignment.own_code, hp, weights=weights)

    for asked in lacking:
        path = run.picture(step, asked.kind)
        match asked:
            case Interpolations():
                write_interpolations(path, checkpoint("raw"), asked, device, before_batch=leave_if_asked)
            case ClassSheet():
                if block := _block_with(assignment, asked):
                    classifier = classifier_of(block)
                    generator = checkpoint(asked.weights)
                    write_class_sheet(path, generator, asked, classifier, device, before_batch=leave_if_asked)


def write_interpolations(
    path: Path,
    checkpoint: Checkpoint,
    walk: Interpolations,
    device: torch.device,
    noted: Mapping[str, Any] | None = None,
    before_batch: Callable[[], None] = lambda: None,
) -> None:
    """Writes a PNG of walks between latents, whole or not at all; noted: what its settings say besides the walk's.

    Raises as `generated`, HarnessError where it would be too large, StoreError where the disk refuses.
    """
    hp = checkpoint.description.hyperparameters
    require_room(walk.pairs * walk.points, hp.resolution)
    latents = walk_latents(walk, hp.latent_dim)
    images = generated(checkpoint, latents.flatten(0, 1), device, walk.kind, before_batch)
    sheet = interpolation_sheet(images.view(walk.pairs, walk.points, *images.shape[1:]), walk_times(walk).tolist())
    _write(path, sheet, _texts(checkpoint, {**walk.settings, **(noted or {})}))


def write_progress(
    path: Path,
    checkpoints: Sequence[Callable[[], Checkpoint]],
    count: int,
    device: torch.device,
    noted: Mapping[str, Any] | None = None,
) -> None:
    """Writes a PNG of `count` latents at all checkpoints of a run, a row each; they are loaded one after the other.

    The latents are those of a sample grid of `count` images, not the first of a larger one. noted: what the settings
    say besides. Raises as `write_interpolations`.
    """
    rows: list[Tensor] = []
    steps: dict[int, str] = {}
    for load in checkpoints:
        checkpoint = load()
        about = checkpoint.description
        require_room(count * len(checkpoints), about.hyperparameters.resolution)
        latents = sample_latents(count, about.hyperparameters.latent_dim)
        rows.append(generated(checkpoint, latents, device, "samples"))
        steps[about.step] = checkpoint.sha256
    sheet = progress_sheet(torch.stack(rows), list(steps))
    hashes = {str(step): digest for step, digest in steps.items()}
    settings = {"images": count, "checkpoints": hashes, **(noted or {})}
    _write(path, sheet, {"harness:key": about.key, SETTINGS_TEXT: settings_text(settings)})


def write_class_sheet(
    path: Path,
    checkpoint: Checkpoint,
    asked: ClassSheet,
    classifier: Classifier,
    device: torch.device,
    noted: Mapping[str, Any] | None = None,
    before_batch: Callable[[], None] = lambda: None,
) -> dict[str, int]:
    """Writes a PNG of images with the class that `classifier` takes each for; returns the images by class.

    checkpoint: with the weights that are asked for; the images are those of a sample grid of as many, and the
    classifier alone sees them at the resolution asked for. noted: what the settings say besides. Raises as
    `write_interpolations`.
    """
    hp = checkpoint.description.hyperparameters
    require_room(asked.images, hp.resolution, labeled=True)
    images = generated(checkpoint, sample_latents(asked.images, hp.latent_dim), device, "samples", before_batch)
    taken_for = np.argmax(classifier.logits(classifier.features(resize(images, asked.resolution))), axis=1)
    numbers = np.bincount(taken_for, minlength=len(classifier.classes)).tolist()
    counts = dict(zip(classifier.classes, numbers, strict=True))
    sheet = class_sheet(images, taken_for.tolist(), classifier.classes, asked.extractor)
    width = class_grid_width(images, taken_for.tolist(), classifier.classes)
    settings = {**asked.settings, "counts": counts, "grid_width": width, **(noted or {})}
    _write(path, sheet, _texts(checkpoint, settings))
    return counts


def _block_with(assignment: Assignment, asked: ClassSheet) -> EvaluationAssignment | None:
    """The first evaluation that sees images as it was asked for."""
    blocks = assignment.evaluations
    return next((b for b in blocks if sheet_of_block(asked.images, b.settings, b.protocol) == asked), None)


def _texts(checkpoint: Checkpoint, settings: Mapping[str, Any]) -> dict[str, str]:
    about = checkpoint.description
    return {
        "harness:key": about.key,
        "harness:step": str(about.step),
        CHECKPOINT_TEXT: checkpoint.sha256,
        SETTINGS_TEXT: settings_text(settings),
    }


def _write(path: Path, sheet: Image.Image, texts: Mapping[str, str]) -> None:
    atomic.write_bytes(path, png_bytes(sheet, texts))
