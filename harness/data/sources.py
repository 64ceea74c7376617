"""Where images come from: the same functions over all sources of `[data]`. Only resizing imports torch.

Images of a function of one's own are asked for once, by `own_images.own_images`, and handed to the others as `own`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data import image_folder, published
from harness.data.digits import read_digits
from harness.data.resize import resize
from harness.design.experiment import DataSettings
from harness.design.own_parts import is_own
from harness.errors import DataError
from harness.store.atomic import canonical_json, file_sha256, sha256_of

_CHUNK_BYTES = 2**26
"""Bytes of resized images that are handed on at a time."""


@dataclass(frozen=True, eq=False)
class LoadedImages:
    """images: uint8 [N, C, R, R], contiguous. skipped: names of unreadable images that are left out."""

    images: NDArray[np.uint8]
    skipped: tuple[str, ...] = ()


def is_present(data: DataSettings) -> bool:
    """Whether the images are there without a download (looks at names, reads nothing)."""
    match data.source:
        case "digits":
            return True
        case own if is_own(own):
            return True
        case "folder":
            return _root(data).is_dir()
        case _:
            return published.missing_file(data) is None


def fetch(data: DataSettings) -> None:
    """Sees to it that the images are there: downloads a published data set once, with its checksums.

    Raises DataError with the remedy where that fails, or where an image folder is missing or empty.
    """
    if data.source == "folder":
        image_folder.image_files(_root(data))
    elif not is_present(data):
        published.download(data)


def content_sha256(data: DataSettings, own: NDArray[np.uint8] | None = None) -> str:
    """The hash of exactly the files used: of their names and bytes, wherever and however old they are.

    Of arrays (digits, one's own) the hash is of shape and values. Neither resolution nor what `DataSettings.declared`
    says is in it. Raises DataError for missing data.
    """
    if own is not None:
        return _array_sha256("own", own)
    match data.source:
        case "digits":
            return _array_sha256("digits", _digits())
        case "folder":
            files = image_folder.image_files(_root(data))
            return _hash_of([(image.name, _image_sha256(image, data)) for image in files])
        case _:
            path = published.missing_file(data)
            if path is not None:
                raise published.missing(data, path)
            return _hash_of([(path.name, file_sha256(path)) for path in published.image_files(data)])


def load(data: DataSettings, resolution: int, own: NDArray[np.uint8] | None = None) -> LoadedImages:
    """All images at `resolution`, in memory: uint8 [N, C, R, R]. Errors as `load_chunks`."""
    chunks = list(load_chunks(data, resolution, own))
    images = np.concatenate([chunk.images for chunk in chunks])
    return LoadedImages(images, tuple(name for chunk in chunks for name in chunk.skipped))


def load_chunks(data: DataSettings, resolution: int, own: NDArray[np.uint8] | None = None) -> Iterator[LoadedImages]:
    """All images at `resolution`, some tens of MiB at a time, in the one order that all draws refer to.

    Raises DataError for missing or damaged data, naming the file. Unreadable images of a folder with
    `corrupt = "skip"` are left out and named; that none is left is an error.
    """
    if own is not None:
        yield from _resized(own, resolution)
        return
    match data.source:
        case "digits":
            yield from _resized(_digits(), resolution)
        case "folder":
            yield from _decoded(data, resolution)
        case _:
            yield from _resized(published.read(data), resolution)


def _digits() -> NDArray[np.uint8]:
    """scikit-learn's 1797 handwritten digits, 0..16 scaled to 0..255: uint8 [1797, 1, 8, 8]."""
    images, _ = read_digits()
    return np.rint(images * 255 / 16).astype(np.uint8)[:, None]


def _resized(images: NDArray[np.uint8], resolution: int) -> Iterator[LoadedImages]:
    import torch

    step = _chunk_length(images.shape[1], resolution)
    for start in range(0, len(images), step):
        chunk = torch.from_numpy(images[start : start + step])
        yield LoadedImages(np.ascontiguousarray(resize(chunk, resolution).numpy()))


def _decoded(data: DataSettings, resolution: int) -> Iterator[LoadedImages]:
    files = image_folder.image_files(_root(data))
    step = _chunk_length(data.channels, resolution)
    total = 0
    for start in range(0, len(files), step):
        chunk = _decode_chunk(files[start : start + step], data, resolution)
        total += len(chunk.images)
        yield chunk
    if not total:
        raise DataError(
            f"none of the folder's {len(files)} images can be read",
            where=str(_root(data)),
            remedy='Say corrupt = "error" under [data] to see why.',
        )


def _decode_chunk(files: list[image_folder.ImageFile], data: DataSettings, resolution: int) -> LoadedImages:
    color: image_folder.Color = "gray" if data.channels == 1 else "rgb"
    images = np.empty((len(files), data.channels, resolution, resolution), dtype=np.uint8)
    skipped: list[str] = []
    kept = 0
    for file in files:
        try:
            images[kept] = image_folder.read_square(file, color, resolution)
        except DataError:
            if data.corrupt == "error":
                raise
            skipped.append(file.name)
        else:
            kept += 1
    return LoadedImages(images[:kept], tuple(skipped))


def _image_sha256(image: image_folder.ImageFile, data: DataSettings) -> str:
    try:
        image_folder.check_is_file(image)
        return file_sha256(image.path)
    except OSError as error:
        if data.corrupt == "skip":
            return "unreadable"
        raise image_folder.unreadable(image, error) from error


def _array_sha256(name: str, images: NDArray[np.uint8]) -> str:
    return sha256_of(canonical_json([name, list(images.shape), sha256_of(images.tobytes())]))


def _hash_of(files: list[tuple[str, str]]) -> str:
    return sha256_of(canonical_json(files))


def _chunk_length(channels: int, resolution: int) -> int:
    return max(1, _CHUNK_BYTES // (channels * resolution * resolution))


def _root(data: DataSettings) -> Path:
    return Path(data.root).expanduser()
