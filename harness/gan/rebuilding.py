"""Whether a network with a part of one's own is all in its state dict.

Each measurement and picture, and a run that is resumed, make the network anew and fill it from stored weights. What the
user's code keeps elsewhere (an attribute, a buffer that is not persistent, the module's own names) would be another.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.data.own_code import OwnCode
from harness.gan.networks.tracing import PreflightError, forward

MOVED = 0.1
"""SD of what is added to trained weights: first ones may hide a value, as a gate that begins at 0 does."""
ROUNDING = 1e-5
"""Of the largest output; equal networks differ by nothing, or by the order of a sum."""


def passing_buffers(network: nn.Module) -> dict[str, Tensor]:
    """Copies of the buffers that the state dict leaves out."""
    kept = network.state_dict().keys()
    return {name: buffer.clone() for name, buffer in network.named_buffers() if name not in kept}


def refuse_changed_buffers(before: dict[str, Tensor], network: nn.Module, where: str) -> None:
    """PreflightError where a batch in train mode changed a buffer that is not stored."""
    for name, buffer in passing_buffers(network).items():
        if name not in before or not torch.equal(before[name], buffer):
            raise PreflightError(
                f"buffer {name} changes while the network trains, and a checkpoint does not hold it",
                where=where,
                remedy="Register it with persistent=True, which is the default.",
            )


@dataclass(frozen=True)
class Rebuilding:
    """Two networks of the same levels from different random streams, one to be filled from the other."""

    network: nn.Module
    again: nn.Module
    batch: Tensor
    where: str
    own_code: OwnCode

    def check(self) -> None:
        """PreflightError where equal weights do not give equal outputs. Neither network is of use afterwards."""
        first = self._weights()
        moved = {name: tensor + MOVED * torch.randn_like(tensor) for name, tensor in self._trained().items()}
        for weights in (first, first | moved):
            for training in (True, False):
                self._compare(weights, training)

    def _compare(self, weights: dict[str, Tensor], training: bool) -> None:
        wanted = self._output(self.network, weights, training)
        if _close(wanted, self._output(self.again, weights, training)):
            return
        if not _close(wanted, self._output(self.network, weights, training)):
            raise PreflightError(
                "gives other outputs each time for the same weights and input",
                where=self.where,
                remedy="What it draws, it has to draw by torch from torch's own random state; what it counts or "
                "remembers belongs into register_buffer.",
            )
        raise PreflightError(
            "holds values outside its parameters and buffers: made again and filled with the same weights, it gives "
            "other outputs",
            where=self.where,
            remedy="Keep them with register_buffer(NAME, VALUE), so that checkpoints and states hold them.",
        )

    def _output(self, network: nn.Module, weights: dict[str, Tensor], training: bool) -> Tensor:
        with self.own_code.told("filling it with stored weights"):
            try:
                network.load_state_dict(weights, strict=True)
            except RuntimeError as error:
                raise PreflightError(
                    f"cannot be filled with its own weights: {' '.join(str(error).split())}", where=self.where
                ) from error
        torch.default_generator.manual_seed(0)
        with torch.no_grad():
            return forward(network.train(training), self.batch, self.where, self.own_code)

    def _weights(self) -> dict[str, Tensor]:
        weights: dict[str, Tensor] = {}
        for name, value in self.network.state_dict().items():
            if not isinstance(value, Tensor):
                raise PreflightError(f"its state dict holds a {type(value).__name__} as {name}", where=self.where)
            weights[name] = value.clone()
        return weights

    def _trained(self) -> dict[str, Tensor]:
        floats = ((name, parameter) for name, parameter in self.network.named_parameters() if parameter.requires_grad)
        return {name: parameter.detach().clone() for name, parameter in floats}


def _close(one: Tensor, other: Tensor) -> bool:
    one, other = one.nan_to_num(), other.nan_to_num()
    return one.shape == other.shape and bool((one - other).abs().max() <= ROUNDING * one.abs().max())
