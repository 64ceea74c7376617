"""Two sets of images and all metrics between them: each part derived once, in blocks that can be left."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from harness.design.metrics import METRICS, MetricName
from harness.errors import HarnessError
from harness.evaluation import frechet
from harness.evaluation.frechet import Float64Array, distance_to, fid_infinity, merge_moments
from harness.evaluation.image_set import ImagePair, ImageSet, pooled_values

DIMS = 4
SINGLE: list[MetricName] = [metric.name for metric in METRICS.values() if not metric.pooled]


class Left(Exception):
    """What a beat raises to end the work."""


class Beat:
    """Counts how often it was asked; from the `end`-th time on it ends the work."""

    def __init__(self, end: int | None = None) -> None:
        self.asked = 0
        self._end = end

    def __call__(self) -> None:
        self.asked += 1
        if self._end is not None and self.asked >= self._end:
            raise Left


class Logits:
    """The first three features, and how many rows it was given each time."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, features: Float64Array) -> Float64Array:
        self.rows.append(len(features))
        return features[:, :3]


def features(seed: int, count: int, shift: float = 0.0) -> Float64Array:
    return np.random.default_rng(seed).standard_normal((count, DIMS)) + shift


def plain(features: Float64Array) -> Float64Array:
    return features[:, :3]


def test_every_metric_has_a_value_and_no_beat_changes_it() -> None:
    generated, real = features(0, 60, 0.5), features(1, 80)
    beat = Beat()
    watched = ImagePair(ImageSet(generated, plain, between_blocks=beat), ImageSet(real, plain, between_blocks=beat))
    unwatched = ImagePair(ImageSet(generated, plain), ImageSet(real, plain))
    for metric in SINGLE:
        assert np.isfinite(watched.value(metric))
        assert watched.value(metric) == unwatched.value(metric)
    assert beat.asked > 5
    with pytest.raises(ValueError, match="fid_pooled is of several repeats"):
        watched.value("fid_pooled")


@pytest.mark.parametrize(
    "work",
    [
        lambda some: some.manifold,
        lambda some: some.kernel_term,
        lambda some: some.class_counts,
        lambda some: some.manifold.apart,
    ],
)
def test_a_beat_ends_the_work_of_one_set(work: Callable[[ImageSet], object]) -> None:
    duplicates = np.tile(features(2, 20), (2, 1))  # which `apart` looks for others than
    quiet = Beat()
    work(ImageSet(duplicates, plain, between_blocks=quiet))
    left = ImageSet(duplicates, plain, between_blocks=Beat(end=quiet.asked))
    with pytest.raises(Left):
        work(left)


@pytest.mark.parametrize("metric", ["kid", "precision", "inception_score", "class_kl"])
def test_the_generated_sides_beat_ends_the_work_of_both(metric: MetricName) -> None:
    generated, real = ImageSet(features(0, 60), plain), ImageSet(features(1, 80), plain)
    assert generated.manifold and real.manifold  # so that only what is of both is left to do
    pair = ImagePair(generated, real)
    generated.between_blocks = Beat(end=1)
    with pytest.raises(Left):
        pair.value(metric)
    generated.between_blocks = Beat()
    assert np.isfinite(pair.value(metric))


def test_images_alike_keep_the_beat() -> None:
    beat = Beat()
    assert ImageSet(features(0, 10), plain, between_blocks=beat).like(features(1, 10)).between_blocks is beat


def test_logits_come_in_blocks_each_once() -> None:
    """For Inception Score and counts together; 9000 images take three blocks."""
    logits, real = Logits(), ImageSet(features(1, 30), plain)
    pair = ImagePair(ImageSet(features(0, 9000), logits), real)
    at_once = np.bincount(features(0, 9000)[:, :3].argmax(axis=1), minlength=3)
    np.testing.assert_array_equal(pair.generated.class_counts, at_once)
    assert np.isfinite([pair.value("inception_score"), pair.value("missing_classes"), pair.value("class_kl")]).all()
    assert logits.rows == [4096, 4096, 808]


def test_logits_are_not_kept() -> None:
    some = ImageSet(features(0, 9000), plain)
    assert some.class_counts.sum() == 9000
    found = [value for part in vars(some).values() for value in (part, *getattr(part, "__dict__", {}).values())]
    sizes = [array.size for array in found if isinstance(array, np.ndarray) and array is not some.features]
    assert sizes and max(sizes) == 3


def test_pooled_values_take_the_distance_once(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ImageSet(features(1, 200), plain)
    parts = [ImageSet(features(seed, 50, 0.5), plain) for seed in range(2, 5)]
    fids = [ImagePair(part, real).fid for part in parts]
    together = distance_to(real.reference, merge_moments([part.moments for part in parts]))
    asked: list[int] = []

    def counted(*of: frechet.Moments) -> frechet.Moments:
        asked.append(1)
        return merge_moments(*of)

    monkeypatch.setattr(frechet, "merge_moments", counted)
    found = pooled_values(["fid_infinity", "fid_pooled"], real, [part.moments for part in parts], fids)
    assert found == {"fid_infinity": fid_infinity(together, fids), "fid_pooled": together}
    assert asked == [1]
    assert pooled_values([], real, [], []) == {}


def test_pooled_values_are_of_pooled_metrics_and_of_repeats_enough() -> None:
    real, part = ImageSet(features(1, 20), plain), ImageSet(features(2, 20), plain)
    with pytest.raises(ValueError, match="kid is of one repeat"):
        pooled_values(["fid_pooled", "kid"], real, [part.moments], [1.0])
    assert list(pooled_values(["fid_pooled"], real, [part.moments], [1.0])) == ["fid_pooled"]
    with pytest.raises(HarnessError, match="at least 2 repeats"):
        pooled_values(["fid_infinity"], real, [part.moments], [1.0])
