"""The data of an experiment as one memory-mapped array per resolution, made once and shared by all workers.

`prepare` is called by the parent process, under a lock; workers open what it returned. An array lies as

    images-<source>-<resolution>-<key>.npy   .npy.sha256   .json (what the key stands for, skipped images)

and never changes: other data, another resolution or another way of making it have another key. It may be
deleted at any time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from io import BufferedRandom, BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from harness.data.resize import RESIZE_FILTER
from harness.data.sources import LoadedImages, load_chunks
from harness.design.experiment import DataSettings
from harness.design.own_parts import is_own
from harness.design.streams import stream_seed
from harness.errors import DamagedFileError, DataError
from harness.store import atomic
from harness.store.locks import WAIT_FOR_EVER, held
from harness.store.reading import is_there, refuse_foreign

if TYPE_CHECKING:
    import torch

CACHE_VERSION = 1
"""Raised when the same data and settings would give another array."""

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class ImageCache:
    """folder: where the arrays lie (`ExperimentDirectory.cache`)."""

    folder: Path

    def prepare(
        self, data: DataSettings, data_sha256: str, resolution: int, own: NDArray[np.uint8] | None = None
    ) -> Path:
        """The array of `data` at `resolution`, made where it is missing or damaged, and verified.

        data_sha256: `sources.content_sha256(data, own)`; own: images that the user's function gave. The file holds
        uint8 [N, C, resolution, resolution].
        Raises DataError where the images cannot be loaded, StoreError where the folder is not writable.
        """
        made_of = _made_of(data, data_sha256, resolution)
        key = atomic.sha256_of(atomic.canonical_json(made_of))[:16]
        source = "own" if is_own(data.source) else data.source
        path = self.folder / f"images-{source}-{resolution}-{key}.npy"
        with held(path.with_suffix(".lock"), timeout_s=WAIT_FOR_EVER):
            if not _is_whole(path):
                _make(path, made_of, (data.channels, resolution, resolution), load_chunks(data, resolution, own))
        return path


def open_images(path: Path) -> NDArray[np.uint8]:
    """A prepared array, memory-mapped read-only: uint8 [N, C, R, R]. StoreError where it is no file or no array."""
    refuse_foreign(path)
    try:
        images: NDArray[np.uint8] = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise DamagedFileError(
            f"the cached images cannot be opened: {error}",
            where=str(path),
            remedy="Run the same command again; it makes them anew.",
        ) from error
    return images


def skipped_images(path: Path) -> tuple[str, ...]:
    """Names of the images that a prepared array leaves out because they could not be read."""
    return tuple(atomic.read_json(_notes(path))["skipped"])


def to_device(path: Path, indices: Indices, device: torch.device | str) -> torch.Tensor:
    """The images at `indices`, copied: uint8 [len(indices), C, R, R] on `device`."""
    import torch

    return torch.from_numpy(np.asarray(open_images(path))[indices]).to(device)


def training_indices(count: int, limit: int | Literal["all"]) -> Indices:
    """Which of `count` images a level of the factor `limit` trains on: ascending, the same for all seeds.

    A smaller limit draws a subset of a larger one. Raises DataError where limit exceeds count.
    """
    return _fixed_draw(count, limit, "limit")


def reference_indices(count: int, reference: int | Literal["all"]) -> Indices:
    """Which of `count` images an `[[evaluation]]` compares with; as `training_indices`, drawn apart."""
    return _fixed_draw(count, reference, "reference")


def shown_indices(count: int, images: int) -> Indices:
    """Which of `count` images people are shown as real ones; as `training_indices`, drawn apart."""
    return _fixed_draw(count, images, "real images shown")


def _fixed_draw(count: int, wanted: int | Literal["all"], name: str) -> Indices:
    if wanted == "all":
        return np.arange(count, dtype=np.int64)
    if wanted > count:
        raise DataError(
            f"{name} = {wanted} asks for more images than the {count} that there are",
            remedy=f'Lower it, or say {name} = "all".',
        )
    # A permutation as the order of the bit generator's raw words: numpy promises that these stay the same in
    # every version, and does not promise it for Generator.permutation.
    words = np.random.PCG64(stream_seed(0, name)).random_raw(count)
    return np.sort(np.argsort(words, kind="stable")[:wanted]).astype(np.int64)


def _made_of(data: DataSettings, data_sha256: str, resolution: int) -> atomic.Json:
    """Everything that the array depends on."""
    return {
        "data": data.declared(),
        "data_sha256": data_sha256,
        "resolution": resolution,
        "resize": RESIZE_FILTER,
        "version": CACHE_VERSION,
    }


def _is_whole(path: Path) -> bool:
    """False where the array is missing, and, with a word in the log, where it is damaged; StoreError for no file."""
    if not is_there(path):
        return False
    try:
        skipped_images(path)
        if atomic.file_sha256(path) == atomic.stored_hash(path):
            return True
    except (OSError, KeyError, DamagedFileError):
        pass  # its notes are missing or damaged, or it cannot be read: made again below, notes and all
    logging.getLogger("harness").warning("%s is damaged or unfinished; it is made again", path)
    return False


def _make(path: Path, made_of: atomic.Json, image_shape: tuple[int, int, int], chunks: Iterable[LoadedImages]) -> None:
    atomic.remove_leftovers(path)
    skipped: list[str] = []
    total = 0

    def write(file: BufferedRandom) -> None:
        nonlocal total
        file.write(_header(0, image_shape))  # as long as that for any number of images, which is not known yet
        for chunk in chunks:
            file.write(chunk.images.data)
            skipped.extend(chunk.skipped)
            total += len(chunk.images)
        file.seek(0)
        file.write(_header(total, image_shape))

    atomic.write_hashed_from(path, write)
    atomic.write_json(_notes(path), made_of | {"images": total, "skipped": skipped})
    if skipped:
        logging.getLogger("harness").warning(
            "%d of %d images cannot be read and are left out; %s names them",
            len(skipped), total + len(skipped), _notes(path),
        )  # fmt: skip


def _header(count: int, image_shape: tuple[int, int, int]) -> bytes:
    buffer = BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "|u1", "fortran_order": False, "shape": (count, *image_shape)}
    )
    return buffer.getvalue()


def _notes(path: Path) -> Path:
    return path.with_suffix(".json")
