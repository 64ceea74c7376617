"""Real images against real images: the number that every other one is read beside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.design.metrics import METRICS
from harness.evaluation.floor import SPLITS, floor_metrics, floor_of, kept_floor
from harness.evaluation.image_set import ImagePair, ImageSet

DIMS = 6


def draws(count: int, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(count, DIMS))


def image_set(features: NDArray[np.float64]) -> ImageSet:
    return ImageSet(features, lambda some: some[:, :3])


def test_the_floor_is_what_a_generator_without_fault_measures() -> None:
    """Over many draws of one distribution: the mean FID of fresh images, at the same numbers of images."""
    floors = [
        np.mean(floor_of(image_set(draws(300, seed)), draws(200, 1000 + seed), 200, ["fid"]).values["fid"])
        for seed in range(20)
    ]
    fresh = [
        ImagePair(image_set(draws(200, 5000 + seed)), image_set(draws(300, 9000 + seed))).value("fid")
        for seed in range(20)
    ]
    assert np.mean(floors) == pytest.approx(np.mean(fresh), rel=0.12)
    fewer = np.mean(floor_of(image_set(draws(300, 0)), draws(200, 1), 50, ["fid"]).values["fid"])
    assert fewer > 2 * np.mean(floors)  # the bias of few images, and so another floor


def test_with_enough_further_images_the_numbers_are_the_protocols() -> None:
    floor = floor_of(image_set(draws(60, 0)), draws(40, 1), 40, ["fid", "recall"])
    assert (floor.samples, floor.reference) == (40, 60)
    assert [len(values) for values in floor.values.values()] == [SPLITS, SPLITS]
    assert len(set(floor.values["fid"])) == SPLITS


@pytest.mark.parametrize(
    ("reference", "spare", "samples", "expected"),
    [
        (100, 0, 100, (50, 50)),
        (100, 0, 30, (30, 70)),
        (100, 20, 200, (60, 60)),
        (7, 0, 1000, (3, 4)),
        (200, 1500, 1500, (1500, 200)),
    ],
)
def test_where_images_are_short_the_largest_disjoint_number_is_taken(
    reference: int, spare: int, samples: int, expected: tuple[int, int]
) -> None:
    floor = floor_of(image_set(draws(reference, 0)), draws(spare, 1).reshape(spare, DIMS), samples, ["fid"])
    assert (floor.samples, floor.reference) == expected


def test_the_sides_are_disjoint() -> None:
    """No image is its own nearest neighbor on the other side: not one copy."""
    floor = floor_of(image_set(draws(500, 0)), draws(0, 1).reshape(0, DIMS), 250, ["nearest_share", "nearest_ratio"])
    assert max(floor.values["nearest_share"]) < 0.15
    assert min(floor.values["nearest_ratio"]) > 0.8


def test_a_metric_that_so_few_images_do_not_have_is_empty() -> None:
    floor = floor_of(image_set(draws(8, 0)), draws(0, 1).reshape(0, DIMS), 1000, ["fid", "coverage"])
    assert floor.values["coverage"] == []
    assert len(floor.values["fid"]) == SPLITS


def test_pooled_metrics_are_read_beside_the_floor_of_fid() -> None:
    assert floor_metrics(["fid_infinity", "kid"]) == ["fid", "kid"]
    assert floor_metrics(["fid_pooled", "fid"]) == ["fid"]
    assert floor_metrics(list(METRICS)) == [name for name, metric in METRICS.items() if not metric.pooled]


def test_a_kept_floor_is_only_extended(tmp_path: Path) -> None:
    real, asked = image_set(draws(80, 0)), []

    def spare(count: int) -> NDArray[np.float64]:
        asked.append(count)
        return draws(20, 1)

    first = kept_floor(tmp_path / "floor.json", real, spare, 50, ["fid"])
    again = kept_floor(tmp_path / "floor.json", real, spare, 50, ["fid_infinity", "fid"])
    assert again == first
    assert asked == [50]
    more = kept_floor(tmp_path / "floor.json", real, spare, 50, ["kid"])
    assert more.values["fid"] == first.values["fid"]
    assert set(more.values) == {"fid", "kid"}
    assert asked == [50, 50]
    whole = (tmp_path / "floor.json").read_bytes()
    (tmp_path / "floor.json").write_bytes(whole[:-9])
    assert kept_floor(tmp_path / "floor.json", real, spare, 50, ["fid", "kid"]) == more
