"""One forward pass, watched layer by layer: shapes, parameters, and what does not fit before torch stumbles over it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from harness.data.own_code import OwnCode
from harness.errors import HarnessError, OwnPartError


class PreflightError(HarnessError):
    """A network or a loss that cannot work, found before training. where: the network; what: the layer and numbers."""


@dataclass(frozen=True)
class LayerCheck:
    """name: as in the checkpoint; kind: the layer's class; output: its shape without the batch; parameters: trained."""

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int


@dataclass
class Trace:
    """layers: those that ran, in order. entered: the one that runs now."""

    layers: list[LayerCheck] = field(default_factory=list)
    entered: str = ""


def trace(network: nn.Module, batch: Tensor, where: str, own_code: OwnCode) -> tuple[Tensor, tuple[LayerCheck, ...]]:
    """What `network` gives for `batch`, and its layers. PreflightError for a layer that does not fit its input.

    Layers are modules without submodules, and those that have parameters of their own. Whatever else the user's code
    or torch raises becomes a PreflightError too, with the layer that ran.
    """
    seen = Trace()
    with _watched(network, seen, where):
        output = forward(network, batch, where, own_code, seen)
    return output, tuple(seen.layers)


def forward(network: nn.Module, batch: Tensor, where: str, own_code: OwnCode, seen: Trace | None = None) -> Tensor:
    """What `network` gives for `batch`; PreflightError for whatever its code raises or where it gives no tensor."""
    doing = f"{list(batch.shape)} goes in"
    try:
        with own_code.told(doing):
            output: object = network(batch)
    except PreflightError:
        raise
    except OwnPartError as error:
        what = error.what if error.where == where else f"{where}: {_at(seen)}{error.what}"
        raise PreflightError(what, where=error.where, remedy=error.remedy) from error
    except Exception as error:  # layers of one's own may raise anything
        raise PreflightError(f"{_at(seen)}{doing}: {type(error).__name__}: {error}", where=where) from error
    if not isinstance(output, Tensor):
        raise PreflightError(f"gives a {type(output).__name__}, not a tensor", where=where)
    return output


def _at(seen: Trace | None) -> str:
    return f"layer {seen.entered}: " if seen and seen.entered else ""


@contextmanager
def _watched(network: nn.Module, seen: Trace, where: str) -> Iterator[None]:
    handles = []
    for name, module in network.named_modules():
        if _is_layer(name, module):
            handles.append(module.register_forward_pre_hook(_before(name, seen, where)))
            handles.append(module.register_forward_hook(_after(name, seen, where)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _is_layer(name: str, module: nn.Module) -> bool:
    if "parametrizations" in name.split("."):
        return False
    submodules = any(child != "parametrizations" for child, _ in module.named_children())
    return not submodules or any(True for _ in module.parameters(recurse=False))


def _before(name: str, seen: Trace, where: str) -> Any:
    def watch(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        seen.entered = name
        if inputs and isinstance(inputs[0], Tensor):
            misfit = _misfit(module, inputs[0])
            if misfit:
                raise PreflightError(f"layer {name} ({_kind(module)}): {misfit}", where=where)

    return watch


def _after(name: str, seen: Trace, where: str) -> Any:
    def watch(module: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
        seen.entered = ""
        if isinstance(module, nn.Identity) or not isinstance(output, Tensor):
            return
        if name.endswith(".normalization") and isinstance(inputs[0], Tensor) and inputs[0].shape != output.shape:
            raise PreflightError(
                f"layer {name} ({_kind(module)}): a normalization keeps the shape, and this one makes "
                f"{list(output.shape)} of {list(inputs[0].shape)}",
                where=where,
            )
        seen.layers.append(LayerCheck(name, _kind(module), tuple(output.shape[1:]), _parameters(module)))

    return watch


def _kind(module: nn.Module) -> str:
    return type(module).__name__.removeprefix("Parametrized")


def _parameters(module: nn.Module) -> int:
    own = [*module.parameters(recurse=False)]
    parametrizations = getattr(module, "parametrizations", None)
    if isinstance(parametrizations, nn.ModuleDict):
        own += parametrizations.parameters()
    return sum(parameter.numel() for parameter in own)


def _misfit(module: nn.Module, incoming: Tensor) -> str | None:
    """Why a layer cannot take a batch of this shape; None where it can, or where only torch knows."""
    shape = list(incoming.shape)
    match module:
        case nn.Conv2d() | nn.ConvTranspose2d() if incoming.dim() != 4:
            return f"takes maps [N, {module.in_channels}, height, width] and gets {shape}"
        case nn.Conv2d() | nn.ConvTranspose2d() if shape[1] != module.in_channels:
            return f"takes {module.in_channels} channels and gets {shape[1]} ({shape})"
        case nn.Conv2d():
            return _kernel_misfit(module, shape)
        case nn.Linear() if shape[-1] != module.in_features:
            return f"takes {module.in_features} features and gets {shape[-1]} ({shape})"
        case nn.BatchNorm2d() | nn.InstanceNorm2d() if incoming.dim() != 4:
            return f"takes maps [N, {module.num_features}, height, width] and gets {shape}"
        case nn.BatchNorm1d() | nn.BatchNorm2d() | nn.InstanceNorm2d() if shape[1] != module.num_features:
            return f"takes {module.num_features} channels and gets {shape[1]} ({shape})"
        case nn.InstanceNorm2d() if shape[2] * shape[3] == 1:
            return f"normalizes each map by itself, and a map of 1x1 ({shape}) has no spread"
    return None


def _kernel_misfit(convolution: nn.Conv2d, shape: list[int]) -> str | None:
    if isinstance(convolution.padding, str):
        return None
    for side, kernel, padding, dilation in zip(
        shape[2:], convolution.kernel_size, convolution.padding, convolution.dilation, strict=True
    ):
        reach = dilation * (kernel - 1) + 1
        if reach > side + 2 * padding:
            padded = f", {side + 2 * padding} with its padding of {padding}" if padding else ""
            return f"a kernel of {reach} does not fit a map of {shape[2]}x{shape[3]}{padded}"
    return None
