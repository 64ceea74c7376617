"""Measures one generator under one protocol: images, features, metrics. Knows nothing of GANs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, assert_never
from typing import Protocol as Interface

import numpy as np
import torch
from numpy.typing import NDArray

from harness.data.resize import resize
from harness.design.experiment import MetricName
from harness.errors import DamagedFileError, HarnessError
from harness.evaluation.extractors import BATCH_SIZE, Extractor, feature_matrix
from harness.evaluation.frechet import Reference, distance_to, moments, reference_of
from harness.evaluation.protocol import Protocol
from harness.store import atomic, locks

_log = logging.getLogger("harness")

REFERENCE_VERSION = 1
"""Raised when the same protocol would give other reference statistics."""

LOCK_PATIENCE_S = 1.0
"""How long statistics that another process makes are waited for between two calls of `between_batches`."""

RealImages = Callable[[], NDArray[np.uint8]]
"""Gives the protocol's real images, uint8 [N, C, R, R]; called only where their statistics are not cached."""


class Sampler(Interface):
    """A generator in its protocol's mode, on its device."""

    def images(self, repeat: int, samples: int) -> Iterator[torch.Tensor]:
        """uint8 [n, 1 or 3, H, W] batches, `samples` in all, a pure function of (run's seed, repeat)."""
        ...


def reference_statistics(
    cache_folder: Path,
    protocol: Protocol,
    real_images: RealImages,
    extractor: Extractor,
    between_batches: Callable[[], None] = lambda: None,
) -> Reference:
    """Statistics of the protocol's real images, computed once for all runs and kept in `cache_folder`.

    The file's name is a hash of all that they depend on; a damaged file is made again. Made under a lock.
    between_batches: called often while this works or waits for another process; what it raises ends the work.
    Raises StoreError where the folder is not writable, HarnessError where there are fewer than two images.
    """
    file = cache_folder / f"reference-{extractor.name}-{_reference_key(protocol)[:16]}.safetensors"
    while True:
        between_batches()
        with locks.held(file.with_suffix(".lock"), timeout_s=LOCK_PATIENCE_S) as mine:
            if not mine:
                continue  # another process makes them
            try:
                return Reference.from_bytes(atomic.read_hashed(file))
            except (FileNotFoundError, DamagedFileError) as error:
                if isinstance(error, DamagedFileError):
                    _log.warning("%s is damaged or unfinished; it is made again", file)
                reference = _measured_reference(protocol, real_images(), extractor, between_batches)
                atomic.write_hashed(file, reference.to_bytes())
                return reference


def evaluate(
    sampler: Sampler,
    protocol: Protocol,
    reference: Reference,
    extractor: Extractor,
    repeats: range,
    metrics: Sequence[MetricName],
) -> dict[str, list[float]]:
    """values[metric][i] of repeat repeats[i], for each of `metrics`; callers append them to what is stored.

    Every image is brought to the protocol's resolution first. Raises HarnessError where a feature is not
    finite, ValueError where the sampler gives another number of images or images that are not uint8.
    """
    values: dict[str, list[float]] = {metric: [] for metric in metrics}
    for repeat in repeats:
        images = _at_resolution(sampler.images(repeat, protocol.samples), protocol.resolution)
        features = feature_matrix(extractor, images)
        if len(features) != protocol.samples:
            raise ValueError(f"the sampler gave {len(features)} images where {protocol.samples} were asked for")
        for metric in metrics:
            values[metric].append(_measured(metric, features, reference))
    return values


def _measured(metric: MetricName, features: NDArray[np.float64], reference: Reference) -> float:
    match metric:
        case "fid":
            return distance_to(reference, moments(features))
        case _:
            assert_never(metric)


def _reference_key(protocol: Protocol) -> str:
    """Hash of what real statistics depend on: not the generator's side, so that protocols share them."""
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


def _measured_reference(
    protocol: Protocol, images: NDArray[np.uint8], extractor: Extractor, between_batches: Callable[[], None]
) -> Reference:
    if len(images) < 2:
        raise HarnessError(
            f"the reference has {len(images)} real images; a covariance needs at least 2",
            remedy="Use more images, or a larger `reference`.",
        )

    def batches() -> Iterator[torch.Tensor]:
        for start in range(0, len(images), BATCH_SIZE):
            between_batches()
            # Copied: the array may be a read-only memory map, which torch refuses to wrap.
            yield torch.from_numpy(np.array(images[start : start + BATCH_SIZE]))

    features = feature_matrix(extractor, _at_resolution(batches(), protocol.resolution))
    return reference_of(moments(features))


def _at_resolution(batches: Iterator[torch.Tensor], resolution: int) -> Iterator[torch.Tensor]:
    return (resize(images, resolution) for images in batches)
