"""Which device trains, and how many workers and threads fit the machine. Nothing is substituted in silence."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from typing import TYPE_CHECKING

from harness.errors import DeviceError
from harness.execution.options import DeviceChoice, ExecutorName

if TYPE_CHECKING:
    from harness.design.expansion import Cell
    from harness.design.experiment import ResourceSettings, SlurmSettings


def available_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_nvidia_gpu() -> bool:
    """Whether the machine shows an NVIDIA GPU, whatever torch can do with it."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False  # hidden on purpose
    command = shutil.which("nvidia-smi")
    if command is None:
        return False
    try:
        listed = subprocess.run([command, "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listed.returncode == 0 and "GPU " in listed.stdout


def choose_device(choice: DeviceChoice) -> str:
    """The device to train on: `cpu`, `cuda` or `mps`; DeviceError when the choice, or a GPU there, is unusable."""
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    match choice:
        case "cpu":
            return "cpu"
        case "cuda" if not cuda:
            raise DeviceError("torch cannot use a CUDA GPU here", where="--device cuda", remedy=_cuda_remedy())
        case "mps" if not mps:
            raise DeviceError("torch cannot use MPS here", where="--device mps", remedy="Use --device cpu.")
        case "cuda" | "mps":
            return choice
    if cuda:
        return "cuda"
    if mps:
        return "mps"
    if has_nvidia_gpu():
        raise DeviceError(
            "this machine has an NVIDIA GPU that torch cannot use",
            where="--device auto",
            remedy=_cuda_remedy(),
        )
    return "cpu"


def cluster_device(
    choice: DeviceChoice, executor: ExecutorName, resources: ResourceSettings, slurm: SlurmSettings
) -> str:
    """The device of runs on a cluster: what the file reserves, as this machine need not have any.

    DeviceError where `choice` is another one.
    """
    reserves = bool(resources.gpus) or (executor == "slurm" and (slurm.gres or "").startswith("gpu"))
    reserved = "cuda" if reserves else "cpu"
    if choice in ("auto", reserved):
        return reserved
    if choice == "cpu":
        return "cpu"  # on nodes with a GPU that stays idle: said outright
    remedy = "Say [resources] gpus = 1 in the file." if choice == "cuda" else "Leave --device out."
    raise DeviceError(f"the file reserves no {choice} device on the cluster", where=f"--device {choice}", remedy=remedy)


def require_precisions(device: str, cells: Iterable[Cell]) -> None:
    """DeviceError, with the cell's name, for the first of `cells` whose precision the kind of device does not have.

    Whether a GPU is new enough is seen in the worker: looking at it would keep a part of it busy here.
    """
    from harness.gan.precision import no_tf32

    for cell in cells:
        if cell.hyperparameters.precision == "tf32" and not device.startswith("cuda"):
            raise no_tf32(device, f"cell {cell.name}")


def choose_workers(device: str, threads: int, runs: int, runs_per_gpu: int | None = None) -> int:
    """Worker processes that `runs` runs start with: one per `threads` cores, on GPUs one each unless the file says
    more; a probe may find room for further ones."""
    if device == "cuda":
        return max(1, min(runs, gpu_count() * (runs_per_gpu or 1)))
    if device == "mps":
        return 1
    return max(1, min(runs, available_cores() // threads))


def gpu_count() -> int:
    """CUDA GPUs that torch sees."""
    import torch

    return torch.cuda.device_count()


def allow_determinism() -> None:
    """cuBLAS repeats its results only with this set, before CUDA starts; harmless elsewhere."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def _cuda_remedy() -> str:
    import torch

    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    return (
        ("" if hidden is None else f"CUDA_VISIBLE_DEVICES is {hidden!r}: does it name a GPU of `nvidia-smi -L`? Else ")
        + f"torch {torch.__version__} was built for CUDA {torch.version.cuda}; install a torch that fits the driver "
        "(`nvidia-smi` shows it), or choose the CPU with --device cpu."
    )
