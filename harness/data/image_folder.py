"""Images of one's own: a folder with or without class sub-folders, as torchvision's ImageFolder reads it."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from harness.data.resize import resize_and_crop
from harness.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

Color = Literal["gray", "rgb"]

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
"""torchvision's IMG_EXTENSIONS; named here so that hashing a folder does not import torch."""

MAX_VISITS = 16
"""How often links may lead to one folder: a few links in each of some nested folders lead to billions of names."""

MAX_DEPTH = 100
"""Folders inside folders."""

UNREADABLE = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, ArithmeticError, struct.error,
    zlib.error,
)  # fmt: skip
"""What Pillow's decoders raise on damaged files of the formats above."""


@dataclass(frozen=True)
class ImageFile:
    """name: relative to the image folder, with forward slashes on every system."""

    name: str
    path: Path


def image_files(root: Path) -> list[ImageFile]:
    """All images below `root`, in the order of their names' code points, whatever the file system's order.

    Links may point to other places inside the folder. Raises DataError where the folder is missing, has no
    images, or holds a link that leaves it or runs in a circle, or links that multiply a folder.
    """
    if not root.is_dir():
        raise DataError(
            "there is no such image folder" if not root.exists() else "this is a file, not an image folder",
            where=str(root),
            remedy="Put the images there, or name their folder: data.root in the experiment file.",
        )
    found = sorted(
        (ImageFile(path.relative_to(root).as_posix(), path) for path in _walk(root, (), Counter())),
        key=lambda image: image.name,
    )
    if not found:
        raise DataError(
            "the folder holds no images",
            where=str(root),
            remedy=f"Put images there, flat or in sub-folders. Extensions: {' '.join(IMAGE_EXTENSIONS)}.",
        )
    return found


def read_square(image: ImageFile, color: Color, resolution: int) -> NDArray[np.uint8]:
    """One image as uint8 [C, resolution, resolution]: shorter side resized, then the center cropped.

    Alpha is dropped and EXIF rotation not applied, as ImageFolder does; 16-bit gray is scaled to 8 bits.
    Raises DataError that names the file where it cannot be read, or holds more pixels than Pillow takes for an image
    (89 million; a small file may unpack to gigabytes).
    """
    import torch
    from PIL import Image

    try:
        check_is_file(image)
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(image.path) as opened:
                pixels = _pixels(opened, color)
    except (*UNREADABLE, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise unreadable(image, error) from error
    channels_first = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    return np.asarray(resize_and_crop(channels_first, resolution).numpy())


def check_is_file(image: ImageFile) -> None:
    """OSError for what only has an image's name: a pipe named x.png would be waited on for ever."""
    if not image.path.is_file():
        raise OSError("not a regular file")


def unreadable(image: ImageFile, error: BaseException) -> DataError:
    """The error that names an image which cannot be read, and the ways out."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return DataError(
        f"this image cannot be read: {reason}",
        where=str(image.path),
        remedy='Repair or remove it, or leave such images out with corrupt = "skip" under [data].',
    )


def _walk(folder: Path, above: tuple[Path, ...], visits: Counter[Path]) -> Iterator[Path]:
    """Images in `folder` and below. above: resolved folders that lead here, the image folder first; visits: of each."""
    here = _resolved(folder)
    above = (*above, here)
    visits[here] += 1
    if len(above) > MAX_DEPTH:
        raise DataError(
            f"folders lie in folders more than {MAX_DEPTH} deep",
            where=str(folder),
            remedy="Move the images up, or name a folder further down: data.root in the experiment file.",
        )
    if visits[here] > MAX_VISITS:
        raise DataError(
            f"links lead here in more than {MAX_VISITS} ways",
            where=str(folder),
            remedy="Remove links; each makes all images of a folder count once more.",
        )
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"this folder cannot be read: {error.strerror or error}",
            where=str(folder),
            remedy="Is it readable?",
        ) from error
    for entry in entries:
        is_folder = entry.is_dir()
        if not is_folder and not entry.name.lower().endswith(IMAGE_EXTENSIONS):
            continue
        if entry.is_symlink():
            _check_link(entry, above)
        if is_folder:
            yield from _walk(entry, above, visits)
        else:
            yield entry


def _check_link(link: Path, above: tuple[Path, ...]) -> None:
    target = _resolved(link)
    if target in above:
        what = "this link leads back to a folder that it lies in"
    elif not target.is_relative_to(above[0]):
        what = f"this link points outside the image folder, to {target}"
    else:
        return
    raise DataError(what, where=str(link), remedy="Remove the link, or copy into the folder what it points to.")


def _resolved(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises on links that point to themselves


def _pixels(image: Image.Image, color: Color) -> NDArray[np.uint8]:
    """uint8 [H, W, C] of an opened image."""
    if image.mode in ("F", "I"):
        raise ValueError(f"its values have no 8-bit range (Pillow's mode {image.mode})")
    if image.mode.startswith("I;16"):  # Pillow would clip instead of scale
        gray = np.rint(np.asarray(image) / 257.0).astype(np.uint8)[..., None]
        return gray if color == "gray" else np.repeat(gray, 3, axis=2)
    opaque = image.convert("RGBA") if "transparency" in image.info else image
    pixels = np.array(opaque.convert("L" if color == "gray" else "RGB"), dtype=np.uint8)
    return pixels[..., None] if color == "gray" else pixels
