"""Whether two networks and their loss can work, from one batch of two, before anything trains.

Built-in networks are only shapes here (torch's meta device), so that the widest cost nothing; networks with a part of
one's own are made and run on the CPU. torch's global random state is left as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.errors import OwnPartError
from harness.gan.networks.build import (
    build_discriminator,
    build_generator,
    discriminator_shapes,
    generator_shapes,
    has_own_discriminator_part,
    has_own_generator_part,
    parameter_count,
)
from harness.gan.networks.tracing import LayerCheck, PreflightError, forward, trace

__all__ = ["LayerCheck", "NetworkCheck", "NetworksCheck", "PreflightError", "check_networks"]

BATCH = 2
OTHER_WEIGHTS = 4
"""Draws of weights, far larger than any training gives, under which an output's bounds show."""
FAR = 100.0
ROUNDING = 1e-5
LOSSES_ON_LOGITS = ("bce", "sigmoid_logits", "hinge", "wasserstein_gp")
"""Losses that a discriminator between 0 and 1 cannot minimise: two take its sigmoid, two need values outside."""


@dataclass(frozen=True)
class NetworkCheck:
    """layers: as they ran. parameters: trained values. weights_bytes: of parameters and buffers in a checkpoint."""

    layers: tuple[LayerCheck, ...]
    parameters: int
    weights_bytes: int


@dataclass(frozen=True)
class NetworksCheck:
    """Both networks, and what looks wrong but may be meant."""

    generator: NetworkCheck
    discriminator: NetworkCheck
    warnings: tuple[str, ...]


def check_networks(hp: Hyperparameters, channels: int, own_code: OwnCode) -> NetworksCheck:
    """Runs both networks and an own loss once. channels: of the data's images.

    Raises PreflightError naming network, layer and numbers, OwnPartError for an own part that cannot be made.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        generator, notes_g = _check_generator(hp, channels, own_code)
        discriminator, notes_d = _check_discriminator(hp, channels, own_code)
        if ":" in hp.loss:
            _check_loss(hp, own_code)
    return NetworksCheck(generator, discriminator, (*notes_g, *notes_d))


def _check_generator(hp: Hyperparameters, channels: int, own_code: OwnCode) -> tuple[NetworkCheck, list[str]]:
    where = f"generator {hp.generator}"
    own = has_own_generator_part(hp)
    network = build_generator(hp, channels, _stream(), own_code) if own else generator_shapes(hp, channels)
    latents = torch.randn(BATCH, hp.latent_dim, device="cpu" if own else "meta")
    images, layers = trace(network, latents, where, own_code)
    expected = (channels, hp.resolution, hp.resolution)
    _require_images(images, expected, where)
    checked = NetworkCheck(layers, parameter_count(network), _weights_bytes(network))
    if not own:
        return checked, []
    notes = _without_gradient(network, images, where)
    with torch.no_grad():
        _require_images(forward(network.eval(), latents, where, own_code), expected, f"{where} in eval mode")
        if ":" in hp.generator:
            notes += _check_range(hp, network.train(), images, own_code)
    return checked, notes


def _check_discriminator(hp: Hyperparameters, channels: int, own_code: OwnCode) -> tuple[NetworkCheck, list[str]]:
    where = f"discriminator {hp.discriminator}"
    own = has_own_discriminator_part(hp)
    network = build_discriminator(hp, channels, _stream(), own_code) if own else discriminator_shapes(hp, channels)
    images = torch.rand(BATCH, channels, hp.resolution, hp.resolution, device="cpu" if own else "meta")
    images = images if hp.generator_output == "sigmoid" else images * 2 - 1
    logits, layers = trace(network, images, where, own_code)
    if logits.shape != (BATCH,):
        raise PreflightError(_two_shapes("logits", logits, "[2], one for each image"), where=where)
    checked = NetworkCheck(layers, parameter_count(network), _weights_bytes(network))
    if not own:
        return checked, []
    notes = _without_gradient(network, logits, where)
    coupled = next((layer.name for layer in layers if layer.kind.startswith("BatchNorm")), None)
    if hp.loss == "wasserstein_gp" and coupled:
        notes.append(
            f"{where}: layer {coupled} is batch normalization, under which the gradient penalty of loss wasserstein_gp "
            "is not of each image alone (Gulrajani et al. 2017, section 4)"
        )
    if ":" in hp.discriminator and _takes_logits(hp, own_code):
        _refuse_sigmoid(hp, network, images, layers, own_code)
    return checked, notes


def _require_images(images: Tensor, expected: tuple[int, ...], where: str) -> None:
    if tuple(images.shape) != (BATCH, *expected):
        raise PreflightError(
            _two_shapes("images", images, str([BATCH, *expected])),
            where=where,
            remedy=f"The data's images have {expected[0]} channels and `resolution` is {expected[1]}; a generator is "
            "handed both as `channels` and `resolution`.",
        )
    if not images.is_floating_point():
        raise PreflightError(f"gives images of {images.dtype}, not torch.float32", where=where)


def _two_shapes(what: str, got: Tensor, wanted: str) -> str:
    return f"gives {what} of shape {list(got.shape)}, not {wanted}"


def _check_range(hp: Hyperparameters, network: nn.Module, images: Tensor, own_code: OwnCode) -> list[str]:
    """Images within the range that the data are scaled to; a warning where only these first weights keep them there."""
    where = f"generator {hp.generator}"
    low, high = (-1.0, 1.0) if hp.generator_output == "tanh" else (0.0, 1.0)
    asked = f'generator_output "{hp.generator_output}" scales the data to [{low:g}, {high:g}]'
    remedy = "End the network with the matching layer (it is handed `output`), or set generator_output to what it does."
    least, most = images.min().item(), images.max().item()
    if not torch.isfinite(images).all():
        raise PreflightError("gives images with NaN or infinite values under its first weights", where=where)
    if least < low - ROUNDING or most > high + ROUNDING:
        raise PreflightError(f"gives images in [{least:.3g}, {most:.3g}]; {asked}", where=where, remedy=remedy)
    latents = torch.randn(BATCH, hp.latent_dim)
    least, most = _bounds(_under_other_weights(network, latents, where, own_code))
    if low < 0 and least >= 0 and most <= high + ROUNDING:
        raise PreflightError(
            f"gives images in [0, 1] whatever its weights, as a sigmoid does; {asked}", where=where, remedy=remedy
        )
    if least < low - ROUNDING or most > high + ROUNDING:
        return [f"{where}: other weights give images outside [{low:g}, {high:g}]; {asked}. {remedy}"]
    return []


def _refuse_sigmoid(
    hp: Hyperparameters, network: nn.Module, images: Tensor, layers: tuple[LayerCheck, ...], own_code: OwnCode
) -> None:
    where = f"discriminator {hp.discriminator}"
    with torch.no_grad():
        least, most = _bounds(_under_other_weights(network, images * FAR, where, own_code))
    if least < 0 or most > 1:
        return
    named = next((f"layer {layer.name}, " for layer in reversed(layers) if layer.kind in ("Sigmoid", "Softmax")), "")
    raise PreflightError(
        f"its outputs lie in [0, 1] whatever its weights ({named}a sigmoid at the end), and loss {hp.loss} takes "
        "logits: " + _consequence(hp.loss),
        where=where,
        remedy="Leave the last sigmoid out: the loss takes the raw output.",
    )


def _consequence(loss: str) -> str:
    if loss in ("hinge", "wasserstein_gp"):
        return "values outside [0, 1] are what it learns from"
    return "the sigmoid would be applied twice"


def _takes_logits(hp: Hyperparameters, own_code: OwnCode) -> bool:
    if ":" in hp.loss:
        return bool(getattr(own_code.call(hp.loss, **dict(hp.own)), "probabilities", False))
    return hp.loss in LOSSES_ON_LOGITS


def _under_other_weights(network: nn.Module, batch: Tensor, where: str, own_code: OwnCode) -> Iterator[Tensor]:
    """What the network gives under random large weights; the network is of no use afterwards."""
    for _ in range(OTHER_WEIGHTS):
        for parameter in network.parameters():
            parameter.normal_(0.0, FAR)
        yield forward(network, batch, where, own_code)


def _bounds(outputs: Iterator[Tensor]) -> tuple[float, float]:
    """Least and most of the finite values; an overflow tells nothing."""
    values = torch.cat([output.flatten() for output in outputs])
    finite = values[values.isfinite()]
    return (finite.min().item(), finite.max().item()) if len(finite) else (-torch.inf, torch.inf)


def _without_gradient(network: nn.Module, output: Tensor, where: str) -> list[str]:
    """A warning for each trained parameter that the output does not depend on."""
    trained = {name: parameter for name, parameter in network.named_parameters() if parameter.requires_grad}
    if not trained:
        return [f"{where}: has no parameters to train"]
    if not output.requires_grad:
        raise PreflightError("its output does not depend on its parameters by gradients", where=where)
    weights = torch.randn_like(output)
    gradients = torch.autograd.grad((output * weights).sum(), list(trained.values()), allow_unused=True)
    unused = [name for name, gradient in zip(trained, gradients, strict=True) if gradient is None]
    return [f"{where}: {name} gets no gradient, so it stays at its first values" for name in unused]


def _check_loss(hp: Hyperparameters, own_code: OwnCode) -> None:
    loss = own_code.call(hp.loss, **dict(hp.own))
    where = f"loss {hp.loss}"
    for name, batches in (("discriminator", 2), ("generator", 1)):
        method = getattr(loss, name, None)
        if not callable(method):
            raise PreflightError(
                f"has no method {name!r}",
                where=where,
                remedy="A loss has discriminator(real_logits, fake_logits) and generator(fake_logits).",
            )
        logits = [torch.randn(4, requires_grad=True) for _ in range(batches)]
        try:
            with own_code.told(f"{where}: {name} of logits [4]"):
                value = method(*logits)
        except OwnPartError:
            raise
        except Exception as error:  # losses of one's own may raise anything
            raise PreflightError(f"{name}: {type(error).__name__}: {error}", where=where) from error
        _require_scalar(value, name, where)


def _require_scalar(value: object, name: str, where: str) -> None:
    if not isinstance(value, Tensor) or value.dim() > 0:
        got = f"a tensor {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise PreflightError(
            f"{name} gives {got} for logits [4], not a scalar tensor []",
            where=where,
            remedy="Take the mean over the batch.",
        )
    if not value.isfinite():
        raise PreflightError(f"{name} gives {value.item()} for logits near 0", where=where)
    if not value.requires_grad:
        raise PreflightError(f"{name} gives a value without gradients, not one made of the logits", where=where)


def _weights_bytes(network: nn.Module) -> int:
    """Of parameters and kept buffers, each counted once."""
    kept = {id(tensor): tensor for tensor in network.state_dict(keep_vars=True).values()}
    return sum(tensor.numel() * tensor.element_size() for tensor in kept.values())


def _stream() -> torch.Generator:
    return torch.Generator().manual_seed(0)
