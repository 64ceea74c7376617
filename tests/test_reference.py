"""Real images as an extractor sees them: made once, kept whole, shared by all runs."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_parts import digits_extractor, digits_protocol, shuffled_digits
from numpy.typing import NDArray

from harness.errors import HarnessError, StoreError
from harness.evaluation.extractors import Extractor
from harness.evaluation.protocol import Protocol
from harness.evaluation.reference import RealSet


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    return shuffled_digits()


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return digits_extractor()


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return digits_protocol()


def not_again() -> NDArray[np.uint8]:
    raise AssertionError("all of it is kept")


def use_all(real: RealSet) -> None:
    """Has everything made that is kept."""
    assert len(real) and real.reference.trace > 0 and real.manifold.radii and real.kernel_term > 0
    assert real.class_counts.sum() == len(real) and len(real.spare_features(5)) == 5


def test_everything_is_made_once(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    first = RealSet(tmp_path, protocol, lambda: digits[:500], extractor, spare=lambda count: digits[500 : 500 + count])
    use_all(first)
    files = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.safetensors")}
    assert sorted(file.name.split("-")[0] for file in files) == [
        "classes",
        "features",
        "kernel",
        "neighbors",
        "reference",
        "spare5",
    ]
    again = RealSet(tmp_path, protocol, not_again, extractor)
    use_all(again)
    np.testing.assert_array_equal(again.features, first.features)
    np.testing.assert_array_equal(again.reference.factor, first.reference.factor)
    np.testing.assert_array_equal(again.manifold.radii[3], first.manifold.radii[3])
    assert again.kernel_term == first.kernel_term
    assert {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.safetensors")} == files
    # What only the generator's side depends on shares the files.
    use_all(
        RealSet(tmp_path, replace(protocol, samples=7, generator_mode="train", batch_size=32), not_again, extractor)
    )


@pytest.mark.parametrize(
    "change",
    [
        {"extractor_sha256": "cd" * 32},
        {"resolution": 12},
        {"resize": "nearest"},
        {"precision": "bfloat16 features, float64 statistics"},
        {"data_sha256": "cd" * 32},
        {"reference": 100},
        {"channels": 1},
    ],
)
def test_another_protocol_has_others(
    change: dict[str, str | int], digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    assert len(RealSet(tmp_path, protocol, lambda: digits[:90], extractor)) == 90
    other = RealSet(tmp_path, replace(protocol, **change), lambda: digits[:40], extractor)
    assert other.reference.factor.shape[1] == 39


@pytest.mark.parametrize("what", ["features", "reference", "neighbors", "kernel", "classes", "spare5"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "no checksum"])
def test_what_is_damaged_is_made_again(
    what: str, damage: str, digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    whole = RealSet(tmp_path, protocol, lambda: digits[:40], extractor, spare=lambda count: digits[:count])
    use_all(whole)
    (file,) = tmp_path.glob(f"{what}-*.safetensors")
    content = bytearray(file.read_bytes())
    if damage == "no checksum":
        file.with_name(file.name + ".sha256").unlink()
    else:
        content[-2] ^= 1
        file.write_bytes(content if damage == "flip" else content[:-3])
    again = RealSet(tmp_path, protocol, lambda: digits[:40], extractor, spare=lambda count: digits[:count])
    use_all(again)
    np.testing.assert_array_equal(again.features, whole.features)
    np.testing.assert_array_equal(again.reference.factor, whole.reference.factor)
    assert again.kernel_term == whole.kernel_term
    use_all(RealSet(tmp_path, protocol, not_again, extractor))


def test_several_at_a_time_make_it_once(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    made: list[int] = []

    def images() -> NDArray[np.uint8]:
        made.append(1)
        return digits[:200]

    def look() -> None:
        use_all(RealSet(tmp_path, protocol, images, extractor, spare=lambda count: digits[:count]))

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_what_is_asked_between_blocks_may_end_the_work(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    calls = iter(range(3))

    def twice() -> None:
        if next(calls) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        len(RealSet(tmp_path, protocol, lambda: digits, extractor, twice))
    assert not list(tmp_path.glob("*.safetensors"))
    assert len(RealSet(tmp_path, protocol, lambda: digits, extractor)) == 1797  # the lock was let go


def test_a_read_only_memory_map_is_a_reference(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    np.save(tmp_path / "digits.npy", digits[:100])
    mapped = np.load(tmp_path / "digits.npy", mmap_mode="r")
    assert RealSet(tmp_path, protocol, lambda: mapped, extractor).reference.factor.shape == (64, 64)


def test_features_that_are_not_finite_are_an_error_in_words(
    digits: NDArray[np.uint8], protocol: Protocol, tmp_path: Path
) -> None:
    broken = Extractor(
        "broken",
        feature_dim=2,
        classes=("a", "b"),
        network=lambda images: torch.full((len(images), 2), torch.nan),
        last_layer=lambda features: features,
        device=torch.device("cpu"),
        dtype=torch.float32,
    )
    with pytest.raises(HarnessError, match="NaN or infinity"):
        len(RealSet(tmp_path, protocol, lambda: digits[:10], broken))
    assert not list(tmp_path.glob("*.safetensors"))


def test_too_few_real_images_and_no_folder_are_errors_in_words(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    with pytest.raises(HarnessError, match="reference has 1 real images"):
        len(RealSet(tmp_path, protocol, lambda: digits[:1], extractor))
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        len(RealSet(tmp_path / "file", protocol, lambda: digits, extractor))


def test_features_are_read_only_where_they_are_needed(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    """A worker that finds the decomposition holds no features: half a gigabyte of 60,000 images."""
    use_all(RealSet(tmp_path, protocol, lambda: digits[:99], extractor, spare=lambda count: digits[:count]))
    (file,) = tmp_path.glob("features-*.safetensors")
    file.unlink()
    real = RealSet(tmp_path, protocol, not_again, extractor)
    assert real.reference.trace > 0 and real.kernel_term > 0 and real.class_counts.sum() == 99


def test_what_a_killed_writer_left_is_removed(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    use_all(RealSet(tmp_path, protocol, lambda: digits[:99], extractor, spare=lambda count: digits[:count]))
    (file,) = tmp_path.glob("features-*.safetensors")
    leftover = file.with_name(f".{file.name}.1234.tmp")
    leftover.write_bytes(b"half of it")
    file.unlink()
    assert len(RealSet(tmp_path, protocol, lambda: digits[:99], extractor)) == 99
    assert not leftover.exists()


def test_the_beat_reaches_what_is_derived(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    """Whoever works for long is seen to work: each part calls it, also in what is made of these images."""
    real = RealSet(tmp_path, protocol, lambda: digits[:200], extractor)
    assert len(real) == 200
    for part in ("manifold", "kernel_term", "class_counts"):
        calls: list[int] = []
        real.between_blocks = lambda calls=calls: calls.append(1)
        assert getattr(real, part) is not None
        assert len(calls) > 1, part
    calls.clear()
    assert real.like(real.features[:50]).kernel_term > 0
    assert calls
