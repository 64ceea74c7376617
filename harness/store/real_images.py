"""Grids of real images that stand beside sample grids: what an experiment should have, and whether it is there.

Written by the process that prepares the experiment, under its lock; each lies in `ExperimentDirectory.real_images`
and says in its PNG text which data it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.design.expansion import Plan
from harness.store.manifest import ExperimentManifest
from harness.store.png import picture_texts
from harness.store.reading import read_bytes
from harness.store.rundir import ExperimentDirectory


@dataclass(frozen=True)
class RealImages:
    """`images` training images of the data with this content hash, at `resolution` pixels, drawn once for all."""

    resolution: int
    images: int
    data_sha256: str

    def texts(self) -> dict[str, str]:
        """What its PNG text says."""
        return {
            "harness:real_images": str(self.images),
            "harness:resolution": str(self.resolution),
            "harness:data_sha256": self.data_sha256,
        }


def asked_real_images(plan: Plan, manifest: ExperimentManifest | None) -> tuple[RealImages, ...]:
    """One grid for each resolution of a cell, with as many images as sample grids have, or as there are.

    Empty before the data were looked up.
    """
    declared = plan.experiment.data.declared()
    sha256 = manifest.data_sha256_of(declared) if manifest else None
    if manifest is None or sha256 is None:
        return ()
    images = min(plan.experiment.report.samples, manifest.image_count_of(declared) or plan.experiment.report.samples)
    resolutions = sorted({cell.hyperparameters.resolution for cell in plan.cells})
    return tuple(RealImages(resolution, images, sha256) for resolution in resolutions)


def missing_real_images(directory: ExperimentDirectory, asked: Sequence[RealImages]) -> tuple[RealImages, ...]:
    """Those of `asked` that are not there, not whole, or of other data; StoreError where one is no file."""
    return tuple(grid for grid in asked if not _is_there(directory.real_images(grid.resolution), grid))


def _is_there(path: Path, grid: RealImages) -> bool:
    try:
        texts = picture_texts(read_bytes(path))
    except FileNotFoundError:
        return False
    return texts is not None and grid.texts().items() <= texts.items()
