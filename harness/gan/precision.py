"""In what precision a step computes: bfloat16 within the networks, TF32 or float32 on a GPU.

Whatever the level, weights, optimizers, the moving average, running statistics, losses, gradient penalty, records and
checkpoints are float32, and images are generated in float32 for pictures and evaluation.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from harness.design.factors import Precision
from harness.errors import DeviceError

_TF32_CAPABILITY = (8, 0)
"""The first of NVIDIA's GPUs with TF32 and bfloat16 (Ampere)."""

_FAST_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""CPU instructions for products of bfloat16, as torch names them; x86, then ARM."""

_log = logging.getLogger("harness")


def outputs(network: nn.Module, precision: Precision, *batches: Tensor) -> list[Tensor]:
    """What the network gives for each batch, in order; float32 where it computes in bfloat16.

    With bf16 the weights are rounded to bfloat16 once for all `batches`, and their gradients come back as float32
    (mixed precision: Micikevicius et al. 2018, arXiv:1710.03740; bfloat16 needs no scaling of the loss).
    """
    if precision != "bf16":
        return [network(batch) for batch in batches]
    with torch.autocast(batches[0].device.type, dtype=torch.bfloat16):
        return [network(batch).float() for batch in batches]


@contextmanager
def gpu_arithmetic(precision: Precision, device: torch.device) -> Iterator[None]:
    """A block in which a CUDA GPU multiplies float32 as float32, or as TF32 where asked; as before afterwards.

    torch's own default is TF32 in convolutions. A process trains several runs, one after another.
    """
    if device.type != "cuda":
        yield
        return
    matmul, convolution = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, convolution.allow_tf32
    matmul.allow_tf32 = convolution.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        matmul.allow_tf32, convolution.allow_tf32 = before


def require_precision(precision: Precision, device: torch.device) -> None:
    """DeviceError where the device cannot compute so; nothing is put in its place."""
    if precision == "tf32" and not (device.type == "cuda" and _capability(device) >= _TF32_CAPABILITY):
        raise no_tf32(str(device))


def no_tf32(device: str, cell: str = "") -> DeviceError:
    """What is said where TF32 is asked for and is not there."""
    return DeviceError(
        "precision tf32 needs an NVIDIA GPU of compute capability 8.0 or higher" + (f" ({cell})" if cell else ""),
        where=device,
        remedy='Train there, or set precision = "float32" (or "bf16").',
    )


def tell_slow_precision(precision: Precision, device: torch.device) -> None:
    """A line in the log where bfloat16 gives the same results as elsewhere, but no speed."""
    if precision == "bf16" and not has_fast_bfloat16(device):
        _log.warning("precision bf16: %s has no instructions for bfloat16, so it is slower than float32", device)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16; Apple's MPS counts as one that has."""
    match device.type:
        case "cpu":
            capabilities = torch.cpu.get_capabilities()
            return any(capabilities.get(name, False) for name in _FAST_BFLOAT16)
        case "cuda":
            return _capability(device) >= _TF32_CAPABILITY
        case _:
            return True


def _capability(device: torch.device) -> tuple[int, int]:
    return torch.cuda.get_device_capability(device)
