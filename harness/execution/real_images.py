"""Grids of real images for the report, which may not load data itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from harness.data.cache import open_images, shown_indices
from harness.gan.grids import compose_grid, picture_of, png_bytes, require_room
from harness.store import atomic
from harness.store.real_images import RealImages
from harness.store.rundir import ExperimentDirectory


def write_real_images(directory: ExperimentDirectory, grid: RealImages, arrays: Mapping[int, Path]) -> None:
    """Writes a PNG of real images, whole or not at all; arrays: the cached images by resolution.

    Which images is a fixed draw, the same at every resolution. StoreError where the disk refuses.
    """
    require_room(grid.images, grid.resolution)
    images = open_images(arrays[grid.resolution])
    shown = np.asarray(images[shown_indices(len(images), grid.images)])
    picture = picture_of(compose_grid(torch.from_numpy(shown)))
    atomic.write_bytes(directory.real_images(grid.resolution), png_bytes(picture, grid.texts()))
