"""Images side by side in one, and pictures as PNG files that say what they show."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor
from torch.nn.functional import pad

from harness.design.picture_sizes import GAP, SMALLEST_CELL, grid_geometry, too_large
from harness.errors import HarnessError


def require_room(count: int, resolution: int, *, labeled: bool = False) -> None:
    """HarnessError where a picture of so many images would be too large to be opened; to be asked before drawing.

    labeled: with a text under each image.
    """
    if why := too_large(count, resolution, labeled=labeled):
        raise HarnessError(why, remedy="Ask for fewer images.")


def compose_grid(images: Tensor) -> Tensor:
    """Images uint8 [N, C, R, R] side by side, row by row, as one uint8 [C, H, W] on white, nearly square.

    Small images are enlarged by repeating pixels until a side has at least 32. `picture_sizes.grid_geometry` says where
    each lies.
    """
    count, channels, _, resolution = images.shape
    geometry = grid_geometry(count, resolution)
    rows, columns = geometry.rows, geometry.columns
    cells = enlarged(images, SMALLEST_CELL)
    cells = pad(cells, (0, GAP, 0, GAP, 0, 0, 0, rows * columns - count), value=255)
    side = cells.shape[-1]
    grid = cells.view(rows, columns, channels, side, side).permute(2, 0, 3, 1, 4)
    return pad(grid.reshape(channels, rows * side, columns * side), (GAP, 0, GAP, 0), value=255)


def enlarged(images: Tensor, smallest: int) -> Tensor:
    """Images [N, C, R, R] with every pixel repeated by a whole factor, until a side has at least `smallest` pixels."""
    factor = math.ceil(smallest / images.shape[-1])
    return images.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)


def picture_of(pixels: Tensor) -> Image.Image:
    """uint8 [C, H, W] on the CPU as a picture; ValueError for what is neither gray nor RGB."""
    match pixels.shape[0]:
        case 1:
            return Image.fromarray(pixels[0].numpy())
        case 3:
            return Image.fromarray(pixels.permute(1, 2, 0).contiguous().numpy())
        case channels:
            raise ValueError(f"a picture has 1 or 3 channels, not {channels}")


def png_bytes(picture: Image.Image, texts: Mapping[str, str]) -> bytes:
    """The picture as PNG, with `texts` by keyword inside."""
    about = PngInfo()
    for name, text in texts.items():
        about.add_text(name, text)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", pnginfo=about)
    return buffer.getvalue()
