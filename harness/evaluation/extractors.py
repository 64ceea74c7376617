"""The networks whose features metrics compare: uint8 images in, one feature vector each out, and the classes' logits.

Which images they saw, and what their numbers can be compared with: docs/extractors.md.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import assert_never

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.data.resize import resize, to_float
from harness.design.evaluation_settings import EvaluationSettings
from harness.errors import WeightsError
from harness.evaluation import classifier
from harness.evaluation.classifier import Classifier
from harness.evaluation.extractor_weights import read_weights, weights_file, weights_sha256
from harness.evaluation.features import Beat, no_beat
from harness.evaluation.inception import DTYPES, FEATURES, OUTPUTS, Inception, load_inception

__all__ = [
    "Extractor",
    "feature_matrix",
    "load_extractor",
    "read_weights",
    "to_gray",
    "weights_file",
    "weights_sha256",
]

BATCH_SIZE = 64
"""Images that a classifier sees at once, and that are worth handing to any extractor at once."""

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in gray (ITU-R BT.601), as Pillow's convert("L") uses them."""

Features = NDArray[np.float32] | NDArray[np.float64]

_log = logging.getLogger("harness")


class Extractor:
    """A frozen network on a device; the same bits for an image whatever it comes together with.

    network: uint8 [batch_size, C, H, W] on the device -> features [batch_size, feature_dim] there; it never sees
    another number of images. last_layer: float64 features [N, feature_dim] -> logits [N, classes].
    """

    def __init__(
        self,
        name: str,
        *,
        feature_dim: int,
        classes: tuple[str, ...],
        network: Callable[[Tensor], Tensor],
        last_layer: Callable[[NDArray[np.float64]], NDArray[np.float64]],
        device: torch.device,
        dtype: torch.dtype,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        self.name = name
        self.feature_dim = feature_dim
        self.classes = classes
        self.batch_size = batch_size
        self.dtype = dtype
        self._network = network
        self._last_layer = last_layer
        self._device = device

    def features(self, images: Tensor) -> Features:
        """uint8 images [N, 1 or 3, H, W] of any size -> [N, feature_dim], float32, or float64 in that precision."""
        return feature_matrix(self, [images])

    def logits(self, features: Features) -> NDArray[np.float64]:
        """[N, feature_dim] as `features` gives them -> float64 [N, classes]; WeightsError without a last layer."""
        return self._last_layer(features.astype(np.float64))

    def on_device(self, images: Tensor) -> Tensor:
        """uint8 images [N <= batch_size, 1 or 3, H, W] -> features on the device, which need not be there yet."""
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ValueError(f"images are uint8 [N, 1 or 3, H, W], not {images.dtype} {list(images.shape)}")
        count = len(images)
        padding = images.new_zeros((self.batch_size - count, *images.shape[1:]))
        batch = torch.cat([images, padding]) if count < self.batch_size else images
        with torch.inference_mode(), _exact_float32():
            return self._network(_sent(batch, self._device))[:count]


def load_extractor(
    settings: EvaluationSettings, device: torch.device, images: int = 0, beat: Beat = no_beat
) -> Extractor:
    """The extractor of an `[[evaluation]]` block on `device`; WeightsError as `read_weights`.

    images: how many wait in all, which decides whether the quickest way is looked for; a pure function of the
    experiment file, as it may change the last bits. beat: called between pieces of that.
    """
    content, _ = read_weights(settings)
    where = str(weights_file(settings))
    device = _able_device(device, settings)
    match settings.extractor:
        case "digits":
            network = classifier.with_weights(classifier.DIGITS, content, where=where)
            return _classifying(settings, network, tuple("0123456789"), device)
        case "mnist" | "trained":
            return _classifying(settings, *classifier.from_bytes(content, where=where), device)
        case "inception":
            with torch.inference_mode(), _exact_float32():
                loaded = load_inception(content, device, settings.precision, images, where=where, beat=beat)
            return _inception(settings, loaded, device, where=where)
        case _:
            assert_never(settings.extractor)


def feature_matrix(extractor: Extractor, batches: Iterable[Tensor]) -> Features:
    """Features [N, d] of all images of `batches`, whose sizes make no difference.

    They stay on the device, which is waited for once, at the end.
    """
    parts = [extractor.on_device(images) for images in _regrouped(batches, extractor.batch_size)]
    dtype = torch.promote_types(extractor.dtype, torch.float32)
    matrix = torch.cat(parts).cpu() if parts else torch.empty((0, extractor.feature_dim))
    return np.asarray(matrix.to(dtype).numpy())


def to_gray(images: Tensor) -> Tensor:
    """uint8 [N, 1 or 3, H, W] -> uint8 [N, 1, H, W]: rounded luminance, exact for three equal channels."""
    if images.shape[1] == 1:
        return images
    weights = torch.tensor(LUMINANCE, device=images.device).view(1, 3, 1, 1)
    return (images.to(torch.float32) * weights).sum(dim=1, keepdim=True).round().clamp(0, 255).to(torch.uint8)


def _able_device(device: torch.device, settings: EvaluationSettings) -> torch.device:
    """`device`, or the CPU where the device has no float64 and the settings ask for it."""
    if settings.precision != "float64" or device.type != "mps":
        return device
    _log.warning("%s in float64 runs on the CPU: %s has no float64", settings.extractor_name, device.type)
    return torch.device("cpu")


def _classifying(
    settings: EvaluationSettings, network: Classifier, names: tuple[str, ...], device: torch.device
) -> Extractor:
    dtype = DTYPES[settings.precision]
    weight, bias = (tensor.double().numpy() for tensor in (network.classes.weight, network.classes.bias))
    network.to(device, dtype)
    architecture = network.architecture

    def features(images: Tensor) -> Tensor:
        channels = to_gray(images) if architecture.channels == 1 else images.expand(-1, 3, -1, -1)
        return network.features(to_float(resize(channels, architecture.resolution)).to(dtype))

    return Extractor(
        settings.extractor_name,
        feature_dim=architecture.features,
        classes=names,
        network=features,
        last_layer=lambda hidden: np.maximum(hidden, 0.0) @ weight.T + bias,
        device=device,
        dtype=dtype,
    )


def _inception(settings: EvaluationSettings, loaded: Inception, device: torch.device, *, where: str) -> Extractor:
    weights = loaded.class_weights

    def last_layer(features: NDArray[np.float64]) -> NDArray[np.float64]:
        if weights is None:
            raise WeightsError(
                "these weights have no last layer (fc.weight), so no class can be told from them",
                where=where,
                remedy="Leave inception_score and class metrics out, or use the file that pytorch-fid downloads.",
            )
        return features @ weights.T  # without the bias, as Salimans et al.'s code does

    return Extractor(
        settings.extractor_name,
        feature_dim=FEATURES,
        classes=tuple(f"output {index}" for index in range(OUTPUTS)),
        network=loaded.network,
        last_layer=last_layer,
        device=device,
        dtype=DTYPES[settings.precision],
        batch_size=loaded.batch_size,
    )


@contextmanager
def _exact_float32() -> Iterator[None]:
    """On CUDA convolutions round to TF32 and may pick another algorithm each time unless told otherwise."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


def _sent(batch: Tensor, device: torch.device) -> Tensor:
    """`batch` on `device`; a GPU copies it from pinned memory while it still works on the batch before."""
    if device.type == "cuda" and batch.device.type == "cpu":
        return batch.pin_memory().to(device, non_blocking=True)
    return batch.to(device)


def _regrouped(batches: Iterable[Tensor], size: int) -> Iterator[Tensor]:
    """The same images in order, in batches of `size` (the last may be smaller)."""
    waiting: list[Tensor] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += len(batch)
        if count >= size:
            joined = torch.cat(waiting)
            whole = count - count % size
            yield from (joined[i : i + size] for i in range(0, whole, size))
            waiting, count = [joined[whole:]], count - whole
    if count:
        yield torch.cat(waiting)
