"""The ways to run Inception behind its first convolution; all compute the same, each is checked before it is used.

The trunk has batch norm folded into its convolutions and its weights channels last. On top of that a CPU's convolution
takes its ReLU along where torch offers that, or the whole is compiled; on CUDA it is recorded as one graph.
"""

from __future__ import annotations

import copy
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import torch
from torch import Tensor, nn

CPU_BATCH = 4
"""Images that a CPU of few cores sees at once: larger batches fall out of its caches."""

CPU_LARGER_BATCH = 16

GPU_BATCH = 64

GPU_LARGER_BATCH = 128
"""More would fill a large GPU better, but what a last batch lacks is filled up and wasted."""

STEM_SIZE = 149
"""Pixels of the first convolution's maps."""

Kind = Literal["plain", "fused", "compiled", "captured", "captured planar"]


@dataclass(frozen=True)
class Way:
    """kind: how the trunk is run; batch_size: images that it sees at once."""

    kind: Kind
    batch_size: int

    @property
    def name(self) -> str:
        return f"{self.kind} x {self.batch_size}"

    def build(self, plain: nn.Module, maps: Tensor) -> nn.Module:
        """`plain` run this way, for maps of the shape of `maps` [batch_size, 32, 149, 149] on its device.

        Raises one of `probe.UNBUILDABLE` where this torch, device or machine has no such way.
        """
        match self.kind:
            case "plain":
                return plain
            case "fused":
                return fused(plain, maps)
            case "compiled":
                return compiled(plain, maps)
            case "captured":
                return Captured(plain, maps)
            case "captured planar":
                return Captured(planar(plain), maps)
            case _:
                assert_never(self.kind)


def ways(device: torch.device, dtype: torch.dtype, *, compiling: bool) -> tuple[Way, ...]:
    """What is worth a try on `device`; the first one that works is taken where nothing is measured.

    compiling: whether so many images wait that half a minute of compiling may pay.
    """
    if dtype == torch.float64 or device.type not in ("cpu", "cuda"):
        return (Way("plain", CPU_BATCH if device.type == "cpu" else GPU_BATCH),)
    if device.type == "cuda":
        return (
            Way("plain", GPU_BATCH),
            Way("captured", GPU_BATCH),
            Way("captured", GPU_LARGER_BATCH),
            Way("captured planar", GPU_BATCH),
            Way("captured planar", GPU_LARGER_BATCH),
        )
    kinds: tuple[Kind, ...] = ("fused", "plain")
    found = [Way(kind, size) for size in (CPU_BATCH, CPU_LARGER_BATCH) for kind in kinds]
    if compiling and has_compiler():
        found.append(Way("compiled", CPU_BATCH))
    return tuple(found)


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


class Captured(nn.Module):
    """A trunk recorded once as a CUDA graph for maps of one shape and layout, then replayed in one launch."""

    def __init__(self, trunk: nn.Module, maps: Tensor) -> None:
        super().__init__()
        self._maps = maps.clone()
        self._graph = torch.cuda.CUDAGraph()
        aside: Any = torch.cuda.Stream(maps.device)  # type: ignore[no-untyped-call] # torch leaves it so
        aside.wait_stream(torch.cuda.current_stream(maps.device))
        with torch.cuda.stream(aside):  # what libraries do at their first call must not be recorded
            for _ in range(2):
                trunk(self._maps)
        torch.cuda.current_stream(maps.device).wait_stream(aside)
        with torch.cuda.graph(self._graph):
            self._deep: Tensor = trunk(self._maps)
        self._trunk = trunk  # the graph reads its weights where they lie

    def forward(self, maps: Tensor) -> Tensor:
        self._maps.copy_(maps)
        self._graph.replay()
        return self._deep.clone()


class _ToPlanar(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return maps.contiguous()


def folded(block: Any) -> tuple[Tensor, Tensor]:
    """float64 weight and bias of a convolution that does what `block`, with its batch norm in eval mode, does."""
    norm: nn.BatchNorm2d = block.bn
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    weight: Tensor = block.conv.weight.double() * scale.view(-1, 1, 1, 1)
    return weight.detach(), (norm.bias.double() - norm.running_mean.double() * scale).detach()


def fused(plain: nn.Module, maps: Tensor) -> nn.Module:
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
    made = copy.deepcopy(plain, {id(module): module for module in shapes})  # copies the wiring, not the weights
    swap(made, lambda module: FusedConvolution(module, shapes[module]) if isinstance(module, Convolution) else None)
    return made


def compiled(plain: nn.Module, maps: Tensor) -> nn.Module:
    """`plain` through torch's compiler, its weights as constants."""
    from torch._inductor import config

    with config.patch(freezing=True, compile_threads=1):
        made: Any = torch.compile(plain, dynamic=False)
        made(maps)
    module: nn.Module = made
    return module


def planar(plain: nn.Module) -> nn.Module:
    """`plain` with each channel's pixels together: CUDA's float32 convolutions without tensor cores may prefer that."""
    made = copy.deepcopy(plain).to(memory_format=torch.contiguous_format)
    return nn.Sequential(_ToPlanar(), made)


def has_compiler() -> bool:
    """Whether the C++ compiler is there that torch would call."""
    return shutil.which(os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")) is not None


def swap(parent: nn.Module, other: Callable[[nn.Module], nn.Module | None]) -> None:
    """Puts `other(module)` in the place of every module below `parent` for which it gives one."""
    for name, module in parent.named_children():
        replacement = other(module)
        if replacement is None:
            swap(module, other)
        else:
            setattr(parent, name, replacement)
