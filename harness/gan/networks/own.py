"""Networks and normalization layers of one's own, made by the user's code and brought to the harness' shapes."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.errors import OwnPartError


def own_generator(reference: str, hp: Hyperparameters, channels: int, own_code: OwnCode) -> nn.Module:
    """z [N, latent_dim] -> images [N, channels, R, R] in the output's range; OwnPartError where it cannot be made."""
    offered: dict[str, Any] = {
        **dict(hp.own),
        "latent_dim": hp.latent_dim,
        "channels": channels,
        "resolution": hp.resolution,
        "hidden_dim": hp.generator_hidden_dim,
        "kernel_size": hp.generator_kernel_size,
        "dropout": hp.generator_dropout,
        "output": hp.generator_output,
    }
    return _module(reference, own_code.call(reference, **offered))


def own_discriminator(reference: str, hp: Hyperparameters, channels: int, own_code: OwnCode) -> nn.Module:
    """Images [N, channels, R, R] -> logits [N], also where the module gives [N, 1] or [N, 1, 1, 1]."""
    offered: dict[str, Any] = {
        **dict(hp.own),
        "channels": channels,
        "resolution": hp.resolution,
        "hidden_dim": hp.discriminator_hidden_dim,
        "kernel_size": hp.discriminator_kernel_size,
        "dropout": hp.discriminator_dropout,
    }
    network = _module(reference, own_code.call(reference, **offered))
    network.register_forward_hook(partial(_flat_logits, reference))  # a wrapping module would rename the weights
    return network


def own_normalization(
    reference: str, width: int, own: dict[str, int | float | str | bool], own_code: OwnCode
) -> nn.Module:
    """A layer for maps [N, width, m, m] or features [N, width].

    `channels` is the width; where there is none, the first parameter is, if it has to be given and is no own factor.
    """
    takes_width = _width_parameter(own_code.load(reference), own)
    return _module(reference, own_code.call(reference, **{**own, takes_width: width}))


def _width_parameter(part: Any, own: dict[str, int | float | str | bool]) -> str:
    parameters = list(inspect.signature(part).parameters.values()) if callable(part) else []
    if not parameters or any(parameter.name == "channels" for parameter in parameters):
        return "channels"
    first = parameters[0]
    has_to_be_given = first.kind is first.POSITIONAL_OR_KEYWORD and first.default is first.empty
    return first.name if has_to_be_given and first.name not in own else "channels"


def _module(reference: str, made: object) -> nn.Module:
    if not isinstance(made, nn.Module):
        raise OwnPartError(f"gives a {type(made).__name__}, not a torch.nn.Module", where=reference)
    lazy = [name for name, parameter in made.named_parameters() if is_lazy(parameter)]
    if lazy:
        raise OwnPartError(
            f"{lazy[0]} has no size before the first batch (a lazy layer)",
            where=reference,
            remedy="Give the layer its size: first weights and the optimizer need it.",
        )
    return made


def _flat_logits(reference: str, network: nn.Module, images: tuple[Tensor, ...], logits: object) -> Tensor:
    where = f"discriminator {reference}"
    if not isinstance(logits, Tensor):
        raise OwnPartError(f"gives a {type(logits).__name__}, not a tensor", where=where)
    count = len(images[0])
    if tuple(logits.shape) not in ((count,), (count, 1), (count, 1, 1, 1)):
        wanted = f"[{count}], one for each image"
        raise OwnPartError(f"gives logits of shape {list(logits.shape)}, not {wanted}", where=where)
    return logits.reshape(count)
