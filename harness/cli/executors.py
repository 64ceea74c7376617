"""Options that say where and how runs are worked on, and how they turn into objects."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.errors import HarnessError
from harness.execution.options import STALL_TIMEOUT_S, DeviceChoice, ExecutorName

Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Worker processes; default: by cores and GPUs.")]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="CPU threads of each worker; default: as at the first run, else by cores."),
]
Device = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where to train.")]
Executor = Annotated[
    str,
    typer.Option("--executor", metavar="local|inline|ray|slurm", help="Worker processes, this process, or a cluster."),
]
StallTimeout = Annotated[
    float | None,
    typer.Option(
        "--stall-timeout",
        metavar="SECONDS",
        help=f"Kill a worker that does nothing for so long, and go on; default: {STALL_TIMEOUT_S:g}.",
        show_default=False,
    ),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Leave with exit 3 when another process holds a run.")]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        metavar="auto|HOST:PORT",
        help="A running Ray cluster; default: one of this command's own, on this machine.",
        show_default=False,
    ),
]
Submit = Annotated[
    bool, typer.Option("--submit", help="Hand the runs to Slurm and leave; `harness status` follows them.")
]


def executor_name(name: str) -> ExecutorName:
    """HarnessError for what is no executor."""
    match name:
        case "local" | "inline" | "ray" | "slurm":
            return name
    raise HarnessError(f"{name!r} is no executor; allowed: local, inline, ray, slurm", where="--executor")


def ray_address_of(address: str | None, executor: str) -> str | None:
    """HarnessError where an address is given to another executor."""
    if address is not None and executor != "ray":
        raise HarnessError(
            f"the {executor} executor has no address",
            where="--ray-address",
            remedy="Add --executor ray, or leave it out.",
        )
    return address


def require_slurm(submit: bool, executor: str) -> bool:
    """HarnessError where another executor is asked to submit."""
    if submit and executor != "slurm":
        raise HarnessError(
            f"the {executor} executor works while this command lives, and submits nothing",
            where="--submit",
            remedy="Add --executor slurm, or leave it out.",
        )
    return submit


def stall_timeout_s(seconds: float | None, executor: str) -> float:
    if seconds is None:
        return STALL_TIMEOUT_S
    if not seconds > 0:  # nan is not, too
        raise HarnessError(f"{seconds:g} is no time to wait; allowed: more than 0", where="--stall-timeout")
    if executor == "inline":
        raise HarnessError(
            "the inline executor works in this process and cannot watch over itself",
            where="--stall-timeout",
            remedy="Leave it out, or use --executor local.",
        )
    return seconds


def device_choice(name: str) -> DeviceChoice:
    match name:
        case "auto" | "cpu" | "cuda" | "mps":
            return name
    raise HarnessError(f"{name!r} is no device; allowed: auto, cpu, cuda, mps", where="--device")
