"""Images from a generator: batches for evaluation, and each checkpoint's picture of fixed noise."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from harness.data.resize import to_uint8
from harness.errors import GeneratorError
from harness.gan.checkpoints import Checkpoint, Description
from harness.gan.grids import compose_grid, picture_of, png_bytes, require_room
from harness.gan.latents import sample_latents
from harness.gan.precision import gpu_arithmetic
from harness.gan.randomness import global_stream, normal_latents, random_stream
from harness.store import atomic
from harness.store.png import CHECKPOINT_TEXT, picture_texts
from harness.store.reading import read_bytes

GRID_BATCH = 256


class CheckpointSampler:
    """Generated images of a checkpoint for given latents' seed.

    mode: of batch norm, and of layers of one's own that hold buffers. "eval" uses the running statistics; "train"
    those of each batch of `batch_size`, in a copy of the generator whose buffers are the checkpoint's for every batch.
    In "train" mode an incomplete last batch is filled up with the repeat's first latents and the surplus images are
    dropped, so that all statistics are over whole batches.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        seed: int,
        mode: Literal["eval", "train"],
        batch_size: int,
        device: torch.device,
    ) -> None:
        self._generator = _frozen_copy(checkpoint.generator, mode).to(device)
        self._about = checkpoint.description
        self._seed = seed
        self._mode = mode
        self._batch_size = batch_size
        self._device = device

    def images(self, repeat: int, samples: int) -> Iterator[Tensor]:
        """`samples` images as uint8 batches [n, C, R, R] on the device, n at most the batch size.

        Latents are drawn on the CPU in one call per (seed, repeat): the same for all runs of equal seed and
        latent_dim. A generator of the user's own that draws as it runs repeats its draws, too. Raises GeneratorError
        behind the last batch where images hold a NaN or an infinity; the device is waited for there alone.
        """
        hp = self._about.hyperparameters
        broken = _BrokenImages(self._about, self._device)
        latents = normal_latents(samples, hp.latent_dim, random_stream(self._seed, "evaluation", repeat))
        for start in range(0, samples, self._batch_size):
            batch = latents[start : start + self._batch_size]
            kept = len(batch)
            if self._mode == "train" and kept < self._batch_size:
                rows = torch.arange(start, start + self._batch_size) % samples
                batch = latents[rows]
            noise = global_stream(self._device, self._seed, "generator noise", repeat, start)
            with noise, _kept_buffers(self._generator):
                images = _generate(self._generator, batch.to(self._device))[:kept]
            broken.look_for_them_in(images)
            yield to_uint8(images, hp.generator_output)
        broken.refuse()


@dataclass(frozen=True)
class GridLabel:
    """What a sample grid's PNG text says of it."""

    key: str
    step: int
    checkpoint_sha256: str
    samples: int

    def texts(self) -> dict[str, str]:
        return {
            "harness:key": self.key,
            "harness:step": str(self.step),
            CHECKPOINT_TEXT: self.checkpoint_sha256,
            "harness:samples": str(self.samples),
        }


def write_sample_grid(path: Path, checkpoint: Checkpoint, samples: int, device: torch.device) -> None:
    """Writes a PNG of `samples` images, whole or not at all; StoreError where the disk refuses.

    The noise is the same at every step, for all seeds and for all cells of equal latent_dim. The generator is
    in eval mode. Raises ValueError for images that are neither gray nor RGB, GeneratorError as `generated`.
    """
    about = checkpoint.description
    require_room(samples, about.hyperparameters.resolution)
    images = generated(checkpoint, sample_latents(samples, about.hyperparameters.latent_dim), device, "samples")
    label = GridLabel(about.key, about.step, checkpoint.sha256, samples)
    atomic.write_bytes(path, png_bytes(picture_of(compose_grid(images)), label.texts()))


def generated(
    checkpoint: Checkpoint,
    latents: Tensor,
    device: torch.device,
    what: str,
    before_batch: Callable[[], None] = lambda: None,
) -> Tensor:
    """The images of `latents` [N, L], as uint8 [N, C, R, R] on the CPU; the generator is in eval mode.

    what: the picture, for the stream of a generator that draws as it runs; before_batch: called before every batch,
    for who may want to leave there. Raises GeneratorError where images hold a NaN or an infinity.
    """
    about = checkpoint.description
    broken = _BrokenImages(about, device)
    parts = []
    with global_stream(device, 0, "generator noise", what):
        for batch in torch.split(latents, GRID_BATCH):
            before_batch()
            images = _generate(checkpoint.generator, batch.to(device))
            broken.look_for_them_in(images)
            parts.append(to_uint8(images, about.hyperparameters.generator_output))
    broken.refuse()
    return torch.cat(parts).cpu()


def samples_match(path: Path, checkpoint_sha256: str, samples: int) -> bool:
    """Whether `path` is a whole sample grid of this checkpoint with this number of images; StoreError where it is
    no file."""
    try:
        texts = picture_texts(read_bytes(path))
    except FileNotFoundError:
        return False
    asked = {CHECKPOINT_TEXT: checkpoint_sha256, "harness:samples": str(samples)}
    return texts is not None and asked.items() <= texts.items()


class _BrokenImages:
    """Counts images with a NaN or an infinity on the device; only `refuse` waits for it."""

    def __init__(self, about: Description, device: torch.device) -> None:
        self._about = about
        self._broken = torch.zeros((), dtype=torch.int64, device=device)
        self._seen = 0

    def look_for_them_in(self, images: Tensor) -> None:
        self._seen += len(images)
        self._broken += images.isfinite().flatten(1).all(dim=1).logical_not().sum()

    def refuse(self) -> None:
        """GeneratorError where there was one."""
        if broken := int(self._broken):
            raise GeneratorError(
                f"{broken} of {self._seen} images of the generator are not finite (NaN or infinity), though its "
                "weights are",
                where=f"checkpoint at step {self._about.step} of run {self._about.key[:8]}",
                remedy="Its activations overflow: look at an earlier checkpoint, or train with lower learning rates.",
            )


@torch.no_grad()
def _generate(generator: nn.Module, latents: Tensor) -> Tensor:
    with gpu_arithmetic("float32", latents.device):
        images: Tensor = generator(latents)
    return images


def _frozen_copy(generator: nn.Module, mode: Literal["eval", "train"]) -> nn.Module:
    """A copy in eval mode; for "train" its batch norms lose their running statistics and use each batch's.

    Layers that are not torch's and hold buffers, which may be running statistics, are put into train mode.
    """
    frozen = copy.deepcopy(generator).eval().requires_grad_(False)
    if mode == "train":
        for module in frozen.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.running_mean = None
                module.running_var = None
            elif not _is_torchs(module) and any(True for _ in module.buffers(recurse=False)):
                module.training = True  # it alone: what is dropped in training stays
    return frozen


def _is_torchs(module: nn.Module) -> bool:
    return type(module).__module__.partition(".")[0] == "torch"


@contextmanager
def _kept_buffers(network: nn.Module) -> Iterator[None]:
    """A block after which all buffers are as before."""
    training = [module for module in network.modules() if module.training]
    before = [(buffer, buffer.clone()) for module in training for buffer in module.buffers()]
    try:
        yield
    finally:
        for buffer, value in before:
            buffer.copy_(value)
