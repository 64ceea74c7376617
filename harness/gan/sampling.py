"""Images from a generator: batches for evaluation, and each checkpoint's picture of fixed noise."""

from __future__ import annotations

import copy
import io
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor, nn
from torch.nn.functional import pad

from harness.data.resize import to_uint8
from harness.design.factors import Hyperparameters
from harness.gan.checkpoints import Checkpoint
from harness.gan.randomness import global_stream, normal_latents, random_stream
from harness.store import atomic
from harness.store.png import CHECKPOINT_TEXT
from harness.store.reading import open_file

GRID_BATCH = 256
SMALLEST_CELL = 32
"""Pixels; smaller images are enlarged by whole factors."""
GAP = 2


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
        self._hp = checkpoint.description.hyperparameters
        self._seed = seed
        self._mode = mode
        self._batch_size = batch_size
        self._device = device

    def images(self, repeat: int, samples: int) -> Iterator[Tensor]:
        """`samples` images as uint8 batches [n, C, R, R] on the device, n at most the batch size.

        Latents are drawn on the CPU in one call per (seed, repeat): the same for all runs of equal seed and
        latent_dim. A generator of the user's own that draws as it runs repeats its draws, too.
        """
        hp = self._hp
        latents = normal_latents(samples, hp.latent_dim, random_stream(self._seed, "evaluation", repeat))
        for start in range(0, samples, self._batch_size):
            batch = latents[start : start + self._batch_size]
            kept = len(batch)
            if self._mode == "train" and kept < self._batch_size:
                rows = torch.arange(start, start + self._batch_size) % samples
                batch = latents[rows]
            noise = global_stream(self._device, self._seed, "generator noise", repeat, start)
            with noise, _kept_buffers(self._generator):
                images = _generate(self._generator, batch.to(self._device), hp)
            yield images[:kept]


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
    in eval mode. Raises ValueError for images that are neither gray nor RGB.
    """
    about = checkpoint.description
    hp = about.hyperparameters
    latents = normal_latents(samples, hp.latent_dim, random_stream(0, "samples"))
    with global_stream(device, 0, "generator noise", "samples"):
        images = torch.cat(
            [_generate(checkpoint.generator, batch.to(device), hp) for batch in torch.split(latents, GRID_BATCH)]
        )
    label = GridLabel(about.key, about.step, checkpoint.sha256, samples)
    atomic.write_bytes(path, _png(compose_grid(images.cpu()), label))


def samples_match(path: Path, checkpoint_sha256: str, samples: int) -> bool:
    """Whether `path` is a whole sample grid of this checkpoint with this number of images; StoreError where it is
    no file."""
    try:
        with open_file(path) as file, Image.open(file, formats=["PNG"]) as image:
            texts = dict(image.info)
            image.verify()  # the CRC of every chunk
    except (OSError, SyntaxError, struct.error):  # what Pillow raises for a broken or torn PNG
        return False
    asked = {CHECKPOINT_TEXT: checkpoint_sha256, "harness:samples": str(samples)}
    return asked.items() <= texts.items()


def compose_grid(images: Tensor) -> Tensor:
    """Images uint8 [N, C, R, R] side by side, row by row, as one uint8 [C, H, W] on white, nearly square.

    Small images are enlarged by repeating pixels until a side has at least 32.
    """
    count, channels, resolution, _ = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    factor = math.ceil(SMALLEST_CELL / resolution)
    cells = images.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)
    cells = pad(cells, (0, GAP, 0, GAP, 0, 0, 0, rows * columns - count), value=255)
    side = cells.shape[-1]
    grid = cells.view(rows, columns, channels, side, side).permute(2, 0, 3, 1, 4)
    return pad(grid.reshape(channels, rows * side, columns * side), (GAP, 0, GAP, 0), value=255)


@torch.no_grad()
def _generate(generator: nn.Module, latents: Tensor, hp: Hyperparameters) -> Tensor:
    return to_uint8(generator(latents), hp.generator_output)


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


def _png(grid: Tensor, label: GridLabel) -> bytes:
    match grid.shape[0]:
        case 1:
            picture = Image.fromarray(grid[0].numpy())
        case 3:
            picture = Image.fromarray(grid.permute(1, 2, 0).contiguous().numpy())
        case channels:
            raise ValueError(f"a picture has 1 or 3 channels, not {channels}")
    about = PngInfo()
    for name, text in label.texts().items():
        about.add_text(name, text)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", pnginfo=about)
    return buffer.getvalue()
