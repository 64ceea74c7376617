"""Whether two networks and their loss can work, from one batch of two, before anything trains.

Of built-in networks only shapes count here, and the widest cost nothing (torch's meta device); networks with a part of
one's own are made and run on the CPU. torch's global random state is left as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.design.own_parts import is_own
from harness.errors import HarnessError
from harness.gan.loss_check import check_own_loss
from harness.gan.losses import adversarial_loss, gradient_penalty
from harness.gan.networks.build import (
    build_discriminator,
    build_generator,
    discriminator_shapes,
    generator_shapes,
    has_own_discriminator_part,
    has_own_generator_part,
    parameter_count,
)
from harness.gan.networks.initialization import left_as_made
from harness.gan.networks.memory import device_of, with_memory
from harness.gan.networks.sizes import weights_bytes
from harness.gan.networks.tracing import LayerCheck, PreflightError, forward, trace
from harness.gan.precision_check import try_bfloat16
from harness.gan.rebuilding import Rebuilding, passing_buffers, refuse_changed_buffers

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
        if is_own(hp.loss):
            check_own_loss(hp, own_code)
    return NetworksCheck(generator, discriminator, (*notes_g, *notes_d))


def _check_generator(hp: Hyperparameters, channels: int, own_code: OwnCode) -> tuple[NetworkCheck, list[str]]:
    where = f"generator {hp.generator}"
    own = has_own_generator_part(hp)
    network = build_generator(hp, channels, _stream(), own_code) if own else with_memory(generator_shapes(hp, channels))
    latents = torch.randn(BATCH, hp.latent_dim, device=device_of(network))
    passing = passing_buffers(network)
    images, layers = trace(network, latents, where, own_code)
    expected = (channels, hp.resolution, hp.resolution)
    _require_images(images, expected, where)
    checked = NetworkCheck(layers, parameter_count(network), weights_bytes(network))
    if not own:
        return checked, []
    notes = _without_gradient(network, images, where) + _left_as_made(network, hp, where)
    if hp.precision == "bf16":
        try_bfloat16(network, latents, where, own_code)
    refuse_changed_buffers(passing, network, where)
    with torch.no_grad():
        _require_images(forward(network.eval(), latents, where, own_code), expected, f"{where} in eval mode")
        again = build_generator(hp, channels, _stream(1), _anew(own_code))
        Rebuilding(network, again, latents, where, own_code).check()
        if is_own(hp.generator):
            notes += _check_range(hp, network.train(), images, own_code)
    return checked, notes


def _check_discriminator(hp: Hyperparameters, channels: int, own_code: OwnCode) -> tuple[NetworkCheck, list[str]]:
    where = f"discriminator {hp.discriminator}"
    own = has_own_discriminator_part(hp)
    shapes = None if own else with_memory(discriminator_shapes(hp, channels))
    network = shapes or build_discriminator(hp, channels, _stream(), own_code)
    images = torch.rand(BATCH, channels, hp.resolution, hp.resolution, device=device_of(network))
    images = images if hp.generator_output == "sigmoid" else images * 2 - 1
    passing = passing_buffers(network)
    logits, layers = trace(network, images, where, own_code)
    if logits.shape != (BATCH,):
        raise PreflightError(_two_shapes("logits", logits, "[2], one for each image"), where=where)
    checked = NetworkCheck(layers, parameter_count(network), weights_bytes(network))
    if not own:
        return checked, []
    notes = _without_gradient(network, logits, where) + _left_as_made(network, hp, where)
    if hp.precision == "bf16":
        try_bfloat16(network, images, where, own_code)
    refuse_changed_buffers(passing, network, where)
    if hp.loss == "wasserstein_gp" and hp.gradient_penalty > 0:
        notes += _coupled_images(network, layers, where)
        _try_gradient_penalty(network, images, where, own_code)
    again = build_discriminator(hp, channels, _stream(1), _anew(own_code))
    Rebuilding(network, again, images, where, own_code).check()
    if is_own(hp.discriminator) and _takes_logits(hp, own_code):
        _refuse_sigmoid(hp, network.train(), images, layers, own_code)
    return checked, notes


def _coupled_images(network: nn.Module, layers: tuple[LayerCheck, ...], where: str) -> list[str]:
    """A warning for batch normalization that ran, of torch or made of it, whatever its class is called."""
    ran = {layer.name for layer in layers}
    for name, module in network.named_modules():
        if name in ran and isinstance(module, _BatchNorm):
            return [
                f"{where}: layer {name} is batch normalization, under which the gradient penalty of loss "
                "wasserstein_gp is not of each image alone (Gulrajani et al. 2017, section 4)"
            ]
    return []


def _try_gradient_penalty(network: nn.Module, images: Tensor, where: str, own_code: OwnCode) -> None:
    """The discriminator's gradients by its images are trained on, and not all code can be differentiated twice."""
    doing = "the gradient penalty of loss wasserstein_gp"
    others, mixing = images[torch.randperm(BATCH)] * torch.rand(1), torch.rand(BATCH)
    try:
        with own_code.told(f"{where}: {doing}"):
            torch.autograd.backward(gradient_penalty(network, images, others, mixing))
    except HarnessError:
        raise
    except Exception as error:  # layers of one's own may raise anything
        raise PreflightError(f"{doing}: {type(error).__name__}: {error}", where=where) from error
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    network.zero_grad()
    for name, gradient in gradients.items():
        if gradient is not None and not gradient.isfinite().all():
            raise PreflightError(f"{doing} gives {name} a gradient with NaN or infinite values", where=where)


def _left_as_made(network: nn.Module, hp: Hyperparameters, where: str) -> list[str]:
    return [
        f"{where}: layer {name} makes its weight of several tensors, so initialization {hp.initialization} leaves it "
        "as PyTorch made it"
        for name in left_as_made(network, hp.initialization)
    ]


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
    return adversarial_loss(hp, own_code).probabilities if is_own(hp.loss) else hp.loss in LOSSES_ON_LOGITS


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


def _stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _anew(own_code: OwnCode) -> OwnCode:
    """The files imported once more, as another process does; as they are where the copies are gone by now."""
    return OwnCode(own_code.files) if all(path.is_file() for path in own_code.files.values()) else own_code
