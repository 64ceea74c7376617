"""Folders of images as pytorch-fid reads them: 8-bit RGB at their own size; read in batches, never all at once."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from harness.data.image_folder import IMAGE_EXTENSIONS, UNREADABLE
from harness.data.resize import resize
from harness.errors import DataError

GRAY_MODES = frozenset({"1", "L", "LA"})
"""Pillow's modes whose RGB form has three equal channels; a folder of such images is read with one channel."""

WIDE_MODES = ("I", "F")
"""Beginnings of Pillow's modes with more than 8 bits a value, which `convert("RGB")` would clip to white."""

READ_AT_ONCE = 32
"""Images in a batch; two batches are in memory at a time."""


@dataclass(frozen=True)
class ImageFiles:
    """The images of one folder, looked at but not read. files: in the order of their names, at least 2.

    size: (width, height) in pixels of every image, None where they differ and are brought to one `resolution`;
    resolution: the side that every image is brought to first, None: none; gray: every image is.
    """

    root: Path
    files: tuple[Path, ...]
    size: tuple[int, int] | None
    gray: bool
    resolution: int | None

    def __len__(self) -> int:
        return len(self.files)

    def batches(self, readers: int = 1) -> Iterator[torch.Tensor]:
        """uint8 [n, 1 or 3, H, W], in order, the next batch being read by `readers` threads meanwhile.

        Raises DataError that names the file where one cannot be read.
        """
        waiting: list[Future[torch.Tensor]] = []
        with ThreadPoolExecutor(readers) as pool:
            try:
                for start in range(0, len(self.files), READ_AT_ONCE):
                    ahead = [pool.submit(self._read, file) for file in self.files[start : start + READ_AT_ONCE]]
                    ready, waiting = waiting, ahead
                    if ready:
                        yield torch.stack([image.result() for image in ready])
                yield torch.stack([image.result() for image in waiting])
            finally:
                pool.shutdown(wait=False, cancel_futures=True)  # nobody waits for the rest after an error

    def _read(self, file: Path) -> torch.Tensor:
        """uint8 [1 or 3, H, W]."""
        try:
            with Image.open(file) as opened:
                # By way of RGBA no color of a transparent palette changes, and Pillow has nothing to warn of.
                image = opened.convert("RGBA") if "transparency" in opened.info else opened
                pixels = np.array(image.convert("L" if self.gray else "RGB"), dtype=np.uint8)
        except (*UNREADABLE, Image.DecompressionBombError) as error:
            raise _unreadable(file, error) from error
        tensor = torch.from_numpy(pixels)
        tensor = tensor[None] if self.gray else tensor.permute(2, 0, 1).contiguous()
        return tensor if self.resolution is None else resize(tensor[None], self.resolution)[0]


def find_images(root: Path, resolution: int | None = None) -> ImageFiles:
    """The images below `root`, nested ones too, found by their extension in any case; only their headers are read.

    Raises DataError where the folder is missing or holds fewer than two images, where an image is unreadable or has
    more than 8 bits a value, and where sizes are mixed and no `resolution` is given.
    """
    if not root.is_dir():
        raise DataError(
            "this is neither a folder of images nor an .npz file" if root.exists() else "there is no such folder",
            where=str(root),
            remedy="Name a folder of images, or an .npz file with the arrays mu and sigma.",
        )
    files = tuple(sorted(_walk(root), key=lambda file: file.relative_to(root).as_posix()))
    if len(files) < 2:
        raise DataError(
            f"the folder holds {'one image' if files else 'no images'}; a covariance needs at least 2",
            where=str(root),
            remedy=f"Put images there, flat or in sub-folders. Extensions: {' '.join(IMAGE_EXTENSIONS)}.",
        )
    size: tuple[int, int] | None = None
    gray, mixed = True, False
    for file in files:
        own_size, mode = _header(file)
        size = size or own_size
        if own_size != size:
            if resolution is None:
                raise _mixed_sizes(root, (files[0], size), (file, own_size))
            mixed = True
        gray = gray and mode in GRAY_MODES
    return ImageFiles(root, files, None if mixed else size, gray, resolution)


def _walk(root: Path) -> Iterator[Path]:
    """Images in and below `root`, links followed; each folder once, however many links lead to it."""
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True, onerror=_refuse):
        seen.add(os.path.realpath(folder))
        folders[:] = sorted(name for name in folders if os.path.realpath(os.path.join(folder, name)) not in seen)  # noqa: PTH118
        yield from (Path(folder, name) for name in names if name.lower().endswith(IMAGE_EXTENSIONS))


def _refuse(error: OSError) -> None:
    raise DataError(
        f"this folder cannot be read: {error.strerror or error}", where=str(error.filename), remedy="Is it readable?"
    ) from error


def _header(file: Path) -> tuple[tuple[int, int], str]:
    """Size (width, height) and Pillow's mode of an image, without reading its pixels."""
    try:
        if not file.is_file():
            raise OSError("not a regular file")  # a pipe named x.png would be waited on for ever
        with _bombs_refused(), Image.open(file) as image:
            size, mode = image.size, image.mode
    except (*UNREADABLE, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _unreadable(file, error) from error
    if mode.startswith(WIDE_MODES):
        raise DataError(
            f"this image has more than 8 bits a value (Pillow's mode {mode}), of which pytorch-fid would make white",
            where=str(file),
            remedy="Scale such images to 8 bits first.",
        )
    return size, mode


@contextmanager
def _bombs_refused() -> Iterator[None]:
    """A small file may unpack to gigabytes; Pillow only warns of those between 89 and 179 million pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _unreadable(file: Path, error: BaseException) -> DataError:
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return DataError(
        f"this image cannot be read: {reason}", where=str(file), remedy="Repair it, or take it out of the folder."
    )


def _mixed_sizes(root: Path, one: tuple[Path, tuple[int, int]], other: tuple[Path, tuple[int, int]]) -> DataError:
    sizes = " and ".join(
        f"{file.relative_to(root).as_posix()} {width}x{height}" for file, (width, height) in (one, other)
    )
    return DataError(
        f"the images have different sizes: {sizes}",
        where=str(root),
        remedy="Bring them to one size with --resolution R; pytorch-fid would stop at such a folder.",
    )
