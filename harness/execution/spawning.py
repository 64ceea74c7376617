"""How worker processes come to be, and what is said of how they went."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from multiprocessing.context import BaseContext

from harness.execution.devices import allow_determinism


def worker_context(threads: int) -> BaseContext:
    """A fork server that has torch loaded, where there is one; else fresh processes.

    The variables are set before it starts: OpenMP and cuBLAS read them once.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    allow_determinism()
    if _has_fork_server():
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["harness.execution.process"])
        return context
    return multiprocessing.get_context("spawn")  # macOS and Windows


def _has_fork_server() -> bool:
    """macOS has one too, but its frameworks do not survive a fork."""
    return sys.platform == "linux"


def how_it_died(exit_code: int | None) -> str:
    """A process's exit code in words; negative: the signal that ended it."""
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = "; out of memory?" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    return f"exit code {exit_code}"
