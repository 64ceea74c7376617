"""What an `[[evaluation]]` can measure: the one table that files, MLflow, tables and figures name metrics by. Pure.

What each number means, its bias and when not to trust it: docs/evaluation.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

MetricName = Literal[
    "fid",
    "fid_pooled",
    "fid_infinity",
    "kid",
    "precision",
    "recall",
    "density",
    "coverage",
    "inception_score",
    "missing_classes",
    "class_kl",
    "nearest_ratio",
    "nearest_share",
]

PRECISION_NEIGHBORS = 3
"""k of precision and recall (Kynkäänniemi et al. 2019)."""

DENSITY_NEIGHBORS = 5
"""k of density and coverage (Naeem et al. 2020)."""


@dataclass(frozen=True)
class Metric:
    """title: as people read it; better: which way is closer to the real images ("neither": it depends, see `about`).

    least: images of either side below which it is not defined. pooled: one value of all repeats' images together,
    not one for each repeat.
    """

    name: MetricName
    title: str
    better: Literal["lower", "higher", "neither"]
    least: int
    about: str
    pooled: bool = False

    @property
    def arrow(self) -> str:
        """Which way is better, as tables show it; empty where it depends."""
        return {"lower": "↓", "higher": "↑", "neither": ""}[self.better]


_TABLE = (
    Metric("fid", "FID", "lower", 2, "squared Fréchet distance of Gaussians fitted to the features"),
    Metric("fid_pooled", "Pooled FID", "lower", 2, "FID of all repeats' images together", pooled=True),
    Metric(
        "fid_infinity", "FID∞", "lower", 2, "FID extrapolated to infinitely many generated images", pooled=True
    ),
    Metric("kid", "KID", "lower", 2, "squared maximum mean discrepancy with a cubic kernel, estimated without bias"),
    Metric(
        "precision", "Precision", "higher", PRECISION_NEIGHBORS + 1,
        "share of generated images within a real image's neighborhood",
    ),
    Metric(
        "recall", "Recall", "higher", PRECISION_NEIGHBORS + 1,
        "share of real images within a generated image's neighborhood",
    ),
    Metric(
        "density", "Density", "higher", DENSITY_NEIGHBORS + 1,
        f"real neighborhoods that a generated image lies in, over {DENSITY_NEIGHBORS}, mean",
    ),
    Metric(
        "coverage", "Coverage", "higher", DENSITY_NEIGHBORS + 1,
        "share of real images' neighborhoods that a generated image lies in",
    ),
    Metric(
        "inception_score", "Inception Score", "higher", 2,
        "exp of the mean KL of an image's class probabilities to their mean over the generated images",
    ),
    Metric("missing_classes", "Missing classes", "lower", 2, "classes of the real images that no generated one is of"),
    Metric("class_kl", "Class KL", "lower", 2, "KL of the generated images' class shares to the real ones', in nats"),
    Metric(
        "nearest_ratio", "1-NN ratio", "neither", 2,
        "median distance of a generated image to the nearest training image, over that of a training image to its "
        "nearest other; far below 1: copies",
    ),
    Metric(
        "nearest_share", "Nearer than real", "neither", 2,
        "share of generated images nearer to a training image than 95 % of training images are to their nearest other; "
        "0.05 is to be expected",
    ),
)  # fmt: skip

METRICS: dict[str, Metric] = {metric.name: metric for metric in _TABLE}
"""Every metric by name, in the order in which tables show them."""

CLASS_METRICS = frozenset({"missing_classes", "class_kl"})
"""Metrics whose class counts are stored with them."""

LOGIT_METRICS = CLASS_METRICS | {"inception_score"}
"""Metrics that need the extractor's classes."""

NEAREST_METRICS = frozenset({"nearest_ratio", "nearest_share"})
"""Metrics that compare with every training image, so that a draw of them will not do."""

assert tuple(METRICS) == get_args(MetricName)
