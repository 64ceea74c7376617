"""What this machine and its software are, as far as they may change bits or speed."""

from __future__ import annotations

import os
import platform

import torch

from harness import __version__


def describe_machine(device: str, threads: int) -> dict[str, str | int]:
    """Versions, device and threads of this process, for `attempts.jsonl` and the report."""
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        "threads": threads,
        "harness": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "host": platform.node(),
        "pid": os.getpid(),
    }
