"""Measures a generator under one protocol: images, features, metrics. Knows nothing of GANs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol as Interface

import torch

from harness.data.resize import resize
from harness.design.metrics import CLASS_METRICS, METRICS, MetricName
from harness.evaluation.extractors import Extractor, feature_matrix
from harness.evaluation.frechet import Moments
from harness.evaluation.image_set import ImagePair, ImageSet, pooled_values
from harness.evaluation.protocol import Protocol


class Sampler(Interface):
    """A generator in its protocol's mode, on its device."""

    def images(self, repeat: int, samples: int) -> Iterator[torch.Tensor]:
        """uint8 [n, 1 or 3, H, W] batches, `samples` in all, a pure function of (run's seed, repeat)."""
        ...


@dataclass(frozen=True, eq=False)
class Repeat:
    """What one repeat measured. class_counts: images by class, None where no metric asks for them.

    moments, fid: what pooling needs, None where it was not asked for.
    """

    values: dict[str, float]
    class_counts: list[int] | None
    moments: Moments | None
    fid: float | None


def evaluate(
    sampler: Sampler,
    protocol: Protocol,
    real: ImageSet,
    extractor: Extractor,
    repeat: int,
    metrics: Sequence[MetricName],
    *,
    pooling: bool = False,
) -> Repeat:
    """One repeat's value of each of `metrics` (pooled ones are left to `pool`), all from one pass over its images.

    Every image is brought to the protocol's resolution first. Raises HarnessError where a feature is not
    finite or there are too few images, ValueError where the sampler gives another number of images or images that are
    not uint8.
    """
    batches = (resize(images, protocol.resolution) for images in sampler.images(repeat, protocol.samples))
    features = feature_matrix(extractor, batches)
    if len(features) != protocol.samples:
        raise ValueError(f"the sampler gave {len(features)} images where {protocol.samples} were asked for")
    generated = real.like(features)
    pair = ImagePair(generated, real)
    counted = bool(CLASS_METRICS.intersection(metrics))
    return Repeat(
        values={metric: pair.value(metric) for metric in metrics if not METRICS[metric].pooled},
        class_counts=generated.class_counts.tolist() if counted else None,
        moments=generated.moments if pooling else None,
        fid=pair.fid if pooling else None,
    )


def pool(real: ImageSet, repeats: Sequence[Repeat], metrics: Sequence[MetricName]) -> dict[str, float]:
    """The pooled ones of `metrics`, of repeats that were measured for pooling."""
    moments = [repeat.moments for repeat in repeats if repeat.moments is not None]
    fids = [repeat.fid for repeat in repeats if repeat.fid is not None]
    if len(moments) != len(repeats) or len(fids) != len(repeats):
        raise ValueError("a repeat was not measured for pooling")
    return pooled_values([metric for metric in metrics if METRICS[metric].pooled], real, moments, fids)
