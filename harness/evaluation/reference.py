"""The real images of a protocol as its extractor sees them: made once for a whole grid, under locks, kept as files.

Features, the decomposition of their covariance, distances among neighbors and the kernel's mean each have a file in
the experiment's cache, named by a hash of all that they depend on. They are written whole with their SHA-256 and never
change; a damaged one is made again.
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
from harness.evaluation.features import Features, require_features
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
"""How long what another process makes is waited for between two calls of `between_batches`."""

RealImages = Callable[[], NDArray[np.uint8]]
"""Gives the protocol's real images, uint8 [N, C, R, R]; called only where their features are not cached."""

Arrays = Mapping[str, NDArray[Any]]


class RealSet(ImageSet):
    """The real images of one protocol. Safe for several processes at a time over one folder.

    between_batches: called often while this works or waits for another process; what it raises ends the work.
    Raises StoreError where the folder is not writable, HarnessError where there are fewer than two images.
    """

    def __init__(
        self,
        folder: Path,
        protocol: Protocol,
        images: RealImages,
        extractor: Extractor,
        between_batches: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder = folder
        self._name = f"{extractor.name}-{reference_key(protocol)[:16]}"
        self.between_batches = between_batches
        features = self._kept(
            "features", lambda: {"features": _features(protocol, images(), extractor, between_batches)}
        )
        super().__init__(features["features"], extractor.logits)

    def floor_file(self, samples: int) -> Path:
        """Where the floor under protocols of so many samples is kept."""
        return self._folder / f"floor-{self._name}-{samples}-{FLOOR_VERSION}.json"

    @cached_property
    def reference(self) -> Reference:
        kept = self._kept("reference", lambda: _plain(reference_of(self.moments)))
        return Reference(mean=kept["mean"], factor=kept["factor"], trace=float(kept["trace"][0]))

    @cached_property
    def manifold(self) -> Manifold:
        kept = self._kept(
            "neighbours", lambda: {str(k): radii for k, radii in manifold_of(self.features).radii.items()}
        )
        return Manifold(self.features, {int(k): radii for k, radii in kept.items()})

    @cached_property
    def kernel_term(self) -> float:
        return float(self._kept("kernel", lambda: {"term": np.array([self_term(self.features)])})["term"][0])

    def _kept(self, what: str, make: Callable[[], Arrays]) -> Arrays:
        """The arrays of one file, made under its lock where they are missing or damaged."""
        file = self._folder / f"{what}-{self._name}.safetensors"
        while True:
            self.between_batches()
            with locks.held(file.with_suffix(".lock"), timeout_s=LOCK_PATIENCE_S) as mine:
                if not mine:
                    continue  # another process makes them
                try:
                    return _arrays(atomic.read_hashed(file))
                except (FileNotFoundError, DamagedFileError) as error:
                    if isinstance(error, DamagedFileError):
                        _log.warning("%s is damaged or unfinished; it is made again", file)
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
    }
    return atomic.sha256_of(atomic.canonical_json(depends_on))


def real_features(
    images: NDArray[np.uint8], resolution: int, extractor: Extractor, between_batches: Callable[[], None]
) -> Features:
    """Features [N, d] of real images uint8 [N, C, H, W], brought to `resolution` first."""

    def batches() -> Iterator[torch.Tensor]:
        for start in range(0, len(images), BATCH_SIZE):
            between_batches()
            # Copied: the array may be a read-only memory map, which torch refuses to wrap.
            yield resize(torch.from_numpy(np.array(images[start : start + BATCH_SIZE])), resolution)

    return feature_matrix(extractor, batches())


def _features(
    protocol: Protocol, images: NDArray[np.uint8], extractor: Extractor, between_batches: Callable[[], None]
) -> Features:
    if len(images) < 2:
        raise HarnessError(
            f"the reference has {len(images)} real images; a covariance needs at least 2",
            remedy="Use more images, or a larger `reference`.",
        )
    features = real_features(images, protocol.resolution, extractor, between_batches)
    require_features(features, least=2, what="the reference")
    return features


def _plain(reference: Reference) -> Arrays:
    return {"mean": reference.mean, "factor": reference.factor, "trace": np.array([reference.trace])}


def _arrays(content: bytes) -> Arrays:
    try:
        arrays: Arrays = safetensors.numpy.load(content)
    except safetensors.SafetensorError as error:
        raise DamagedFileError(f"not features or statistics: {error}", remedy="They are made again.") from error
    return arrays
