"""Trains the `mnist` extractor and writes its weights and the note on them.

    python scripts/train_mnist_extractor.py [--root FOLDER] [--output FOLDER]

FOLDER holds MNIST as `harness fetch` lays it out, images and labels of both splits. Deterministic on one machine; other
versions of torch or other processors give other bits, which is why the weights ship. What came out, in plain words:
docs/extractors.md.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from harness.data.labels import CLASSES
from harness.data.labels import labels as labels_of
from harness.data.sources import content_sha256, load
from harness.design.experiment import DataSettings
from harness.evaluation.classifier import MNIST, to_bytes
from harness.evaluation.classifier_training import Recipe, accuracy, train
from harness.evaluation.shipped import MNIST_WEIGHTS
from harness.store import atomic

RECIPE = Recipe(
    paths=((28,), (32, 28), (20, 28), (64, 28)), stream="mnist extractor", epochs=12, batch_size=128, shift=2
)


def images_and_labels(root: str, split: Literal["train", "test"]) -> tuple[Tensor, Tensor]:
    """One split as the source `mnist` gives it: uint8 [N, 1, 28, 28], and labels [N]."""
    data = DataSettings(source="mnist", root=root, split=split)
    return torch.from_numpy(load(data, 28).images), torch.from_numpy(labels_of(data)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the mnist extractor.")
    parser.add_argument("--root", default="data", help="folder that holds MNIST/raw")
    parser.add_argument("--output", type=Path, default=MNIST_WEIGHTS.parent, help="folder for the two files")
    arguments = parser.parse_args()
    output: Path = arguments.output
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    images, labels = images_and_labels(arguments.root, "train")
    network = train(
        images, labels, MNIST, RECIPE, lambda epoch, loss: print(f"epoch {epoch}: loss {loss:.4f}", flush=True)
    )
    unseen, truth = images_and_labels(arguments.root, "test")
    measured = {
        "train": accuracy(network, images, labels),
        **{f"test at {size}x{size}": accuracy(network, unseen, truth, (size,)) for size in (16, 28, 32, 64)},
    }
    content = to_bytes(network, CLASSES["mnist"])
    note = {
        "weights_sha256": atomic.sha256_of(content),
        "feature_dim": MNIST.features,
        "resolution": MNIST.resolution,
        "images": "MNIST (gray images, 28x28)",
        "images_sha256": content_sha256(DataSettings(source="mnist", root=arguments.root)),
        "split": {"rule": "MNIST's own", "train": len(images), "test": len(unseen)},
        "accuracy": measured,
        "recipe": {**asdict(RECIPE), "optimizer": "AdamW, cosine schedule", "loss": "cross-entropy"},
        "torch": torch.__version__,
    }
    output.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(output / MNIST_WEIGHTS.name, content)
    atomic.write_json(output / MNIST_WEIGHTS.with_suffix(".json").name, note)
    for name, value in measured.items():
        print(f"accuracy, {name}: {value:.4f}")
    print(f"SHA-256 {note['weights_sha256']}, {len(content)} bytes, in {output}")


if __name__ == "__main__":
    main()
