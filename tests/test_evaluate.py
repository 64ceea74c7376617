"""From images to numbers: order of badness, and what changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_parts import digits_extractor, digits_protocol, shuffled_digits
from numpy.typing import NDArray

from harness.data.resize import resize
from harness.design.metrics import MetricName
from harness.design.streams import stream_seed
from harness.evaluation.evaluate import evaluate, pool
from harness.evaluation.extractors import Extractor
from harness.evaluation.frechet import frechet_distance, moments
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
    real = RealSet(cache, protocol, lambda: halves(sampler.real)[0], extractor)
    other_half = replace(sampler, real=halves(sampler.real)[1], asked=sampler.asked)
    return [evaluate(other_half, protocol, real, extractor, repeat, ("fid",)).values["fid"] for repeat in repeats]


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


EVERY_REPEAT: tuple[MetricName, ...] = (
    "fid", "kid", "precision", "recall", "density", "coverage", "inception_score", "missing_classes", "class_kl",
    "nearest_ratio", "nearest_share",
)  # fmt: skip


def test_every_metric_comes_from_one_pass(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    real = RealSet(tmp_path, protocol, lambda: halves(digits)[0], extractor)
    sampler = NoisySampler(halves(digits)[1], 0)
    together = evaluate(sampler, protocol, real, extractor, 0, EVERY_REPEAT)
    assert sampler.asked == [0]
    assert set(together.values) == set(EVERY_REPEAT)
    alone = {
        metric: evaluate(sampler, protocol, real, extractor, 0, (metric,)).values[metric] for metric in EVERY_REPEAT
    }
    assert together.values == alone
    assert together.class_counts is not None and sum(together.class_counts) == protocol.samples
    assert evaluate(sampler, protocol, real, extractor, 0, ("fid", "kid")).class_counts is None


def test_a_collapsed_generator_is_told_by_what_it_lacks(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    """One image again and again: precise, without recall or coverage, of one class, and a copy of a training image."""
    real = RealSet(tmp_path, protocol, lambda: digits, extractor)
    collapsed = evaluate(
        NoisySampler(np.repeat(digits[:1], 400, axis=0), 0), protocol, real, extractor, 0, EVERY_REPEAT
    ).values
    fair = evaluate(NoisySampler(digits, 0), protocol, real, extractor, 0, EVERY_REPEAT).values
    assert collapsed["precision"] == 1.0
    assert collapsed["recall"] < 0.05 < 0.5 < fair["recall"]
    assert collapsed["coverage"] < 0.05 < 0.5 < fair["coverage"]
    assert collapsed["missing_classes"] == 9
    assert fair["missing_classes"] == 0
    assert collapsed["class_kl"] > 2 > 0.2 > fair["class_kl"]
    assert collapsed["inception_score"] == pytest.approx(1.0, abs=1e-6)
    assert fair["inception_score"] > 5
    assert collapsed["nearest_share"] == 1.0
    assert fair["nearest_share"] == 1.0  # the training images themselves


def test_images_never_seen_are_not_taken_for_copies(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    real = RealSet(tmp_path, protocol, lambda: halves(digits)[0], extractor)
    values = evaluate(NoisySampler(halves(digits)[1], 0), protocol, real, extractor, 0, EVERY_REPEAT).values
    assert 0.8 < values["nearest_ratio"] < 1.25
    assert values["nearest_share"] < 0.12


def test_pooled_repeats_are_the_images_of_all_together(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    real = RealSet(tmp_path, protocol, lambda: halves(digits)[0], extractor)
    sampler = NoisySampler(halves(digits)[1], 8)
    repeats = [evaluate(sampler, protocol, real, extractor, index, (), pooling=True) for index in range(3)]
    pooled = pool(real, repeats, ("fid", "fid_pooled", "fid_infinity"))
    images = torch.cat([batch for index in range(3) for batch in sampler.images(index, protocol.samples)])
    expected = frechet_distance(real.moments, moments(extractor.features(images)))
    assert set(pooled) == {"fid_pooled", "fid_infinity"}
    assert pooled["fid_pooled"] == pytest.approx(expected, rel=1e-8)
    fids_of_repeats = [repeat.fid for repeat in repeats if repeat.fid is not None]
    assert pooled["fid_infinity"] == pytest.approx((3 * expected - np.mean(fids_of_repeats)) / 2, rel=1e-8)
    assert pooled["fid_infinity"] < pooled["fid_pooled"] < np.mean(fids_of_repeats)
    backwards = pool(real, repeats[::-1], ("fid_infinity",))
    assert backwards["fid_infinity"] == pytest.approx(pooled["fid_infinity"], rel=1e-10)


def test_repeats_that_were_not_measured_for_pooling_are_not_pooled(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    real = RealSet(tmp_path, protocol, lambda: halves(digits)[0], extractor)
    repeat = evaluate(NoisySampler(digits, 0), protocol, real, extractor, 0, ("fid",))
    with pytest.raises(ValueError, match="not measured for pooling"):
        pool(real, [repeat], ("fid_pooled",))


def test_float_images_and_wrong_counts_are_refused(
    digits: NDArray[np.uint8], protocol: Protocol, extractor: Extractor, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="gave 303 images where 300"):
        fids(NoisySampler(digits, 0, surplus=3), protocol, extractor, tmp_path)

    class FloatSampler:
        def images(self, repeat: int, samples: int) -> Iterator[torch.Tensor]:
            yield torch.full((samples, 1, 16, 16), torch.nan)

    real = RealSet(tmp_path, protocol, lambda: digits, extractor)
    with pytest.raises(ValueError, match="uint8"):
        evaluate(FloatSampler(), protocol, real, extractor, 0, ("fid",))
