"""What a machine could do at best: operations and bytes of a piece of work, over the rates that it reaches by itself.

Convolutions and matrix products are counted as two operations for each multiply-add, as FlopCounterMode does; of all
other operators the bytes that they read and write. Rates are measured on the very convolutions of that work.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from statistics import median
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Kind = Literal["forward", "data gradient", "weight gradient"]
Size = tuple[int, ...]

GEMM = 1536
"""Rows and columns of the large matrices."""
COPIED_BYTES = (2**20, 2**23, 2**28)
"""Of the copies that bandwidth is measured by: from maps that stay in the caches to memory."""

_aten = torch.ops.aten
_MATRIX_PRODUCTS = {_aten.mm.default: 0, _aten.bmm.default: 0, _aten.addmm.default: 1}
"""And where among the arguments the left matrix is."""
_COUNTED = (_aten.convolution.default, _aten.convolution_backward.default, *_MATRIX_PRODUCTS)
_WITHOUT_TRAFFIC = ("aten::empty", "aten::empty_strided", "aten::empty_like", "aten::new_empty_strided")
_OVERWRITING = ("aten::copy_", "aten::zero_", "aten::fill_", "aten::normal_", "aten::random_")
"""They write the tensor that they are given without reading it."""


@dataclass(frozen=True)
class Lying:
    """A tensor's size, and how it lies in memory."""

    size: Size
    stride: Size

    @classmethod
    def of(cls, tensor: Tensor) -> Lying:
        return cls(tuple(tensor.shape), tensor.stride())

    def made_up(self) -> Tensor:
        return torch.empty_strided(self.size, self.stride).normal_(std=0.1)


@dataclass(frozen=True)
class Convolution:
    """One convolution that a step asks its library for. output: of the forward direction, whatever the kind.

    transposed: fractionally strided, as in a generator; bias: added, or its gradient taken.
    """

    kind: Kind
    input: Lying
    weight: Lying
    output: Lying
    bias: bool
    stride: Size
    padding: Size
    dilation: Size
    transposed: bool
    output_padding: Size
    groups: int

    @property
    def multiply_adds(self) -> int:
        """Every weight meets every image at every place; border taps that meet padding are counted along.

        The places are those of the output; of a transposed convolution, those of the input.
        """
        places = self.input.size if self.transposed else self.output.size
        return places[0] * prod(places[2:]) * prod(self.weight.size)

    def work(self) -> Callable[[], object]:
        """The convolution itself on made-up maps, ready to be timed."""
        input, weight = self.input.made_up(), self.weight.made_up()
        channels = self.output.size[1]
        how = (
            list(self.stride),
            list(self.padding),
            list(self.dilation),
            self.transposed,
            list(self.output_padding),
            self.groups,
        )
        if self.kind == "forward":
            bias = torch.zeros(channels) if self.bias else None
            return lambda: _aten.convolution(input, weight, bias, *how)
        gradient, data = self.output.made_up(), self.kind == "data gradient"
        mask = [data, not data, self.bias and not data]
        sizes = [channels] if self.bias else None
        return lambda: _aten.convolution_backward(gradient, input, weight, sizes, *how, mask)


@dataclass(frozen=True)
class Work:
    """What a piece of work asks of the machine. moved_bytes: read and written by all other operators."""

    convolutions: Mapping[Convolution, int]
    matrix_multiply_adds: int
    moved_bytes: int

    @property
    def operations(self) -> int:
        """Floating point operations of convolutions and matrix products: two for each multiply-add."""
        convolved = sum(one.multiply_adds * times for one, times in self.convolutions.items())
        return 2 * (convolved + self.matrix_multiply_adds)


@dataclass(frozen=True)
class Rates:
    """The best that one process reaches: operations and bytes a second."""

    operations: float
    bytes: float

    def limit_s(self, work: Work) -> float:
        """Seconds that `work` takes at the least: operators come one after the other, each at the best rate."""
        return work.operations / self.operations + work.moved_bytes / self.bytes


class _Counting(TorchDispatchMode):
    """Notes what passes on its way to the kernels, backward passes too."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions: Counter[Convolution] = Counter()
        self.matrix_multiply_adds = 0
        self.moved_bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in _COUNTED:  # in inference mode some come whole that otherwise come in parts
            with self:
                parts = func.decompose(*args, **(kwargs or {}))
            if parts is not NotImplemented:
                return parts
        result = func(*args, **(kwargs or {}))
        if func is _aten.convolution.default:
            self.convolutions[_convolution("forward", args, result, args[2] is not None)] += 1
        elif func is _aten.convolution_backward.default:
            gradient, input, weight, _, *how, (data, of_weight, bias) = args
            for kind, asked in (("data gradient", data), ("weight gradient", of_weight)):
                if asked:
                    with_bias = bias and kind == "weight gradient"
                    self.convolutions[_convolution(kind, (input, weight, None, *how), gradient, with_bias)] += 1
        elif func in _MATRIX_PRODUCTS:
            left = args[_MATRIX_PRODUCTS[func]]
            self.matrix_multiply_adds += result.numel() * left.shape[-1]
        elif not func.is_view and func._schema.name not in _WITHOUT_TRAFFIC:
            self.moved_bytes += _traffic(func, args, kwargs or {}, result)
        return result


def counted(work: Callable[[], object]) -> Work:
    """What `work` asks for; it runs once."""
    with _Counting() as counting:
        work()
    return Work(dict(counting.convolutions), counting.matrix_multiply_adds, counting.moved_bytes)


def convolution_seconds(work: Work, least_s: float = 0.03) -> dict[Convolution, float]:
    """Each convolution of `work` by itself, once, on the threads of this process; medians."""
    return {one: seconds_of(one.work(), least_s) for one in work.convolutions}


def best_rates(convolutions: Mapping[Convolution, float]) -> Rates:
    """The best of these measured convolutions and a large matrix product, and of copies of several sizes."""
    left, right = torch.randn(GEMM, GEMM), torch.randn(GEMM, GEMM)
    operations = [2 * GEMM**3 / seconds_of(lambda: left @ right)]
    operations += [2 * one.multiply_adds / seconds for one, seconds in convolutions.items()]
    return Rates(max(operations), max(copied_bytes_a_second(size) for size in COPIED_BYTES))


def copied_bytes_a_second(size: int) -> float:
    """Read and written while `size` bytes are copied again and again."""
    source, target = torch.zeros(size // 4), torch.zeros(size // 4)
    return 2 * size / seconds_of(lambda: target.copy_(source))


def seconds_of(work: Callable[[], object], least_s: float = 0.03) -> float:
    """The median of at least three runs, after one that is not timed; more until `least_s` is over."""
    with torch.no_grad():
        work()
        found: list[float] = []
        while len(found) < 3 or sum(found) < least_s:
            began = time.perf_counter()
            work()
            found.append(time.perf_counter() - began)
    return median(found)


def _convolution(kind: Kind, args: Any, output: Tensor, bias: bool) -> Convolution:
    input, weight, _, stride, padding, dilation, transposed, output_padding, groups = args
    return Convolution(
        kind,
        Lying.of(input),
        Lying.of(weight),
        Lying.of(output),
        bias,
        tuple(stride),
        tuple(padding),
        tuple(dilation),
        transposed,
        tuple(output_padding),
        groups,
    )


def _traffic(func: Any, args: Any, kwargs: Any, result: Any) -> int:
    """Bytes that one operator reads and writes, each tensor once; of an indexed one only what is taken."""
    schema = func._schema
    if schema.name == "aten::index":
        return 2 * _bytes(result)
    given = [*zip(schema.arguments, args, strict=False)]
    given += [(one, kwargs[one.name]) for one in schema.arguments if one.name in kwargs]
    moved = 0
    for position, (argument, value) in enumerate(given):
        written = argument.alias_info is not None and argument.alias_info.is_write
        read = not (written and position == 0 and schema.name in _OVERWRITING)
        moved += (written + read) * _bytes(value)
    fresh = all(one.alias_info is None for one in schema.returns)
    return moved + (_bytes(result) if fresh else 0)


def _bytes(value: Any) -> int:
    return sum(leaf.nbytes for leaf in tree_leaves(value) if isinstance(leaf, Tensor))
