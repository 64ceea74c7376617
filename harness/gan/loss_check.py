"""Whether a loss of one's own gives what training takes, from a few logits before anything trains."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.errors import OwnPartError
from harness.gan.labels import Targets
from harness.gan.losses import adversarial_loss
from harness.gan.networks.tracing import PreflightError

LOGITS = 4


def check_own_loss(hp: Hyperparameters, own_code: OwnCode) -> None:
    """PreflightError for a value that is no scalar to be minimised; OwnPartError for a loss that cannot be made."""
    loss = adversarial_loss(hp, own_code)
    targets = Targets(torch.ones(LOGITS), torch.zeros(LOGITS))
    _check_value("discriminator", lambda: loss.discriminator(_logits(), _logits(), targets), hp.loss, own_code)
    _check_value("generator", lambda: loss.generator(_logits()), hp.loss, own_code)


def _check_value(name: str, made: Callable[[], object], reference: str, own_code: OwnCode) -> None:
    where = f"loss {reference}"
    try:
        with own_code.told(f"{where}: {name} of logits [{LOGITS}]"):
            value = made()
    except OwnPartError:
        raise
    except Exception as error:  # losses of one's own may raise anything
        raise PreflightError(f"{name}: {type(error).__name__}: {error}", where=where) from error
    _require_scalar(value, name, where)


def _logits() -> Tensor:
    return torch.randn(LOGITS, requires_grad=True)


def _require_scalar(value: object, name: str, where: str) -> None:
    if not isinstance(value, Tensor) or value.dim() > 0:
        got = f"a tensor {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise PreflightError(
            f"{name} gives {got} for logits [{LOGITS}], not a scalar tensor []",
            where=where,
            remedy="Take the mean over the batch.",
        )
    if not value.isfinite():
        raise PreflightError(f"{name} gives {value.item()} for logits near 0", where=where)
    if not value.requires_grad:
        raise PreflightError(f"{name} gives a value without gradients, not one made of the logits", where=where)
