"""What the evaluation benchmark measures: ours beside pytorch-fid's own functions, on the same images, in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
import torch
from figures import CheckpointFigures, DistanceFigures, PrecisionFigures, relative
from numpy.typing import NDArray
from PIL import Image

from harness.data.resize import resize
from harness.design.evaluation_settings import EvaluationSettings, Precision
from harness.evaluation.extractors import Extractor, Features, feature_matrix, load_extractor
from harness.evaluation.frechet import distance_to, frechet_distance, moments, reference_of
from harness.evaluation.image_set import ImagePair, ImageSet
from harness.evaluation.peer import PeerStatistics, PytorchFid, peer_distance, statistics_of

T = TypeVar("T")

Tell = Callable[[str], None]
"""Told what begins now, for the person who waits."""


@dataclass(frozen=True, eq=False)
class Images:
    """uint8 [n, 1, R, R] in memory, as a grid has them, and the same as PNG files, as the hand way has them."""

    real: torch.Tensor
    generated: tuple[torch.Tensor, ...]
    real_files: tuple[Path, ...]
    generated_files: tuple[tuple[Path, ...], ...]


def measure_distance(dims: int = 2048, rounds: int = 3) -> DistanceFigures:
    """The Fréchet distance of two Gaussians of full rank, whose spectrum spans four orders of magnitude."""
    a, b = (moments(_made_up_features(seed, 2 * dims, dims)) for seed in (1, 2))
    reference = reference_of(a)
    theirs, decomposed, scratch = [], [], []
    for _ in range(rounds):
        theirs.append(
            timed(lambda: peer_distance(PeerStatistics(a.mean, a.covariance), PeerStatistics(b.mean, b.covariance)))
        )
        decomposed.append(timed(lambda: distance_to(reference, b)))
        scratch.append(timed(lambda: frechet_distance(a, b)))
    expected = theirs[0][1]
    return DistanceFigures(
        dims,
        rounds,
        *(median(seconds for seconds, _ in times) for times in (theirs, decomposed, scratch)),
        difference=max(relative(value, expected) for _, value in (*decomposed, *scratch)),
    )


def measure_checkpoint(
    images: Images,
    settings: EvaluationSettings,
    weights: bytes,
    device: torch.device,
    workers: int | None = None,
    *,
    peer_repeats: int | None = None,
    tell: Tell = lambda _what: None,
) -> CheckpointFigures:
    """All repeats at one checkpoint, by a grid's way and by hand, a repeat of each in turn.

    By hand: for each repeat the real features again, the generated ones, both from PNG files, and the distance.
    workers: processes that read its images, None: as `python -m pytorch_fid` takes; peer_repeats: so many by hand,
    None: all; tell: told what begins.
    """
    import pytorch_fid.fid_score  # noqa: F401 - neither way pays for the import

    total = len(images.real) + sum(len(repeat) for repeat in images.generated)
    tell("loading both networks, and ours on the real images")
    peer_load_s, peer = timed(lambda: PytorchFid(weights, device, workers))
    load_s, extractor = timed(lambda: load_extractor(settings, device, images=total))
    real_features_s, real_features = timed(lambda: feature_matrix(extractor, [images.real]))
    decompose_s, real = timed(lambda: _decomposed(extractor, real_features))
    ours: list[tuple[float, float, float]] = []
    theirs: list[tuple[float, float, float]] = []
    for index, (repeat, files) in enumerate(zip(images.generated, images.generated_files, strict=True)):
        if peer_repeats is None or index < peer_repeats:
            tell(f"repeat {index + 1} of {len(images.generated)} by hand")
            theirs.append(_by_hand(peer, images.real_files, files))
        tell(f"repeat {index + 1} of {len(images.generated)} as in a grid")
        features_s, features = timed(lambda repeat=repeat: feature_matrix(extractor, [repeat]))
        distance_s, fid = timed(lambda features=features: ImagePair(real.like(features), real).fid)
        ours.append((features_s, distance_s, fid))
    features_s, distance_s, fids = zip(*ours, strict=True)
    peer_features_s, peer_distance_s, peer_fids = zip(*theirs, strict=True)
    return CheckpointFigures(
        device=device.type,
        real=len(images.real),
        generated=len(images.generated[0]),
        load_s=load_s,
        real_features_s=real_features_s,
        decompose_s=decompose_s,
        features_s=features_s,
        distance_s=distance_s,
        peer_load_s=peer_load_s,
        peer_features_s=peer_features_s,
        peer_distance_s=peer_distance_s,
        fids=fids,
        peer_fids=peer_fids,
    )


def measure_precision(
    images: Images, settings: EvaluationSettings, device: torch.device, precision: Precision = "bfloat16"
) -> PrecisionFigures:
    """Real images and one repeat in float32 and in `precision`, in turns; loading is not timed."""
    total = len(images.real) + len(images.generated[0])
    extractors = [
        load_extractor(settings.model_copy(update={"precision": kind}), device, images=total)
        for kind in ("float32", precision)
    ]
    for extractor in extractors:
        feature_matrix(extractor, [images.real[: extractor.batch_size]])
    sides = [
        [timed(lambda one=one, batch=batch: feature_matrix(one, [batch])) for one in extractors]
        for batch in (images.real, images.generated[0])
    ]
    seconds = [sum(side[which][0] for side in sides) for which in (0, 1)]
    fids = [frechet_distance(moments(sides[0][which][1]), moments(sides[1][which][1])) for which in (0, 1)]
    return PrecisionFigures(device.type, precision, total, total / seconds[0], total / seconds[1], *fids)


def make_images(folder: Path, *, real: int, generated: int, repeats: int, resolution: int = 32) -> Images:
    """scikit-learn's digits, enlarged and a little noisy, and noisier ones as a generator's; PNG files of them too."""
    from sklearn.datasets import load_digits

    digits = resize(torch.from_numpy((load_digits().images * 15.9).astype(np.uint8))[:, None], resolution)

    def noisy(seed: int, count: int, noise: float) -> torch.Tensor:
        random = np.random.default_rng(seed)
        chosen = digits.numpy()[random.integers(0, len(digits), count)].astype(np.float64)
        return torch.from_numpy(np.clip(chosen + noise * random.standard_normal(chosen.shape), 0, 255).astype(np.uint8))

    def written(name: str, images: torch.Tensor) -> tuple[Path, ...]:
        (folder / name).mkdir(parents=True)
        files = tuple(folder / name / f"{index:06d}.png" for index in range(len(images)))
        for file, image in zip(files, images, strict=True):
            Image.fromarray(image[0].numpy()).save(file)
        return files

    real_images = noisy(0, real, 4.0)
    fakes = tuple(noisy(1 + repeat, generated, 24.0) for repeat in range(repeats))
    files = tuple(written(f"repeat-{repeat}", images) for repeat, images in enumerate(fakes))
    return Images(real_images, fakes, written("real", real_images), files)


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds and result."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def _decomposed(extractor: Extractor, features: Features) -> ImageSet:
    """What a grid does once with the real images' features."""
    real = ImageSet(features, extractor.logits)
    assert real.reference.mean.shape == (extractor.feature_dim,)  # decomposed now, not at the first distance
    return real


def _by_hand(peer: PytorchFid, real: Sequence[Path], generated: Sequence[Path]) -> tuple[float, float, float]:
    """Seconds of both sides' features, of statistics and distance, and the distance."""
    features_s, both = timed(lambda: [peer.activations(files) for files in (real, generated)])
    distance_s, fid = timed(lambda: peer_distance(*(statistics_of(activations) for activations in both)))
    return features_s, distance_s, fid


def _made_up_features(seed: int, count: int, dims: int) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    mixing = random.standard_normal((dims, dims)) * np.logspace(0, -2, dims)[:, None]
    return random.standard_normal((count, dims)) @ mixing + 0.1 * random.standard_normal(dims)
