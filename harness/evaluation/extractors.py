"""The networks whose features metrics compare: uint8 images in, one feature vector each out.

Which images they saw, and what their numbers can be compared with: docs/extractors.md.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, assert_never

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from harness.data.resize import resize, to_float
from harness.design.experiment import EvaluationSettings
from harness.errors import WeightsError
from harness.evaluation.extractor_weights import read_weights, weights_file, weights_sha256

__all__ = [
    "DigitsClassifier",
    "Extractor",
    "feature_matrix",
    "load_extractor",
    "read_weights",
    "weights_file",
    "weights_sha256",
]

BATCH_SIZE = 64
"""Images that a network sees at once; constant, so that callers' batches change no bit of the features."""

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in gray (ITU-R BT.601), as Pillow's convert("L") uses them."""


class DigitsClassifier(nn.Module):
    """A LeNet-style classifier (LeCun et al. 1998, fig. 2) of gray 16x16 digits; 46,730 parameters.

    Its features are the 64 values of the last hidden layer before their ReLU, so that none is always zero.
    """

    resolution = 16
    feature_dim = 64

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, kernel_size=5, padding=2)
        self.conv2 = nn.Conv2d(16, 32, kernel_size=5, padding=2)
        self.hidden = nn.Linear(32 * 4 * 4, self.feature_dim)
        self.classes = nn.Linear(self.feature_dim, 10)

    def features(self, images: Tensor) -> Tensor:
        """images [N, 1, 16, 16] in [-1, 1] -> [N, 64]."""
        maps = functional.max_pool2d(functional.relu(self.conv1(images)), 2)
        maps = functional.max_pool2d(functional.relu(self.conv2(maps)), 2)
        return self.hidden(maps.flatten(1))  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> Tensor:
        """images [N, 1, 16, 16] in [-1, 1] -> logits [N, 10]."""
        return self.classes(functional.relu(self.features(images)))  # type: ignore[no-any-return]


class Extractor:
    """A frozen network on a device; `network` maps uint8 images [n, C, H, W] there to float32 [n, d]."""

    def __init__(
        self, name: str, *, feature_dim: int, network: Callable[[Tensor], Tensor], device: torch.device
    ) -> None:
        self.name = name
        self.feature_dim = feature_dim
        self._network = network
        self._device = device

    def features(self, images: Tensor) -> NDArray[np.float64]:
        """uint8 images [N, 1 or 3, H, W] of any size -> float64 [N, feature_dim], the same bits each time."""
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ValueError(f"images are uint8 [N, 1 or 3, H, W], not {images.dtype} {list(images.shape)}")
        with torch.inference_mode(), _exact_float32():
            batches = (images[i : i + BATCH_SIZE] for i in range(0, len(images), BATCH_SIZE))
            parts = [self._network(batch.to(self._device)).cpu() for batch in batches]
        return torch.cat(parts).to(torch.float64).numpy()  # Apple's MPS has no float64: converted on the CPU


def load_extractor(settings: EvaluationSettings, device: torch.device) -> Extractor:
    """The extractor of an `[[evaluation]]` block on `device`; WeightsError as `read_weights`."""
    content, _ = read_weights(settings)
    match settings.extractor:
        case "digits":
            return _digits(content, device)
        case "inception":
            return _inception(content, device, where=str(weights_file(settings)))
        case _:
            assert_never(settings.extractor)


def feature_matrix(extractor: Extractor, batches: Iterable[Tensor]) -> NDArray[np.float64]:
    """Features [N, d] of all images of `batches`, whose sizes make no difference."""
    parts = [extractor.features(images) for images in _regrouped(batches, BATCH_SIZE)]
    return np.concatenate(parts) if parts else np.empty((0, extractor.feature_dim))


def to_gray(images: Tensor) -> Tensor:
    """uint8 [N, 1 or 3, H, W] -> uint8 [N, 1, H, W]: rounded luminance, exact for three equal channels."""
    if images.shape[1] == 1:
        return images
    weights = torch.tensor(LUMINANCE, device=images.device).view(1, 3, 1, 1)
    return (images.to(torch.float32) * weights).sum(dim=1, keepdim=True).round().clamp(0, 255).to(torch.uint8)


def _digits(content: bytes, device: torch.device) -> Extractor:
    with torch.device("meta"):  # neither memory nor a draw from the global random stream
        network = DigitsClassifier()
    network.load_state_dict(safetensors.torch.load(content), assign=True)
    network.to(device).eval()

    def features(images: Tensor) -> Tensor:
        return network.features(to_float(resize(to_gray(images), DigitsClassifier.resolution)))

    return Extractor("digits", feature_dim=DigitsClassifier.feature_dim, network=features, device=device)


def _inception(content: bytes, device: torch.device, *, where: str) -> Extractor:
    """pytorch-fid's network, which brings RGB in [0, 1] to 299x299 and to [-1, 1] itself."""
    from pytorch_fid.inception import InceptionV3

    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        with _weights_for_pytorch_fid(state), torch.random.fork_rng(devices=[]):
            network = InceptionV3([InceptionV3.BLOCK_INDEX_BY_DIM[2048]])
    except (RuntimeError, pickle.UnpicklingError, EOFError, TypeError, AttributeError, LookupError) as error:
        reason = " ".join(f"{type(error).__name__} {error}".split())[:200]
        raise WeightsError(
            f"not weights of pytorch-fid's Inception network: {reason}",
            where=where,
            remedy="Use the file that pytorch-fid downloads.",
        ) from error
    network.to(device).eval()

    def features(images: Tensor) -> Tensor:
        colored = images.expand(-1, 3, -1, -1).to(torch.float32) / 255
        return network(colored)[0].flatten(1)  # type: ignore[no-any-return]

    return Extractor("inception", feature_dim=2048, network=features, device=device)


@contextmanager
def _weights_for_pytorch_fid(state: dict[str, Tensor]) -> Iterator[None]:
    """pytorch-fid loads its weights by an address only; inside the block it is handed `state` instead."""
    from pytorch_fid import inception

    original = inception.load_state_dict_from_url

    def supplied(*_args: Any, **_options: Any) -> dict[str, Tensor]:
        return state

    inception.load_state_dict_from_url = supplied
    try:
        yield
    finally:
        inception.load_state_dict_from_url = original


@contextmanager
def _exact_float32() -> Iterator[None]:
    """On CUDA convolutions round to TF32 and may pick another algorithm each time unless told otherwise."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield


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
