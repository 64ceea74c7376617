"""The one way from one image size to another, and between uint8 and the networks' range."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from harness.design.factors import Output

RESIZE_FILTER = "bilinear-antialias"
"""What `resize` does, by name. It stands in cache keys, so that another filter makes other arrays."""

_CHUNK_VALUES = 2**24
"""Pixel values that are float32 at one time (64 MiB), however many images are asked for."""

_WIDEST = 4
"""Longest side kept before scaling, in shorter sides: bounds memory, and the square never sees the rest."""


def resize(images: torch.Tensor, size: int) -> torch.Tensor:
    """Images at another resolution: float32 bilinear with antialias, half-pixel centers, rounded, clamped.

    images: uint8 [N, C, H, W], returned as they are where H = W = size; else uint8 [N, C, size, size].
    Raises ValueError for images that are no uint8 batch.
    """
    if images.dim() != 4 or images.is_floating_point():
        raise ValueError(f"need uint8 [N, C, H, W], got {images.dtype} {list(images.shape)}")
    count, channels, height, width = images.shape
    if height == width == size:
        return images
    resized = images.new_empty((count, channels, size, size))
    step = max(1, _CHUNK_VALUES // (channels * max(height * width, size * size)))
    for start in range(0, count, step):
        resized[start : start + step] = _filtered(images[start : start + step], size, size)
    return resized


def resize_and_crop(image: torch.Tensor, size: int) -> torch.Tensor:
    """One image of any shape as a square: shorter side to `size` by the filter of `resize`, center kept.

    image: uint8 [C, H, W], not empty; returns uint8 [C, size, size]. As torchvision's Resize and CenterCrop.
    """
    shorter = min(image.shape[-2:])
    images = _center(image.unsqueeze(0), _WIDEST * shorter)
    height, width = images.shape[-2:]
    if shorter != size:
        images = _filtered(images, size * height // shorter, size * width // shorter)
    return _center(images, size)[0]


def to_float(images: torch.Tensor, output: Output = "tanh") -> torch.Tensor:
    """uint8 [0, 255] as float32 in the range of a generator's output; `to_uint8` is its exact inverse.

    output: tanh [-1, 1], sigmoid [0, 1].
    """
    match output:
        case "tanh":
            return images.float() / 127.5 - 1.0
        case "sigmoid":
            return images.float() / 255.0


def to_uint8(images: torch.Tensor, output: Output = "tanh") -> torch.Tensor:
    """The range of `output`, as in `to_float`, as uint8 [0, 255], rounded to the nearest and clamped."""
    match output:
        case "tanh":
            scaled = (images.float() + 1.0) * 127.5
        case "sigmoid":
            scaled = images.float() * 255.0
    return scaled.round().clamp(0, 255).byte()


def _filtered(images: torch.Tensor, height: int, width: int) -> torch.Tensor:
    from torch.nn.functional import interpolate

    scaled = interpolate(images.float(), size=(height, width), mode="bilinear", antialias=True, align_corners=False)
    return scaled.round_().clamp_(0, 255).byte()


def _center(images: torch.Tensor, longest: int) -> torch.Tensor:
    """The middle of the images, no side longer than `longest` pixels."""
    height, width = (min(side, longest) for side in images.shape[-2:])
    top = round((images.shape[-2] - height) / 2)
    left = round((images.shape[-1] - width) / 2)
    return images[..., top : top + height, left : left + width]
