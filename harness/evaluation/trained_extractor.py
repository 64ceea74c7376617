"""Makes an extractor of a labeled data set: trains a classifier, measures it on images that it never saw, stores it.

<output>/<data set>-<first 8 digits of the SHA-256>.safetensors    and .json beside it, the note
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from harness.data.labels import has_split
from harness.data.labels import labels as labels_of
from harness.data.sources import content_sha256, load
from harness.design.experiment import DataSettings
from harness.errors import DataError
from harness.evaluation.classifier import Classifier, fitting_architecture, to_bytes
from harness.evaluation.classifier_training import Recipe, Watch, held_out_mask, predictions, train
from harness.evaluation.output_folder import make_writable
from harness.store import atomic

HELD_OUT = 0.1
"""Share of each class that is kept from training where no test split lies on the disk."""

IMAGES_SEEN = 600_000
"""How many images a training shows in all unless told otherwise, within MOST_EPOCHS and LEAST_EPOCHS."""

MOST_EPOCHS, LEAST_EPOCHS = 60, 5

LEAST_IMAGES = 20
"""To train on; fewer are no data set."""

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class ClassAccuracy:
    """Of one class's held-out images: how many there are, and how many were classified rightly."""

    name: str
    images: int
    right: int


@dataclass(frozen=True)
class TrainedExtractor:
    """file: of the weights; held_out: what the accuracy was measured on, in words; accuracy: share of those images."""

    file: Path
    sha256: str
    held_out: str
    accuracy: float
    classes: tuple[ClassAccuracy, ...]


@dataclass(frozen=True)
class _Images:
    images: torch.Tensor
    labels: Labels


def train_extractor(
    data: DataSettings, resolution: int, output: Path, *, epochs: int | None = None, seed: int = 0, watch: Watch
) -> TrainedExtractor:
    """Trains on the CPU in one thread; equal data, settings, torch and kind of processor give an equal file.

    epochs: default as `default_epochs`. Raises DataError where the data have no classes or too few images, StoreError
    where `output` is not writable, both before anything is trained.
    """
    labels_of(data)  # looks at names only, before images are read for minutes
    whole, names = _labeled(data, resolution)
    fitted, unseen, rule = _split(data, whole, resolution, seed)
    if len(fitted.labels) < LEAST_IMAGES or not len(unseen.labels):
        raise DataError(
            f"{len(whole.labels)} images are too few to train on {LEAST_IMAGES} and hold some back",
            where=data.root,
            remedy='Add images, or use extractor = "inception".',
        )
    make_writable(output)
    recipe = Recipe(
        paths=((resolution,), (max(4, resolution * 3 // 4), resolution)),
        stream="trained extractor",
        seed=seed,
        epochs=epochs or default_epochs(len(fitted.labels)),
        batch_size=min(64, len(fitted.labels)),
        shift=max(1, resolution // 16),
    )
    with _one_thread():
        architecture = fitting_architecture(data.channels, resolution, len(names))
        network = train(fitted.images, torch.from_numpy(fitted.labels), architecture, recipe, watch)
        right = predictions(network, unseen.images) == unseen.labels
    classes = tuple(
        ClassAccuracy(name, int((unseen.labels == label).sum()), int(right[unseen.labels == label].sum()))
        for label, name in enumerate(names)
    )
    counts: dict[str, str | int] = {"rule": rule, "train": len(fitted.labels), "held out": len(unseen.labels)}
    return _store(network, classes, data, recipe, counts, output)


def default_epochs(images: int) -> int:
    """Passes over so many images: fewer where there are more."""
    return min(MOST_EPOCHS, max(LEAST_EPOCHS, round(IMAGES_SEEN / images)))


def _labeled(data: DataSettings, resolution: int) -> tuple[_Images, tuple[str, ...]]:
    loaded = load(data, resolution)
    labels, names = labels_of(data, loaded.skipped)
    if len(labels) != len(loaded.images):
        raise DataError(
            f"there are {len(loaded.images)} images and {len(labels)} labels",
            where=data.root,
            remedy="Delete the files and fetch them again with `harness fetch FILE`.",
        )
    return _Images(torch.from_numpy(loaded.images), labels), names


def _split(data: DataSettings, whole: _Images, resolution: int, seed: int) -> tuple[_Images, _Images, str]:
    """What is trained on, what is held out, and by which rule: the test split where it lies there, else a share."""
    test = data.model_copy(update={"split": "test"})
    if data.split == "train" and has_split(test):
        return whole, _labeled(test, resolution)[0], f"the test split of {data.source}"
    mask = held_out_mask(whole.labels, HELD_OUT, seed)
    chosen = torch.from_numpy(mask)
    fitted = _Images(whole.images[~chosen], whole.labels[~mask])
    unseen = _Images(whole.images[chosen], whole.labels[mask])
    return fitted, unseen, f"{HELD_OUT:.0%} of each class, drawn with seed {seed}"


def _store(
    network: Classifier,
    classes: tuple[ClassAccuracy, ...],
    data: DataSettings,
    recipe: Recipe,
    counts: dict[str, str | int],
    output: Path,
) -> TrainedExtractor:
    content = to_bytes(network, tuple(each.name for each in classes))
    digest = atomic.sha256_of(content)
    accuracy = sum(each.right for each in classes) / sum(each.images for each in classes)
    file = output / f"{_name(data)}-{digest[:8]}.safetensors"
    note = {
        "weights_sha256": digest,
        "architecture": asdict(network.architecture),
        "classes": [each.name for each in classes],
        "data": data.declared(),
        "data_sha256": content_sha256(data),
        "split": counts,
        "accuracy": {
            "held out": accuracy,
            "classes": {each.name: {"images": each.images, "right": each.right} for each in classes},
        },
        "recipe": {**asdict(recipe), "optimizer": "AdamW, cosine schedule", "loss": "cross-entropy"},
        "torch": torch.__version__,
    }
    atomic.write_bytes(file, content)
    atomic.write_json(file.with_suffix(".json"), note)
    return TrainedExtractor(file, digest, str(counts["rule"]), accuracy, classes)


def _name(data: DataSettings) -> str:
    name = Path(data.root).expanduser().resolve().name if data.source == "folder" else data.source
    return re.sub(r"[^\w.-]+", "-", name)[:60] or "folder"


@contextmanager
def _one_thread() -> Iterator[None]:
    """Another number of threads gives other bits, and so do algorithms that need not repeat their sums."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
