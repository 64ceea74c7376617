"""The real images of a protocol as its extractor sees them: made once for a whole grid, under locks, kept as files.

Features, the decomposition of their covariance, distances among neighbors, the kernel's mean and class counts each
have a file in the experiment's cache, named by a hash of all that they depend on. They are written whole with their
SHA-256 and never change; a damaged one is made again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
import torch
from numpy.typing import NDArray

from harness.data.resize import resize
from harness.errors import DamagedFileError, HarnessError
from harness.evaluation.extractors import BATCH_SIZE, Extractor, feature_matrix
from harness.evaluation.features import Beat, Features, no_beat, require_features
from harness.evaluation.floor import FLOOR_VERSION
from harness.evaluation.frechet import Reference, reference_of
from harness.evaluation.image_set import ImageSet
from harness.evaluation.kernel import self_term
from harness.evaluation.manifold import Manifold, manifold_of
from harness.evaluation.protocol import Protocol
from harness.store import atomic, locks

_log = logging.getLogger("harness")

REFERENCE_VERSION = 2
"""Raised when the same protocol would give other features or statistics."""

LOCK_PATIENCE_S = 1.0
"""How long what another process makes is waited for between two calls of `between_blocks`."""

RealImages = Callable[[], NDArray[np.uint8]]
"""Gives the protocol's real images, uint8 [N, C, R, R]."""

SpareImages = Callable[[int], NDArray[np.uint8]]
"""Gives at most so many further ones."""

Arrays = Mapping[str, NDArray[Any]]


def no_spare(_count: int) -> NDArray[np.uint8]:
    """No further real images than the reference."""
    return np.empty((0, 1, 1, 1), dtype=np.uint8)


class RealSet(ImageSet):
    """The real images of one protocol. Safe for several processes at a time over one folder.

    images: the reference; spare: at most so many further real images, for the floor. Each is asked for only where its
    features are not kept, and read only where they are needed. between_blocks: called also while another process is
    waited for. Raises StoreError where the folder is not writable, HarnessError where there are fewer than two images.
    """

    def __init__(
        self,
        folder: Path,
        protocol: Protocol,
        images: RealImages,
        extractor: Extractor,
        between_blocks: Beat = no_beat,
        *,
        spare: SpareImages = no_spare,
    ) -> None:
        super().__init__(self._reference_features, extractor.logits, between_blocks)
        self._folder = folder
        self._name = f"{extractor.name}-{reference_key(protocol)[:16]}"
        self._protocol = protocol
        self._extractor = extractor
        self._images = images
        self._spare = spare

    def floor_file(self, samples: int) -> Path:
        """Where the floor under protocols of so many samples is kept."""
        return self._folder / f"floor-{self._name}-{samples}-{FLOOR_VERSION}.json"

    def spare_features(self, count: int) -> Features:
        """Features of at most `count` further real images."""
        return self._kept(f"spare{count}", lambda: {"features": self._seen(self._spare(count))})["features"]

    @cached_property
    def reference(self) -> Reference:
        kept = self._kept("reference", lambda: _plain(reference_of(self.moments)))
        return Reference(mean=kept["mean"], factor=kept["factor"], trace=float(kept["trace"][0]))

    @cached_property
    def manifold(self) -> Manifold:
        made = self._kept("neighbors", self._radii)
        return Manifold(self.features, {int(k): radii for k, radii in made.items()}, self.between_blocks)

    @cached_property
    def kernel_term(self) -> float:
        return float(self._kept("kernel", self._kernel_term)["term"][0])

    @cached_property
    def class_counts(self) -> NDArray[np.int64]:
        return self._kept("classes", lambda: {"counts": self.classified.counts})["counts"]

    def _reference_features(self) -> Features:
        return self._kept("features", lambda: {"features": self._seen(self._images(), least=2)})["features"]

    def _radii(self) -> Arrays:
        made = manifold_of(self.features, between_blocks=self.between_blocks)
        return {str(k): radii for k, radii in made.radii.items()}

    def _kernel_term(self) -> Arrays:
        return {"term": np.array([self_term(self.features, between_blocks=self.between_blocks)])}

    def _seen(self, images: NDArray[np.uint8], least: int = 0) -> Features:
        """Features of real images, which are brought to the protocol's resolution first."""
        if len(images) < least:
            raise HarnessError(
                f"the reference has {len(images)} real images; a covariance needs at least {least}",
                remedy="Use more images, or a larger `reference`.",
            )

        def batches() -> Iterator[torch.Tensor]:
            for start in range(0, len(images), BATCH_SIZE):
                self.between_blocks()
                # Copied: the array may be a read-only memory map, which torch refuses to wrap.
                batch = torch.from_numpy(np.array(images[start : start + BATCH_SIZE]))
                yield resize(batch, self._protocol.resolution)

        features = feature_matrix(self._extractor, batches())
        if len(images):
            require_features(features, least=least, what="the reference")
        return features

    def _kept(self, what: str, make: Callable[[], Arrays]) -> Arrays:
        """The arrays of one file, made under its lock where they are missing or damaged."""
        file = self._folder / f"{what}-{self._name}.safetensors"
        while True:
            self.between_blocks()
            with locks.held(file.with_suffix(".lock"), timeout_s=LOCK_PATIENCE_S) as mine:
                if not mine:
                    continue  # another process makes them
                try:
                    return _arrays(atomic.read_hashed(file))
                except (FileNotFoundError, DamagedFileError) as error:
                    if isinstance(error, DamagedFileError):
                        _log.warning("%s is damaged or unfinished; it is made again", file)
                atomic.remove_leftovers(file)
                arrays = {name: np.ascontiguousarray(array) for name, array in make().items()}
                atomic.write_hashed(file, safetensors.numpy.save(arrays))
                return arrays


def reference_key(protocol: Protocol) -> str:
    """Hash of what real features depend on: not the generator's side, so that protocols share them."""
    depends_on: dict[str, Any] = {
        "version": REFERENCE_VERSION,
        "extractor": protocol.extractor,
        "extractor_sha256": protocol.extractor_sha256,
        "resolution": protocol.resolution,
        "resize": protocol.resize,
        "rounding": protocol.rounding,
        "precision": protocol.precision,
        "data_sha256": protocol.data_sha256,
        "reference": protocol.reference,
        "channels": protocol.channels,
    }
    return atomic.sha256_of(atomic.canonical_json(depends_on))


def _plain(reference: Reference) -> Arrays:
    return {"mean": reference.mean, "factor": reference.factor, "trace": np.array([reference.trace])}


def _arrays(content: bytes) -> Arrays:
    try:
        arrays: Arrays = safetensors.numpy.load(content)
    except safetensors.SafetensorError as error:
        raise DamagedFileError(f"not features or statistics: {error}", remedy="They are made again.") from error
    return arrays
