"""A built-in network of given levels as one readable file of one's own: the place to start from for changing it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.design.own_parts import is_own
from harness.errors import HarnessError
from harness.gan.networks.build import discriminator_shapes, generator_shapes, parameter_count
from harness.gan.networks.tracing import trace

_STEP = " " * 4


def eject(hp: Hyperparameters, channels: int, network: Literal["generator", "discriminator"]) -> str:
    """The text of a Python file with the class `Generator` or `Discriminator`: literal sizes, nothing of the harness.

    Its state dict has the built-in network's names in the same order, so that equal seeds and initializations give
    equal first weights. HarnessError where the network or its normalization is already of one's own.
    """
    _require_built_in(hp, network)
    size = [2, channels, hp.resolution, hp.resolution]
    if network == "generator":
        layers, batch = generator_shapes(hp, channels), torch.empty(2, hp.latent_dim, device="meta")
        shapes = f"z [N, {hp.latent_dim}] -> images {_batched(size[1:])} in {_range(hp)}"
    else:
        layers, batch = discriminator_shapes(hp, channels), torch.empty(size, device="meta")
        shapes = f"Images {_batched(size[1:])} in {_range(hp)} -> logits [N]"
    argument = "z" if network == "generator" else "images"
    lines = [
        *_head(hp, network, layers),
        f"class {network.capitalize()}(nn.Module):",
        f'{_STEP}"""{shapes}."""',
        "",
        f"{_STEP}def __init__(self) -> None:",
        f"{_STEP * 2}super().__init__()",
        *(line for name, module in layers.named_children() for line in _attribute(name, module)),
        "",
        f"{_STEP}def forward(self, {argument}: torch.Tensor) -> torch.Tensor:",
        *_forward(layers, batch, argument),
    ]
    return "\n".join(lines) + "\n"


def _require_built_in(hp: Hyperparameters, network: Literal["generator", "discriminator"]) -> None:
    levels = hp.model_dump()
    for factor in (network, f"{network}_normalization"):
        if is_own(levels[factor]):
            raise HarnessError(
                f"{factor} is {levels[factor]}, a part of your own; only built-in networks can be written out",
                where=network,
                remedy=f"Choose a cell with a built-in {factor}, and put yours into the file that is written."
                if factor != network
                else "Copy your own file.",
            )


def _head(hp: Hyperparameters, network: str, layers: nn.Module) -> list[str]:
    levels = hp.model_dump()
    modules = list(layers.modules())
    width = f"hidden_dim {levels[f'{network}_hidden_dim']}, resolution {hp.resolution}"
    head = [
        f'"""The {network} "{levels[network]}" of {width}: {parameter_count(layers):,} parameters.',
        "",
        "Written by `harness eject`, to be changed at will. Layers keep the names that they have in checkpoints; their",
        "first weights are those of `initialization`.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
    ]
    if any(isinstance(module, nn.Sequential) for _, module in layers.named_children()):
        head += ["from collections import OrderedDict", ""]
    head += ["import torch", "from torch import nn"]
    if any(is_parametrized(module) for module in modules):
        head.append("from torch.nn.utils.parametrizations import spectral_norm")
    return [*head, "", ""]


def _attribute(name: str, module: nn.Module) -> Iterator[str]:
    if not isinstance(module, nn.Sequential):
        yield f"{_STEP * 2}self.{name} = {_expression(module)}"
        return
    yield f"{_STEP * 2}self.{name} = nn.Sequential("
    yield f"{_STEP * 3}OrderedDict("
    for part, layer in module.named_children():
        if not isinstance(layer, nn.Identity):
            yield f"{_STEP * 4}{part}={_expression(layer)},"
    yield f"{_STEP * 3})"
    yield f"{_STEP * 2})"


def _forward(layers: nn.Module, batch: torch.Tensor, argument: str) -> Iterator[str]:
    """One line for each named part, with the shape that it gives."""
    _, seen = trace(layers, batch, "eject", OwnCode({}))
    names = [name for name, _ in layers.named_children()]
    incoming = argument
    for name in names:
        shape = next(layer.output for layer in reversed(seen) if layer.name.split(".")[0] == name)
        result = "return" if name == names[-1] else "x ="
        yield f"{_STEP * 2}{result} self.{name}({incoming})  # {_batched(shape)}"
        incoming = "x"


def _batched(shape: tuple[int, ...] | list[int]) -> str:
    return f"[{', '.join(['N', *map(str, shape)])}]"


def _range(hp: Hyperparameters) -> str:
    return "[-1, 1]" if hp.generator_output == "tanh" else "[0, 1]"


def _expression(module: nn.Module) -> str:
    """How the layer is made, as Python writes it."""
    if is_parametrized(module):
        return f"spectral_norm({_layer(module)})"
    return _layer(module)


def _layer(module: nn.Module) -> str:
    match module:
        case nn.Conv2d() | nn.ConvTranspose2d():
            return _convolution(module)
        case nn.Linear():
            return f"nn.Linear({module.in_features}, {module.out_features})"
        case nn.BatchNorm2d():
            return f"nn.BatchNorm2d({module.num_features})"
        case nn.BatchNorm1d():
            return f"nn.BatchNorm1d({module.num_features})"
        case nn.InstanceNorm2d():
            return f"nn.InstanceNorm2d({module.num_features}, affine=True)"
        case nn.LeakyReLU():
            return f"nn.LeakyReLU({module.negative_slope})"
        case nn.ReLU() | nn.Tanh() | nn.Sigmoid():
            return f"nn.{type(module).__name__}()"
        case nn.Dropout() | nn.Dropout2d():
            return f"nn.{type(module).__name__}({module.p})"
        case nn.Flatten():
            return "nn.Flatten(0)" if module.start_dim == 0 else "nn.Flatten()"
        case nn.Unflatten():
            return f"nn.Unflatten({module.dim}, {tuple(module.unflattened_size)})"
        case nn.Upsample():
            return f"nn.Upsample(scale_factor={math.trunc(_scale(module))})"
    raise TypeError(f"no spelling is known for {type(module).__name__}")


def _scale(module: nn.Upsample) -> float:
    scale = module.scale_factor
    if not isinstance(scale, float):
        raise TypeError(f"an upsampling by {scale}, not by one factor")
    return scale


def _convolution(module: nn.Conv2d | nn.ConvTranspose2d) -> str:
    kind = "ConvTranspose2d" if isinstance(module, nn.ConvTranspose2d) else "Conv2d"
    parts = [f"{module.in_channels}", f"{module.out_channels}", f"{module.kernel_size[0]}"]
    if module.stride[0] != 1:
        parts.append(f"stride={module.stride[0]}")
    if module.padding[0] != 0:
        parts.append(f"padding={module.padding[0]}")
    if isinstance(module, nn.ConvTranspose2d) and module.output_padding[0] != 0:
        parts.append(f"output_padding={module.output_padding[0]}")
    if module.bias is None:
        parts.append("bias=False")
    return f"nn.{kind}({', '.join(parts)})"
