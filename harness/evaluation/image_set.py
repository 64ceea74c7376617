"""Two sets of images as an extractor sees them, and every metric between them, each part derived once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from harness.design.metrics import MetricName
from harness.evaluation import classes, frechet, kernel, manifold
from harness.evaluation.features import Features
from harness.evaluation.frechet import Moments, Reference
from harness.evaluation.manifold import Manifold

Logits = Callable[[Features], NDArray[np.float64]]
"""From features [n, d] to what the extractor says of each class [n, C], before the softmax."""


class ImageSet:
    """The features [n, d] of some images, with what metrics need of them."""

    def __init__(self, features: Features, logits: Logits) -> None:
        self.features = features
        self._logits = logits

    def like(self, features: Features) -> ImageSet:
        """Other images as the same extractor sees them."""
        return ImageSet(features, self._logits)

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
        return manifold.manifold_of(self.features)

    @cached_property
    def kernel_term(self) -> float:
        """The mean of the kernel over all pairs of these images."""
        return kernel.self_term(self.features)

    @cached_property
    def logits(self) -> NDArray[np.float64]:
        return self._logits(self.features)

    @cached_property
    def class_counts(self) -> NDArray[np.int64]:
        """Images by the class that the extractor takes them for, [C]."""
        return classes.class_counts(self.logits)


class ImagePair:
    """Generated images against real ones; `real` may serve many pairs."""

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
    def _neighbours(self) -> manifold.Comparison:
        return manifold.compare(self.real.manifold, self.generated.manifold)

    def value(self, metric: MetricName) -> float:
        """One metric of these images; HarnessError where there are too few, or a feature is not finite.

        ValueError for a pooled metric, which several pairs give together (`pooled_value`).
        """
        generated, real = self.generated, self.real
        match metric:
            case "fid":
                return self.fid
            case "kid":
                return kernel.kid(generated.features, real.features, real.kernel_term)
            case "precision" | "recall" | "density" | "coverage" | "nearest_ratio" | "nearest_share":
                return float(getattr(self._neighbours, metric))
            case "inception_score":
                return classes.inception_score(generated.logits)
            case "missing_classes":
                return float(classes.missing_classes(generated.class_counts, real.class_counts))
            case "class_kl":
                return classes.class_kl(generated.class_counts, real.class_counts)
            case "fid_pooled" | "fid_infinity":
                raise ValueError(f"{metric} is of several repeats")
            case _:
                assert_never(metric)


def pooled_value(metric: MetricName, real: ImageSet, repeats: list[Moments], repeat_fids: list[float]) -> float:
    """A pooled metric of the images of several repeats, given by the moments and the FID of each."""
    pooled = frechet.distance_to(real.reference, frechet.merge_moments(repeats))
    match metric:
        case "fid_pooled":
            return pooled
        case "fid_infinity":
            return frechet.fid_infinity(pooled, repeat_fids)
        case _:
            raise ValueError(f"{metric} is of one repeat")
