"""Real digits made worse step by step: every metric that should see it sees each step, in order.

Features are the pixels of scikit-learn's digits, so that no network stands between the damage and the number.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from harness.analysis.modes import modes_verdict
from harness.evaluation.classes import Classification, class_kl, classify, missing_classes
from harness.evaluation.frechet import Float64Array, distance_of_features, moments, reference_of
from harness.evaluation.kernel import kid
from harness.evaluation.manifold import compare, manifold_of

CLASSES = [str(digit) for digit in range(10)]


class Digits:
    """One half of the images, shuffled, is real; the other is what gets worse."""

    def __init__(self) -> None:
        images, labels = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(images))
        self.real, self.other = np.split(images[order] / 16.0, [900])
        self.real_labels, self.other_labels = np.split(labels[order], [900])
        self.classifier = LinearDiscriminantAnalysis(shrinkage="auto", solver="lsqr")
        self.classifier.fit(self.real, self.real_labels)

    def logits(self, features: Float64Array) -> Float64Array:
        return np.asarray(self.classifier.decision_function(features), dtype=np.float64)

    def classified(self, features: Float64Array) -> Classification:
        return classify([self.logits(features)])

    def measure(self, generated: Float64Array) -> dict[str, float]:
        found = compare(manifold_of(self.real), manifold_of(generated))
        counts, real_counts = (self.classified(x).counts for x in (generated, self.real))
        return {
            "fid": distance_of_features(reference_of(moments(self.real)), generated),
            "kid": kid(generated, self.real),
            "precision": found.precision,
            "recall": found.recall,
            "density": found.density,
            "coverage": found.coverage,
            "inception_score": self.classified(generated).inception_score,
            "missing_classes": float(missing_classes(counts, real_counts)),
            "class_kl": class_kl(counts, real_counts),
            "nearest_ratio": found.nearest_ratio,
            "nearest_share": found.nearest_share,
        }


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits()


def blurred(digits: Digits, pixels: float) -> Float64Array:
    images = digits.other.reshape(-1, 8, 8)
    return np.asarray(gaussian_filter(images, sigma=(0, pixels, pixels))).reshape(-1, 64)


def noisy(digits: Digits, sd: float) -> Float64Array:
    return digits.other + sd * np.random.default_rng(1).standard_normal(digits.other.shape)


def of_classes(digits: Digits, classes: int) -> Float64Array:
    """So many images in all, whatever the number of classes."""
    return digits.other[digits.other_labels < classes][:160]


def copies(digits: Digits, share: float) -> Float64Array:
    copied = round(share * len(digits.other))
    return np.concatenate([digits.real[:copied], digits.other[copied:]])


def strictly(values: list[float], direction: str) -> bool:
    """Each step worse than the one before."""
    steps = np.diff(values)
    return bool((steps > 0).all() if direction == "up" else (steps < 0).all())


@pytest.mark.parametrize(
    ("damage", "levels", "up", "down"),
    [
        (blurred, [0.0, 0.5, 0.55, 0.6, 0.7], ("fid", "kid", "nearest_ratio"), ("recall", "coverage")),
        (blurred, [0.0, 0.6, 0.7, 0.9, 1.4], ("fid", "kid"), ("precision", "coverage")),
        (noisy, [0.0, 0.05, 0.1, 0.15, 0.2], ("fid", "kid", "nearest_ratio"), ("precision", "density", "coverage")),
        (
            of_classes,
            [10, 7, 4, 2],
            ("fid", "kid", "missing_classes", "class_kl"),
            ("recall", "coverage", "inception_score"),
        ),
        (copies, [0.0, 0.1, 0.4, 0.7], ("nearest_share",), ("nearest_ratio",)),
    ],
)
def test_each_step_of_damage_is_seen(
    digits: Digits,
    damage: Callable[[Digits, float], Float64Array],
    levels: list[float],
    up: tuple[str, ...],
    down: tuple[str, ...],
) -> None:
    found = [digits.measure(damage(digits, level)) for level in levels]
    for metric in up:
        assert strictly([values[metric] for values in found], "up"), metric
    for metric in down:
        assert strictly([values[metric] for values in found], "down"), metric


def test_untouched_images_measure_as_real_ones_should(digits: Digits) -> None:
    found = digits.measure(digits.other)
    assert abs(found["kid"]) < 5e-4
    assert found["nearest_ratio"] == pytest.approx(1.0, abs=0.03)
    assert found["nearest_share"] == pytest.approx(0.05, abs=0.025)
    assert found["density"] == pytest.approx(1.0, abs=0.05)
    assert min(found["precision"], found["recall"], found["coverage"]) > 0.85
    assert found["missing_classes"] == 0


def test_what_single_metrics_do_not_see(digits: Digits) -> None:
    """Why several stand side by side: noise widens the generated balls, a little blur draws images to the middle of the
    real ones, and copies look perfect to all but the nearest-neighbor check."""
    untouched = digits.measure(digits.other)
    noise, blur, copied = (digits.measure(x) for x in (noisy(digits, 0.5), blurred(digits, 0.4), copies(digits, 1.0)))
    assert noise["recall"] == 1.0 > untouched["recall"]
    assert blur["precision"] > untouched["precision"]
    assert blur["density"] > untouched["density"]
    for metric in ("precision", "recall", "density", "coverage"):
        assert copied[metric] > untouched[metric]
    assert copied["fid"] < untouched["fid"]
    assert (copied["nearest_ratio"], copied["nearest_share"]) == (0.0, 1.0)


def test_each_lost_class_is_named(digits: Digits) -> None:
    real = digits.classified(digits.real).counts
    made = [digits.classified(of_classes(digits, classes)).counts for classes in (10, 7, 2)]
    verdicts = [modes_verdict(counts, real, CLASSES) for counts in made]
    assert [verdict.kind for verdict in verdicts] == ["covered", "missing", "collapsed"]
    assert set(verdicts[2].missing) <= set(CLASSES[2:])
