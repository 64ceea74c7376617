"""The small classifiers behind the extractors `digits`, `mnist` and `trained`, and the file that one is kept in."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import WeightsError
from harness.store.atomic import canonical_json

_ENTRY = "classifier"
"""One metadata entry, as safetensors writes several in no fixed order: equal weights shall be equal files."""

_LIMITS = {"resolution": (4, 512), "classes": (2, 10_000), "features": (1, 4096)}


@dataclass(frozen=True)
class Architecture:
    """channels: 1 for gray, 3 for RGB; maps: of each convolution; features: values of the last hidden layer.

    Raises ValueError for sizes that no such network has.
    """

    channels: int
    resolution: int
    classes: int
    maps: tuple[int, ...] = (16, 32)
    features: int = 64

    def __post_init__(self) -> None:
        sizes = (self.channels, self.resolution, self.classes, self.features, *self.maps)
        if not all(type(size) is int for size in sizes) or self.channels not in (1, 3):
            raise ValueError(f"sizes are whole numbers and channels 1 or 3, not {self}")
        for name, (least, most) in _LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} is between {least} and {most}, not {getattr(self, name)}")
        if not all(1 <= width <= 4096 for width in self.maps) or not 1 <= self.side <= self.resolution // 2:
            raise ValueError(f"no network of {self.resolution} pixels has convolutions with {self.maps} maps")

    @property
    def side(self) -> int:
        """Pixels that are left of `resolution` behind the last pooling."""
        return self.resolution >> len(self.maps)


DIGITS = Architecture(channels=1, resolution=16, classes=10)
"""46,730 parameters."""

MNIST = Architecture(channels=1, resolution=28, classes=10)
"""114,314 parameters."""


class Classifier(nn.Module):
    """LeNet-style (LeCun et al. 1998, fig. 2): 5x5 convolutions, each with ReLU and 2x2 max pooling, one hidden layer.

    Its features are the values of that hidden layer before their ReLU, so that none is always zero.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self._convolutions = [f"conv{i + 1}" for i in range(len(architecture.maps))]
        channels = architecture.channels
        for name, maps in zip(self._convolutions, architecture.maps, strict=True):
            self.add_module(name, nn.Conv2d(channels, maps, kernel_size=5, padding=2))
            channels = maps
        self.hidden = nn.Linear(channels * architecture.side**2, architecture.features)
        self.classes = nn.Linear(architecture.features, architecture.classes)

    def features(self, images: Tensor) -> Tensor:
        """images [N, channels, resolution, resolution] in [-1, 1] -> [N, features]."""
        maps = images
        for name in self._convolutions:
            maps = functional.max_pool2d(functional.relu(self.get_submodule(name)(maps)), 2)
        return self.hidden(maps.flatten(1))  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> Tensor:
        """images [N, channels, resolution, resolution] in [-1, 1] -> logits [N, classes]."""
        return self.classes(functional.relu(self.features(images)))  # type: ignore[no-any-return]


def fitting_architecture(channels: int, resolution: int, classes: int) -> Architecture:
    """For any data set: as many convolutions as leave maps of 4 to 7 pixels, 128 features."""
    stages = max(1, (resolution // 4).bit_length() - 1)
    maps = tuple(min(16 << stage, 128) for stage in range(stages))
    return Architecture(channels, resolution, classes, maps, features=128)


def to_bytes(network: Classifier, names: tuple[str, ...]) -> bytes:
    """Weights, architecture and the classes' names as one safetensors file."""
    about = {"architecture": asdict(network.architecture), "classes": list(names)}
    weights = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
    return safetensors.torch.save(weights, {_ENTRY: canonical_json(about).decode()})


def from_bytes(content: bytes, *, where: str) -> tuple[Classifier, tuple[str, ...]]:
    """A classifier in eval mode on the CPU and its classes' names; no code in the file is run.

    Raises WeightsError, which names `where`, for anything else than what `to_bytes` gives.
    """
    try:
        (length,) = struct.unpack_from("<Q", content)
        about = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][_ENTRY])
        names = tuple(str(name) for name in about["classes"])
        sizes = about["architecture"]
        architecture = Architecture(**{**sizes, "maps": tuple(sizes["maps"])})
        if len(names) != architecture.classes:
            raise ValueError(f"{len(names)} names for {architecture.classes} classes")
    except (struct.error, ValueError, LookupError, TypeError, RecursionError) as error:
        raise _no_classifier(error, where) from error
    return with_weights(architecture, content, where=where), names


def with_weights(architecture: Architecture, content: bytes, *, where: str) -> Classifier:
    """That network with the tensors of a safetensors file, in eval mode; WeightsError where they differ."""
    with torch.device("meta"):  # neither memory nor a draw from the global random stream
        network = Classifier(architecture)
    try:
        weights = safetensors.torch.load(content)
        if any(tensor.dtype != torch.float32 for tensor in weights.values()):
            raise ValueError("its weights are no float32")
        network.load_state_dict(weights, assign=True)
    except (safetensors.SafetensorError, ValueError, RuntimeError) as error:
        raise _no_classifier(error, where) from error
    return network.eval().requires_grad_(False)


def _no_classifier(error: Exception, where: str) -> WeightsError:
    reason = " ".join(f"{type(error).__name__} {error}".split())[:200]
    return WeightsError(
        f"not weights of a classifier that harness can read: {reason}",
        where=where,
        remedy="Make them again: harness extractor train FILE",
    )
