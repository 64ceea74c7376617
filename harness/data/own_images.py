"""Images that a function of one's own gives: `source = "mydata.py:load"`. Called once by whoever prepares the data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.data.own_code import OwnCode
from harness.design.experiment import DataSettings
from harness.errors import DataError

_WANTED = "uint8 [N, H, W] or [N, C, H, W] from 0 to 255"


def own_images(data: DataSettings, own_code: OwnCode) -> NDArray[np.uint8]:
    """What the user's function gives for `root` and `split`, as uint8 [N, C, S, S]: the middle square of each image.

    Raises OwnPartError for what the function raises, DataError where it gives no such array, or other channels than
    `[data] color` says.
    """
    given = own_code.call(data.source, root=data.root, split=data.split)
    try:
        images = np.asarray(given)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"gives {type(given).__name__}, which is no array ({error})", where=data.source, remedy=f"Return {_WANTED}."
        ) from error
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or 0 in images.shape:
        what = f"gives {images.dtype} {list(images.shape)} instead of {_WANTED}"
        raise DataError(what, where=data.source, remedy=_remedy(images))
    if images.ndim == 3:
        images = images[:, None]
    _check_channels(images, data)
    return _square(images)


def _remedy(images: NDArray[np.generic]) -> str:
    if 0 in images.shape:
        return "There are no images in it."
    if images.ndim not in (3, 4):
        return f"It has {images.ndim} dimensions: number of images, (channels,) height, width."
    low, high = images.min(), images.max()
    return f"Its values go from {low} to {high}: scale them, round them, then .astype(numpy.uint8)."


def _check_channels(images: NDArray[np.uint8], data: DataSettings) -> None:
    found = images.shape[1]
    if found == data.channels:
        return
    if images.shape[3] == data.channels:
        remedy = "Channels come before height and width: return images.transpose(0, 3, 1, 2)."
    else:
        remedy = 'Say color = "gray" (1 channel) or color = "rgb" (3) under [data], or convert the images.'
    raise DataError(
        f"gives images of {found} channel{'s' if found > 1 else ''}, {list(images.shape)}, "
        f'where color = "{"gray" if data.channels == 1 else "rgb"}" says {data.channels}',
        where=data.source,
        remedy=remedy,
    )


def _square(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The middle of images that are no squares, as torch takes them: contiguous and writable."""
    height, width = images.shape[-2:]
    side = min(height, width)
    top, left = round((height - side) / 2), round((width - side) / 2)
    return np.require(images[..., top : top + side, left : left + side], requirements=["C", "W"])
