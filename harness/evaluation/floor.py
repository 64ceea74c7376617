"""Real images against other real images: what a generator without fault would measure under a protocol.

FID is biased upwards with few images and precision stays below 1 even for real ones, so a number is read beside this
one. The images of both sides are drawn apart from the reference and from further real images; where there are too few
for the protocol's number of samples, the largest number that leaves as many on the other side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from harness.design.metrics import METRICS, MetricName
from harness.design.streams import stream_seed
from harness.errors import DamagedFileError
from harness.evaluation.features import Features
from harness.evaluation.image_set import ImagePair, ImageSet
from harness.store import atomic, locks
from harness.store.evaluations import Floor

FLOOR_VERSION = 1
"""Raised when the same images would give another floor."""

SPLITS = 3
"""Random splits into the two sides, each with a value of its own."""

MANY = 10_000
"""Images on a side beyond which all but FID, whose cost grows with their number squared, is taken of one split."""

LOCK_PATIENCE_S = 1.0

SpareFeatures = Callable[[int], Features]
"""Features [n, d] of at most so many real images that are not in the reference."""


def floor_metrics(metrics: Sequence[MetricName]) -> list[MetricName]:
    """Those of `metrics` that two sets of real images have; a pooled FID is read beside the floor of FID."""
    asked = {"fid" if METRICS[metric].pooled else metric for metric in metrics}
    return [metric.name for metric in METRICS.values() if metric.name in asked]


def kept_floor(
    file: Path,
    real: ImageSet,
    spare: SpareFeatures,
    samples: int,
    metrics: Sequence[MetricName],
) -> Floor:
    """The floor of `metrics`, kept in `file` (named by all that it depends on) and made or extended under its lock."""
    while True:
        real.between_blocks()
        with locks.held(file.with_suffix(".lock"), timeout_s=LOCK_PATIENCE_S) as mine:
            if not mine:
                continue  # another process makes it
            kept = _read(file)
            wanted = [metric for metric in floor_metrics(metrics) if kept is None or metric not in kept.values]
            if kept is not None and not wanted:
                return kept
            made = floor_of(real, spare(samples), samples, wanted)
            values = {**(kept.values if kept else {}), **made.values}
            floor = Floor(made.samples, made.reference, values)
            atomic.write_json(file, asdict(floor))
            return floor


def floor_of(
    real: ImageSet,
    spare: Features,
    samples: int,
    metrics: Sequence[MetricName],
) -> Floor:
    """The floor of `metrics` from the reference and `spare` further real images [n, d].

    A metric that is not defined for so few images has an empty list.
    """
    together = np.concatenate([real.features, spare])
    generated = min(samples, max(len(together) - len(real), len(together) // 2))
    reference = min(len(real), len(together) - generated)
    values: dict[str, list[float]] = {metric: [] for metric in metrics}
    for split in range(SPLITS):
        order = _order(split, len(together))
        pair = ImagePair(
            real.like(together[order[:generated]]), real.like(together[order[generated : generated + reference]])
        )
        for metric in metrics:
            real.between_blocks()
            too_costly = split > 0 and metric != "fid" and max(generated, reference) > MANY
            if min(generated, reference) >= METRICS[metric].least and not too_costly:
                values[metric].append(pair.value(metric))
    return Floor(generated, reference, values)


def _order(split: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """A permutation that is the same in every version of numpy, which promises that of raw words alone."""
    words = np.random.PCG64(stream_seed(0, "floor", split)).random_raw(count)
    return np.argsort(words, kind="stable").astype(np.int64)


def _read(file: Path) -> Floor | None:
    try:
        return Floor(**atomic.read_json(file))
    except (FileNotFoundError, DamagedFileError, TypeError):
        return None
