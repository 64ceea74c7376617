"""Two sets of images as an extractor sees them, and every metric between them, each part derived once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from harness.design.metrics import MetricName
from harness.evaluation import classes, frechet, kernel, manifold
from harness.evaluation.classes import Classification
from harness.evaluation.features import Beat, Features, no_beat
from harness.evaluation.frechet import Moments, Reference
from harness.evaluation.manifold import Manifold

Logits = Callable[[Features], NDArray[np.float64]]
"""From features [n, d] to what the extractor says of each class [n, C], before the softmax."""


_ROWS_AT_ONCE = 4096
"""Images whose logits are there at once: 1008 classes of 60,000 images would take half a gigabyte."""


class ImageSet:
    """The features [n, d] of some images, with what metrics need of them.

    features: themselves, or what makes them when they are first needed. between_blocks: called often while this works;
    what it raises ends the work. It may be set anew.
    """

    def __init__(
        self, features: Features | Callable[[], Features], logits: Logits, between_blocks: Beat = no_beat
    ) -> None:
        self.between_blocks = between_blocks
        self._given = features
        self._logits = logits

    @cached_property
    def features(self) -> Features:
        return self._given() if callable(self._given) else self._given

    def like(self, features: Features) -> ImageSet:
        """Other images as the same extractor sees them."""
        return ImageSet(features, self._logits, self.between_blocks)

    def __len__(self) -> int:
        return len(self.features)

    @cached_property
    def moments(self) -> Moments:
        return frechet.moments(self.features)

    @cached_property
    def reference(self) -> Reference:
        """The decomposed moments, for the real side of a distance."""
        return frechet.reference_of(self.moments)

    @cached_property
    def manifold(self) -> Manifold:
        return manifold.manifold_of(self.features, between_blocks=self.between_blocks)

    @cached_property
    def kernel_term(self) -> float:
        """The mean of the kernel over all pairs of these images."""
        return kernel.self_term(self.features, between_blocks=self.between_blocks)

    @cached_property
    def classified(self) -> Classification:
        """What the extractor takes these images for; logits are not kept."""
        return classes.classify(self._blocks_of_logits())

    @cached_property
    def class_counts(self) -> NDArray[np.int64]:
        """Images by the class that the extractor takes them for, [C]."""
        return self.classified.counts

    def _blocks_of_logits(self) -> Iterator[NDArray[np.float64]]:
        for start in range(0, len(self), _ROWS_AT_ONCE):
            self.between_blocks()
            yield self._logits(self.features[start : start + _ROWS_AT_ONCE])


class ImagePair:
    """Generated images against real ones; `real` may serve many pairs.

    What the two sides do together calls `between_blocks` of the generated one.
    """

    def __init__(self, generated: ImageSet, real: ImageSet) -> None:
        self.generated = generated
        self.real = real

    @cached_property
    def fid(self) -> float:
        generated, real = self.generated, self.real
        if frechet.is_rank_deficient(len(generated), generated.features.shape[1]):
            return frechet.distance_of_features(real.reference, generated.features)
        return frechet.distance_to(real.reference, generated.moments)

    @cached_property
    def _neighbors(self) -> manifold.Comparison:
        generated = self.generated
        return manifold.compare(self.real.manifold, generated.manifold, between_blocks=generated.between_blocks)

    def value(self, metric: MetricName) -> float:
        """One metric of these images; HarnessError where there are too few, or a feature is not finite.

        ValueError for a pooled metric, which several pairs give together (`pooled_values`).
        """
        generated, real = self.generated, self.real
        match metric:
            case "fid":
                return self.fid
            case "kid":
                beat = generated.between_blocks
                return kernel.kid(generated.features, real.features, real.kernel_term, between_blocks=beat)
            case "precision" | "recall" | "density" | "coverage" | "nearest_ratio" | "nearest_share":
                return float(getattr(self._neighbors, metric))
            case "inception_score":
                return generated.classified.inception_score
            case "missing_classes":
                return float(classes.missing_classes(generated.class_counts, real.class_counts))
            case "class_kl":
                return classes.class_kl(generated.class_counts, real.class_counts)
            case "fid_pooled" | "fid_infinity":
                raise ValueError(f"{metric} is of several repeats")
            case _:
                assert_never(metric)


def pooled_values(
    metrics: Sequence[MetricName], real: ImageSet, repeats: Sequence[Moments], repeat_fids: Sequence[float]
) -> dict[str, float]:
    """Pooled metrics of the images of several repeats, given by the moments and the FID of each.

    ValueError for a metric of one repeat.
    """
    if not metrics:
        return {}
    pooled = frechet.distance_to(real.reference, frechet.merge_moments(repeats))
    values: dict[str, float] = {}
    for metric in metrics:
        match metric:
            case "fid_pooled":
                values[metric] = pooled
            case "fid_infinity":
                values[metric] = frechet.fid_infinity(pooled, repeat_fids)
            case _:
                raise ValueError(f"{metric} is of one repeat")
    return values
