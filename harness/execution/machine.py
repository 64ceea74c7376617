"""What this machine and its software are, as far as they may change bits or speed."""

from __future__ import annotations

import os
import platform

import torch

from harness import __version__
from harness.errors import DeviceError


def describe_machine(device: str, threads: int) -> dict[str, str | int]:
    """Versions, device and threads of this process, for `attempts.jsonl` and the report.

    DeviceError where the device cannot be used.
    """
    return {
        "torch": torch.__version__,
        "device": _device_name(device),
        "threads": threads,
        "harness": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "host": platform.node(),
        "pid": os.getpid(),
    }


def _device_name(device: str) -> str:
    if not device.startswith("cuda"):
        return device
    try:
        return torch.cuda.get_device_name(device)
    except (RuntimeError, AssertionError, torch.cuda.DeferredCudaCallError) as error:  # torch has no one kind for it
        raise DeviceError(
            f"the GPU cannot be used: {(str(error).splitlines() or [type(error).__name__])[0]}",
            where=device,
            remedy="Look at it with nvidia-smi, or choose --device cpu.",
        ) from error
