"""pytorch-fid's Inception network, rebuilt so that the same numbers come sooner.

Its own modules are loaded and keep their wiring, so its patched pooling is there by construction. What changes is exact
in real arithmetic: batch norm is folded into the convolutions (in float64, then rounded), three equal channels go in as
one, 2x - 1 is taken before the resizing, weights lie channels last, and on a CPU a convolution takes its ReLU along
where torch offers that and it agrees. Compiled where so many images wait that it pays.
"""

from __future__ import annotations

import copy
import io
import logging
import os
import pickle
import shutil
import struct
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from harness.design.evaluation_settings import Precision
from harness.errors import WeightsError
from harness.evaluation.protocol import INCEPTION_SHA256
from harness.store.atomic import sha256_of

FEATURES = 2048
OUTPUTS = 1008
"""Of the last layer; ImageNet's thousand classes in an order of their own, and eight that mean nothing."""

INPUT_SIZE = 299
STEM_SIZE = 149
"""Pixels of the first convolution's maps."""

CPU_BATCH = 4
"""Images that a CPU sees at once: larger batches fall out of its caches."""

GPU_BATCH = 64

COMPILE_FROM = 50_000
"""Images in all from which compiling is tried: it takes half a minute, and gains nothing where the fused convolution
runs at the processor's limit already, but a quarter where there is none."""

DTYPES: dict[Precision, torch.dtype] = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
}

TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 0.2}
"""How far from the plain network's a faster one's features may be, as a share of their mean size."""

_log = logging.getLogger("harness")


@dataclass(frozen=True)
class Inception:
    """network: uint8 [batch_size, 1 or 3, H, W] on its device -> features [batch_size, 2048].

    class_weights: float64 [1008, 2048] of the last layer, None where the file lacks it.
    """

    network: Callable[[Tensor], Tensor]
    class_weights: NDArray[np.float64] | None
    batch_size: int


class Convolution(nn.Module):
    """A convolution with its batch norm folded in and the ReLU behind it, channels last."""

    def __init__(self, block: Any, dtype: torch.dtype) -> None:
        super().__init__()
        weight, bias = folded(block)
        self.weight = nn.Parameter(weight.to(dtype, memory_format=torch.channels_last), requires_grad=False)
        self.bias = nn.Parameter(bias.to(dtype), requires_grad=False)
        self.stride: list[int] = list(block.conv.stride)
        self.padding: list[int] = list(block.conv.padding)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.conv2d(maps, self.weight, self.bias, self.stride, self.padding).relu_()


class FusedConvolution(nn.Module):
    """The same in one pass of oneDNN, with its weights laid out for maps of one shape.

    torch's own compiler makes these calls; they are no public interface, so whoever builds this checks what comes out.
    """

    def __init__(self, plain: Convolution, shape: torch.Size) -> None:
        super().__init__()
        self.stride, self.padding, self.bias = plain.stride, plain.padding, plain.bias
        self.weight = torch.ops.mkldnn._reorder_convolution_weight(
            plain.weight, self.padding, self.stride, [1, 1], 1, list(shape)
        )

    def forward(self, maps: Tensor) -> Tensor:
        fused: Tensor = torch.ops.mkldnn._convolution_pointwise(
            maps, self.weight, self.bias, self.padding, self.stride, [1, 1], 1, "relu", [], ""
        )
        return fused


class InceptionNetwork(nn.Module):
    """uint8 images [N, 1 or 3, H, W] of any size -> features [N, 2048], float32 for bfloat16."""

    def __init__(self, blocks: nn.ModuleList, dtype: torch.dtype) -> None:
        from torchvision.models.inception import BasicConv2d

        super().__init__()
        first, *others = [module for block in blocks for module in block.children()]
        self.color = Convolution(first, dtype)
        self.gray = Convolution(first, dtype)
        summed = folded(first)[0].sum(dim=1, keepdim=True)
        self.gray.weight = nn.Parameter(summed.to(dtype, memory_format=torch.channels_last), requires_grad=False)
        *kept, _average = others
        self.trunk: nn.Module = nn.Sequential(*kept)
        _swap(self.trunk, lambda block: Convolution(block, dtype) if isinstance(block, BasicConv2d) else None)
        self._dtype = dtype

    def forward(self, images: Tensor) -> Tensor:
        exact = torch.promote_types(self._dtype, torch.float32)
        pixels = images.to(exact) * (2 / 255) - 1  # resizing is linear and its weights sum to 1: the same as after it
        resized = functional.interpolate(pixels, (INPUT_SIZE, INPUT_SIZE), mode="bilinear", align_corners=False)
        stem = self.gray if images.shape[1] == 1 else self.color
        maps = stem(resized.to(self._dtype, memory_format=torch.channels_last))
        return self.pooled(maps.contiguous(memory_format=torch.channels_last))

    def pooled(self, maps: Tensor) -> Tensor:
        """Maps of the first convolution [N, 32, 149, 149] -> features [N, 2048]."""
        deep: Tensor = self.trunk(maps)
        return deep.mean(dim=(2, 3), dtype=torch.promote_types(self._dtype, torch.float32))


def load_inception(content: bytes, device: torch.device, precision: Precision, images: int, *, where: str) -> Inception:
    """The network of pytorch-fid's weights file on `device`; images: how many wait in all.

    Raises WeightsError, which names `where`, for a file that holds something else. No code in it is run.
    """
    blocks, class_weights = _pytorch_fids(content, where)
    dtype = DTYPES[precision]
    network = InceptionNetwork(blocks, dtype).to(device).eval()
    batch_size = CPU_BATCH if device.type == "cpu" else GPU_BATCH
    if device.type == "cpu" and dtype in TOLERANCES:
        _hasten(network, dtype, batch_size, compiling=images >= COMPILE_FROM)
    return Inception(network, class_weights, batch_size)


def folded(block: Any) -> tuple[Tensor, Tensor]:
    """float64 weight and bias of a convolution that does what `block`, with its batch norm in eval mode, does."""
    norm: nn.BatchNorm2d = block.bn
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    weight: Tensor = block.conv.weight.double() * scale.view(-1, 1, 1, 1)
    return weight.detach(), (norm.bias.double() - norm.running_mean.double() * scale).detach()


def _hasten(network: InceptionNetwork, dtype: torch.dtype, batch_size: int, *, compiling: bool) -> None:
    """Gives the network the fastest trunk that agrees with the plain one on made-up maps."""
    plain = network.trunk
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn((batch_size, 32, STEM_SIZE, STEM_SIZE), generator=generator).relu().to(dtype)
    maps = maps.contiguous(memory_format=torch.channels_last)
    ways: list[tuple[str, Callable[[], nn.Module]]] = [("fused", lambda: _fused(plain, maps))]
    if compiling and _has_compiler():
        ways.insert(0, ("compiled", lambda: _compiled(plain, maps)))
    with torch.inference_mode():
        expected = network.pooled(maps)
        for name, build in ways:
            try:
                network.trunk = build()
                difference = float((network.pooled(maps) - expected).abs().max() / expected.abs().mean())
            except (RuntimeError, AttributeError, ImportError, OSError) as error:
                reason = " ".join(f"{type(error).__name__} {error}".split())[:200]
            else:
                if difference <= TOLERANCES[dtype]:
                    return
                reason = f"its features are {difference:.1g} off"
            _log.warning("Inception's %s convolutions cannot be used here, slower ones are: %s", name, reason)
        network.trunk = plain


def _fused(plain: nn.Module, maps: Tensor) -> nn.Module:
    """`plain` with every convolution fused for the shape that it gets from `maps`."""
    shapes: dict[nn.Module, torch.Size] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        shapes[module] = inputs[0].shape

    hooks = [module.register_forward_pre_hook(note) for module in plain.modules() if isinstance(module, Convolution)]
    try:
        plain(maps)
    finally:
        for hook in hooks:
            hook.remove()
    fused = copy.deepcopy(plain, {id(module): module for module in shapes})  # copies the wiring, not the weights
    _swap(fused, lambda module: FusedConvolution(module, shapes[module]) if isinstance(module, Convolution) else None)
    return fused


def _compiled(plain: nn.Module, maps: Tensor) -> nn.Module:
    from torch._inductor import config

    with config.patch(freezing=True, compile_threads=1):
        compiled: Any = torch.compile(plain, dynamic=False)
        compiled(maps)
    module: nn.Module = compiled
    return module


def _has_compiler() -> bool:
    """Whether the C++ compiler is there that torch would call."""
    return shutil.which(os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")) is not None


def _pytorch_fids(content: bytes, where: str) -> tuple[nn.ModuleList, NDArray[np.float64] | None]:
    """The blocks of pytorch-fid's network up to its features, and the weights of the last layer behind them."""
    from pytorch_fid.inception import InceptionV3

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's surprise at a damaged file
            state = dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
        last = state.get("fc.weight")
        absent = {"fc.weight": torch.zeros(OUTPUTS, FEATURES), "fc.bias": torch.zeros(OUTPUTS)}
        with weights_for_pytorch_fid({**absent, **state}), torch.random.fork_rng(devices=[]):
            network = InceptionV3([InceptionV3.BLOCK_INDEX_BY_DIM[FEATURES]])
    except (
        AssertionError,
        RuntimeError,
        pickle.UnpicklingError,
        EOFError,
        OSError,
        TypeError,
        ValueError,
        OverflowError,
        AttributeError,
        LookupError,
        struct.error,
    ) as error:  # whose texts speak of torch's own parts, not of the file
        raise WeightsError(
            "not weights of pytorch-fid's Inception network: cut off, or another file "
            f"(SHA-256 {sha256_of(content)}; pytorch-fid's is {INCEPTION_SHA256})",
            where=where,
            remedy="Use the file that pytorch-fid downloads.",
        ) from error
    return network.eval().blocks, None if last is None else last.double().numpy()


@contextmanager
def weights_for_pytorch_fid(state: dict[str, Tensor]) -> Iterator[None]:
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


def _swap(parent: nn.Module, other: Callable[[nn.Module], nn.Module | None]) -> None:
    """Puts `other(module)` in the place of every module below `parent` for which it gives one."""
    for name, module in parent.named_children():
        replacement = other(module)
        if replacement is None:
            _swap(module, other)
        else:
            setattr(parent, name, replacement)
