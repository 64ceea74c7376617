"""Whether a network with a part of one's own can compute in bfloat16, tried before anything trains."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.data.own_code import OwnCode
from harness.errors import HarnessError
from harness.gan.networks.tracing import PreflightError, forward
from harness.gan.precision import outputs


def try_bfloat16(network: nn.Module, batch: Tensor, where: str, own_code: OwnCode) -> None:
    """Runs `network` forwards and backwards as a step with precision bf16 does.

    PreflightError for what its code raises, which may mix bfloat16 maps with float32 values of its own.
    """
    where = f"{where} with precision bf16"
    remedy = 'Let it compute on `maps.float()` where it mixes them with its own values, or set precision = "float32".'
    try:
        with torch.autocast(batch.device.type, dtype=torch.bfloat16):
            forward(network, batch, where, own_code)
        with own_code.told(f"{where}: gradients"):
            torch.autograd.backward(outputs(network, "bf16", batch)[0].sum())
    except HarnessError as error:
        raise PreflightError(error.what, where=error.where, remedy=error.remedy or remedy) from error
    except Exception as error:  # layers of one's own may raise anything
        raise PreflightError(f"gradients: {type(error).__name__}: {error}", where=where, remedy=remedy) from error
    network.zero_grad()
