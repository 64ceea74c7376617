"""Where the time of one training step goes: a profile of real steps, by kind of work and by layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

Shapes = tuple[tuple[int, ...], tuple[int, ...]]
"""Of a convolution's input and weight; in a network of DCGAN's kind they tell its layers apart."""

FORWARD = ("aten::convolution", "aten::_convolution", "aten::mkldnn_convolution", "aten::slow_conv_transpose2d")
BACKWARD = ("aten::convolution_backward", "aten::mkldnn_convolution_backward")
KINDS: Mapping[str, tuple[str, ...]] = {
    "Adam": ("aten::_fused_adam_", "Optimizer."),
    "batch normalization": ("aten::native_batch_norm", "aten::batch_norm", "aten::_batch_norm"),
    "activations": ("aten::leaky_relu", "aten::relu", "aten::threshold", "aten::tanh", "aten::sigmoid"),
    "drawing of latents": ("aten::normal_", "aten::randn", "aten::random_"),
    "batches": ("aten::index", "aten::randperm", "aten::sub", "aten::div"),
    "copies, fills and sums of gradients": (
        "aten::copy_", "aten::_to_copy", "aten::clone", "aten::fill_", "aten::zero_", "aten::add", "aten::contiguous",
    ),
}  # fmt: skip
"""Beginnings of the operators' names."""
OTHER = "other operators, losses and metrics among them"
PYTHON = "between operators: Python, autograd, records"


@dataclass(frozen=True)
class Profile:
    """shares: of a step's time by kind of work, the largest first, 1 in all; steps: profiled.

    profiled_s: of one step under the profiler, which slows Python down.
    """

    latent_dim: int
    hidden_dim: int
    steps: int
    profiled_s: float
    shares: Mapping[str, float]


def layers(generator: nn.Module, discriminator: nn.Module, latents: torch.Tensor) -> dict[Shapes, str]:
    """The convolutions' names by what they are given; one pass through both networks."""
    found: dict[Shapes, str] = {}
    taken = []
    for network, owner in ((generator, "G"), (discriminator, "D")):
        for name, layer in network.named_modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                called = f"{owner} {name.removesuffix('.weighted')}"
                taken.append(layer.register_forward_hook(_noting(found, called)))
    with torch.no_grad():
        discriminator(generator(latents))
    for hook in taken:
        hook.remove()
    return found


@contextmanager
def profiling(into: dict[str, float], named: Mapping[Shapes, str]) -> Iterator[None]:
    """A block whose operators' own seconds are added to `into` by kind of work, on one thread."""
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True, acc_events=True) as profiler:
        yield
    for event in profiler.key_averages(group_by_input_shape=True):
        kind = kind_of(event.key, event.input_shapes, named)
        into[kind] = into.get(kind, 0.0) + event.self_cpu_time_total / 1e6


def kind_of(operator: str, shapes: Any, named: Mapping[Shapes, str]) -> str:
    """Of an operator with the shapes of its inputs."""
    if operator in FORWARD:
        return f"{_layer(shapes[0], shapes[1], named)}, forward"
    if operator in BACKWARD:
        return f"{_layer(shapes[1], shapes[2], named)}, backward"
    for kind, beginnings in KINDS.items():
        if operator.startswith(beginnings):
            return kind
    return OTHER if operator.startswith("aten::") else PYTHON


def is_convolution(kind: str) -> bool:
    """Of the kinds that `kind_of` gives."""
    return kind.endswith((", forward", ", backward"))


def shares(seconds: Mapping[str, float], whole_s: float) -> dict[str, float]:
    """Of the whole, the largest first; what no operator took is between them."""
    found: dict[str, float] = defaultdict(float)
    for kind, taken in seconds.items():
        if kind != PYTHON:
            found[kind] += taken / whole_s
    found[PYTHON] = max(0.0, 1.0 - sum(found.values()))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _layer(input: Any, weight: Any, named: Mapping[Shapes, str]) -> str:
    return named.get((tuple(input), tuple(weight)), "another convolution")


def _noting(found: dict[Shapes, str], name: str) -> Callable[..., None]:
    def note(layer: nn.Module, inputs: tuple[torch.Tensor, ...], _output: object) -> None:
        found[tuple(inputs[0].shape), tuple(layer.weight.shape)] = name

    return note
