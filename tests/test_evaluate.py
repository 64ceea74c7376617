"""From images to a number: order of badness, what changes nothing, and the cache of reference statistics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from harness.data.resize import resize
from harness.data.sources import load
from harness.design.experiment import DataSettings, EvaluationSettings, Experiment
from harness.design.factors import Hyperparameters
from harness.design.streams import stream_seed
from harness.errors import HarnessError, StoreError
from harness.evaluation.evaluate import evaluate, reference_statistics
from harness.evaluation.extractors import Extractor, load_extractor, weights_sha256
from harness.evaluation.frechet import frechet_distance, moments
from harness.evaluation.protocol import Protocol, protocol_of

SETTINGS = EvaluationSettings(extractor="digits", samples=300)


@pytest.fixture(scope="module")
def digits() -> NDArray[np.uint8]:
    """scikit-learn's digits at 16x16, shuffled: uint8 [1797, 1, 16, 16]."""
    images = load(DataSettings(source="digits"), 16).images
    return images[np.random.default_rng(0).permutation(len(images))]


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return load_extractor(SETTINGS, torch.device("cpu"))


@pytest.fixture(scope="module")
def protocol() -> Protocol:
    return protocol_of(
        SETTINGS,
        Experiment(name="e", baseline=Hyperparameters(resolution=16)),
        data_sha256="ab" * 32,
        extractor_sha256=weights_sha256(SETTINGS),
        batch_size=64,
    )


@dataclass
class NoisySampler:
    """Stands where a generator stands: digits by the repeat's stream, with noise of `noise` gray levels."""

    real: NDArray[np.uint8]
    noise: float
    batch_size: int = 100
    surplus: int = 0
    asked: list[int] = field(default_factory=list)

    def images(self, repeat: int, samples: int) -> Iterator[torch.Tensor]:
        self.asked.append(repeat)
        generator = torch.Generator().manual_seed(stream_seed(0, "evaluation", repeat))
        chosen = torch.randperm(len(self.real), generator=generator)[: samples + self.surplus]
        images = torch.from_numpy(self.real)[chosen].float()
        noisy = images + self.noise * torch.randn(images.shape, generator=generator)
        yield from noisy.round().clamp(0, 255).to(torch.uint8).split(self.batch_size)


def fids(
    sampler: NoisySampler, protocol: Protocol, extractor: Extractor, cache: Path, repeats: range = range(1)
) -> list[float]:
    """FIDs against the first half of the digits."""
    reference = reference_statistics(cache, protocol, lambda: halves(sampler.real)[0], extractor)
    real = replace(sampler, real=halves(sampler.real)[1], asked=sampler.asked)
    return evaluate(real, protocol, reference, extractor, repeats, ("fid",))["fid"]


def halves(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return images[: len(images) // 2], images[len(images) // 2 :]


def test_more_noise_is_worse_and_real_digits_are_best(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    by_noise = [fids(NoisySampler(digits, noise), protocol, extractor, tmp_path)[0] for noise in (0, 32, 64, 128, 1000)]
    assert by_noise == sorted(by_noise)
    assert by_noise[0] < 0.05 * by_noise[-1]  # two sets of real digits against digits and noise
    assert by_noise[0] > 0


def test_a_value_is_the_distance_of_features_at_the_protocols_resolution(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    sampler = NoisySampler(digits, 8)
    coarse = replace(protocol, resolution=12)
    value = fids(sampler, coarse, extractor, tmp_path)[0]
    real, generated = (
        halves(digits)[0],
        next(replace(sampler, real=halves(digits)[1], batch_size=300).images(0, 300)),
    )
    expected = frechet_distance(
        *(moments(extractor.features(resize(images, 12))) for images in (torch.from_numpy(real), generated))
    )
    assert value == pytest.approx(expected, rel=1e-9)
    assert value != pytest.approx(fids(sampler, protocol, extractor, tmp_path)[0], rel=1e-3)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 300])
def test_batch_size_changes_no_bit(
    batch_size: int, digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    sampler = NoisySampler(digits, 16, batch_size=batch_size)
    assert fids(sampler, protocol, extractor, tmp_path) == fids(NoisySampler(digits, 16), protocol, extractor, tmp_path)


def test_more_repeats_only_add(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    sampler = NoisySampler(digits, 16)
    stored = fids(sampler, protocol, extractor, tmp_path, range(2))
    added = fids(sampler, protocol, extractor, tmp_path, range(2, 4))
    assert sampler.asked == [0, 1, 2, 3]
    assert stored + added == fids(NoisySampler(digits, 16), protocol, extractor, tmp_path, range(4))
    assert len(set(stored + added)) == 4


def test_reference_statistics_are_made_once(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    first = reference_statistics(tmp_path, protocol, lambda: digits, extractor)

    def not_again() -> NDArray[np.uint8]:
        raise AssertionError("the statistics are cached")

    again = reference_statistics(tmp_path, protocol, not_again, extractor)
    np.testing.assert_array_equal(again.factor, first.factor)
    # What only the generator's side depends on shares the file.
    other_side = replace(protocol, samples=7, generator_mode="train", batch_size=32)
    reference_statistics(tmp_path, other_side, not_again, extractor)


@pytest.mark.parametrize(
    "change",
    [
        {"extractor_sha256": "cd" * 32},
        {"resolution": 12},
        {"resize": "nearest"},
        {"data_sha256": "cd" * 32},
        {"reference": 100},
    ],
)
def test_reference_statistics_of_another_protocol_are_others(
    change: dict[str, str | int],
    digits: NDArray[np.uint8],
    protocol: Protocol,
    extractor: Extractor,
    tmp_path: Path,
) -> None:
    reference_statistics(tmp_path, protocol, lambda: digits[:90], extractor)
    other = reference_statistics(tmp_path, replace(protocol, **change), lambda: digits[:40], extractor)
    assert other.factor.shape[1] == 39


@pytest.mark.parametrize("damage", ["flip", "truncate", "no checksum"])
def test_damaged_reference_statistics_are_made_again(
    damage: str, digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    whole = reference_statistics(tmp_path, protocol, lambda: digits[:40], extractor)
    (file,) = tmp_path.glob("reference-*.safetensors")
    content = bytearray(file.read_bytes())
    if damage == "no checksum":
        file.with_name(file.name + ".sha256").unlink()
    else:
        content[-5] ^= 1
        file.write_bytes(content if damage == "flip" else content[:-100])
    again = reference_statistics(tmp_path, protocol, lambda: digits[:40], extractor)
    np.testing.assert_array_equal(again.factor, whole.factor)
    reference_statistics(tmp_path, protocol, lambda: digits[:0], extractor)  # whole once more: not called


def test_a_read_only_memory_map_is_a_reference(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    np.save(tmp_path / "digits.npy", digits[:100])
    mapped = np.load(tmp_path / "digits.npy", mmap_mode="r")
    assert reference_statistics(tmp_path, protocol, lambda: mapped, extractor).factor.shape == (64, 64)


def test_constant_images_have_a_number(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    """A generator that collapsed to black is very bad, and nothing breaks."""
    black = fids(
        NoisySampler(np.concatenate([halves(digits)[0], 0 * halves(digits)[0]]), 0),
        protocol,
        extractor,
        tmp_path,
    )
    assert np.isfinite(black[0])
    assert black[0] > 100


def test_features_that_are_not_finite_are_an_error_in_words(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    broken = Extractor(
        "broken",
        feature_dim=2,
        network=lambda images: torch.full((len(images), 2), torch.nan),
        device=torch.device("cpu"),
    )
    with pytest.raises(HarnessError, match="NaN or infinity"):
        reference_statistics(tmp_path, protocol, lambda: digits[:10], broken)
    assert not list(tmp_path.glob("*.safetensors"))


def test_float_images_and_wrong_counts_are_refused(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="gave 303 images where 300"):
        fids(NoisySampler(digits, 0, surplus=3), protocol, extractor, tmp_path)

    class FloatSampler:
        def images(self, repeat: int, samples: int) -> Iterator[torch.Tensor]:
            yield torch.full((samples, 1, 16, 16), torch.nan)

    reference = reference_statistics(tmp_path, protocol, lambda: digits, extractor)
    with pytest.raises(ValueError, match="uint8"):
        evaluate(FloatSampler(), protocol, reference, extractor, range(1), ("fid",))


def test_too_few_real_images_and_no_folder_are_errors_in_words(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    with pytest.raises(HarnessError, match="reference has 1 real images"):
        reference_statistics(tmp_path, protocol, lambda: digits[:1], extractor)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        reference_statistics(tmp_path / "file", protocol, lambda: digits, extractor)
