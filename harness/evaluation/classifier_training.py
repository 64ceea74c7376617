"""How a classifier becomes an extractor: trained on labeled images, measured on those that it never saw.

Always on the CPU; the same images, recipe, torch, kind of processor and number of threads give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from harness.data.resize import resize, to_float
from harness.design.streams import stream_seed
from harness.evaluation.classifier import Architecture, Classifier

PREDICTION_BATCH = 256

Watch = Callable[[int, float], None]
"""Told the epoch (from 1) and the mean loss after each."""


@dataclass(frozen=True)
class Recipe:
    """noise in values of [-1, 1]; shift in pixels of the network's resolution.

    paths: of sizes that an image passes through; stream: names the random stream of `seed` that all is drawn from.
    """

    paths: tuple[tuple[int, ...], ...]
    stream: str
    seed: int = 0
    epochs: int = 60
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    shift: int = 1
    noise: float = 0.1


def train(
    images: Tensor,
    labels: Tensor,
    architecture: Architecture,
    recipe: Recipe,
    watch: Watch = lambda _epoch, _loss: None,
) -> Classifier:
    """AdamW with a cosine schedule on cross-entropy. An epoch shows each image once, by a drawn path.

    images: uint8 [N, C, H, W], N at least `batch_size`; labels: int64 [N]. Every path ends at the network's resolution.
    """
    generator = torch.Generator().manual_seed(stream_seed(recipe.seed, recipe.stream))
    network = initialized(architecture, generator)
    variants = torch.stack([along(images, path) for path in recipe.paths])
    optimizer = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    batches = len(images) // recipe.batch_size
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.epochs * batches)
    for epoch in range(1, recipe.epochs + 1):
        order = torch.randperm(len(images), generator=generator)
        total = 0.0
        for chosen in torch.split(order[: batches * recipe.batch_size], recipe.batch_size):
            path = torch.randint(len(recipe.paths), chosen.shape, generator=generator)
            batch = augmented(to_float(variants[path, chosen]), recipe, generator)
            loss = functional.cross_entropy(network(batch), labels[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        watch(epoch, total / batches)
    return network.eval().requires_grad_(False)


def along(images: Tensor, path: tuple[int, ...]) -> Tensor:
    """Images resized to each size of the path in turn: uint8."""
    for size in path:
        images = resize(images, size)
    return images


def initialized(architecture: Architecture, generator: torch.Generator) -> Classifier:
    """He's initialization (He et al. 2015, eq. 14) with zero biases, drawn from `generator` and from nothing else."""
    with torch.device("meta"):
        network = Classifier(architecture)
    network.to_empty(device="cpu")
    for parameter in network.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
        else:
            torch.nn.init.zeros_(parameter)
    return network


def augmented(images: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Each image moved by up to `shift` pixels, black coming in, with normal noise of its own strength.

    images: [N, C, R, R] in [-1, 1]; returns the same shape and range.
    """
    size, margin = images.shape[-1], recipe.shift
    padded = functional.pad(images, (margin,) * 4, value=-1.0)
    corner = torch.randint(2 * margin + 1, (2, len(images)), generator=generator)
    rows, columns = corner[:, :, None] + torch.arange(size)
    image = torch.arange(len(images))[:, None, None, None]
    channel = torch.arange(images.shape[1])[None, :, None, None]
    moved = padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]
    strength = recipe.noise * torch.rand((len(images), 1, 1, 1), generator=generator)
    noisy = moved + strength * torch.randn(moved.shape, generator=generator)
    return noisy.clamp(-1, 1)


def predictions(network: Classifier, images: Tensor, path: tuple[int, ...] = ()) -> NDArray[np.int64]:
    """The class of each image after it went along `path` and to the network's resolution: int64 [N]."""
    found = [torch.empty(0, dtype=torch.int64)]
    with torch.inference_mode():
        for batch in torch.split(images, PREDICTION_BATCH):
            resized = along(batch, (*path, network.architecture.resolution))
            found.append(network(to_float(resized)).argmax(dim=1))
    return np.asarray(torch.cat(found).numpy())


def accuracy(network: Classifier, images: Tensor, labels: Tensor, path: tuple[int, ...] = ()) -> float:
    """Share of the images classified rightly, as `predictions` classifies them."""
    return round(float((predictions(network, images, path) == labels.numpy()).mean()), 4)


def held_out_mask(labels: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """True where an image is kept from training: of every class `share`, rounded, but at least one image.

    A class of a single image keeps it for training. A draw of its own per (seed, class).
    """
    mask = np.zeros(len(labels), dtype=np.bool_)
    for name in np.unique(labels):
        members = np.flatnonzero(labels == name)
        wanted = min(max(1, round(share * len(members))), len(members) - 1)
        # Ordered by the bit generator's raw words, which numpy promises to keep in every version.
        words = np.random.PCG64(stream_seed(seed, "held out", int(name))).random_raw(len(members))
        mask[members[np.argsort(words, kind="stable")[:wanted]]] = True
    return mask
