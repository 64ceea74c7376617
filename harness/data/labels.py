"""The class of every image, where a data set has classes: in the order in which `sources.load` gives the images.

Of an image folder the class is the sub-folder, right below `data.root`, that an image lies in, as for ImageFolder.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data import image_folder, published
from harness.data.digits import read_digits
from harness.design.experiment import PUBLISHED_IMAGES, DataSettings
from harness.design.own_parts import is_own
from harness.errors import DataError

IDX_UINT8_1D = 0x00000801
"""The first four bytes of an IDX file with uint8 labels [N], big-endian."""

DIGITS = tuple("0123456789")

CLASSES = {
    "digits": DIGITS,
    "mnist": DIGITS,
    "fashion-mnist": (
        "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}  # fmt: skip
"""Names of the published data sets' classes, by label."""

_NO_CLASSES = "Lay the images into one sub-folder per class, right below data.root."


def labels(data: DataSettings, skipped: Collection[str] = ()) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The label of each image, int64 [N] from 0, and the classes' names by label.

    skipped: `LoadedImages.skipped`, images of a folder that are left out of the data.
    Raises DataError where the data set has no classes (own code, a flat folder, one class only), or where its labels
    are missing or damaged; names the file or folder.
    """
    match data.source:
        case own if is_own(own):
            raise DataError(
                f"the images of {own} come without labels",
                where="data.source",
                remedy='Write them as files, one sub-folder per class, and say source = "folder".',
            )
        case "folder":
            return _of_folder(Path(data.root).expanduser(), frozenset(skipped))
        case "digits":
            return read_digits()[1], DIGITS
        case "cifar10":
            return _of_cifar10(data), CLASSES[data.source]
        case _:
            return _of_idx(label_file(data)), CLASSES[data.source]


def label_file(data: DataSettings) -> Path:
    """Where the labels of mnist and fashion-mnist lie, there or not."""
    (images,) = published.image_files(data)
    return images.with_name(images.name.replace("images-idx3", "labels-idx1"))


def has_split(data: DataSettings) -> bool:
    """Whether images and labels of a published data set's split lie on the disk."""
    if (data.source, data.split) not in PUBLISHED_IMAGES or data.source == "digits":
        return False
    return published.missing_file(data) is None and (data.source == "cifar10" or label_file(data).is_file())


def _of_folder(root: Path, skipped: frozenset[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    names = [image.name for image in image_folder.image_files(root) if image.name not in skipped]
    flat = next((name for name in names if "/" not in name), None)
    if flat is not None:
        raise DataError(f"{flat} lies in no class's sub-folder", where=str(root), remedy=_NO_CLASSES)
    folders = [name.split("/", 1)[0] for name in names]
    classes = tuple(sorted(set(folders)))
    if len(classes) < 2:
        what = f"all images are of one class, {classes[0]}" if classes else "no image is left"
        raise DataError(what, where=str(root), remedy=_NO_CLASSES)
    index = {name: label for label, name in enumerate(classes)}
    return np.array([index[name] for name in folders], dtype=np.int64), classes


def _of_cifar10(data: DataSettings) -> NDArray[np.int64]:
    path = published.missing_file(data)
    if path is not None:
        raise published.missing(data, path)
    batches = [published.cifar_batch(path)["labels"] for path in published.image_files(data)]
    return np.concatenate([np.asarray(batch, dtype=np.int64) for batch in batches])


def _of_idx(path: Path) -> NDArray[np.int64]:
    """The IDX format: http://yann.lecun.com/exdb/mnist/."""
    try:
        content = path.read_bytes()
        magic, announced = struct.unpack_from(">2I", content)
    except FileNotFoundError as error:
        raise DataError(
            "the labels are not there",
            where=str(path),
            remedy=f"Put {path.name} (uncompressed) into {path.parent}, beside the images.",
        ) from error
    except (OSError, struct.error) as error:
        raise published.damaged(path, str(error)) from error
    if magic != IDX_UINT8_1D:
        raise published.damaged(path, f"it begins with {magic:#010x} instead of {IDX_UINT8_1D:#010x}")
    found = np.frombuffer(content, dtype=np.uint8, offset=8)
    if len(found) != announced or len(found) == 0:
        raise published.damaged(path, f"it has {len(found)} labels where {announced} are announced")
    if found.max() > 9:
        raise published.damaged(path, f"it has a label {found.max()} where 9 is the largest")
    return found.astype(np.int64)
