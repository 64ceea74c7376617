"""How worker processes come to be, and what is said of how they went."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext

from harness.execution.compile_cache import share_compile_cache
from harness.execution.devices import allow_determinism
from harness.execution.interruption import signals_blocked

PRELOADED = ["harness.execution.process", "torch._inductor.config"]
"""What the fork server loads once for all workers: torch and their work, and what torch loads where it is asked to
repeat its results, which takes as long as torch itself. Nothing is computed by it."""

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(512 * 2**20),
    "MALLOC_TOP_PAD_": str(64 * 2**20),
}
"""glibc's: memory that a step frees stays with the process, so that the next step's maps are not made of new pages.
Elsewhere nobody reads them."""

_log = logging.getLogger("harness")


def worker_context(threads: int, started_for: int | None = None) -> BaseContext:
    """A fork server that has torch loaded, where there is one; else fresh processes.

    The variables are set before it starts: OpenMP and cuBLAS read them once. started_for: the threads that
    `start_loading` was told; where those are others, workers are fresh processes, too.
    """
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    _set_others()
    if _has_fork_server() and started_for in (None, threads):
        return _fork_server()
    if _has_fork_server():
        _log.warning("workers start slower: torch was loaded for %d threads each, not %d", started_for, threads)
    return multiprocessing.get_context("spawn")  # macOS and Windows


def start_loading(threads: int) -> None:
    """Starts the fork server, which loads torch while this process goes on; nothing where there is none.

    This process's own variables stay as they are: what it prepares may use all cores.
    """
    if not _has_fork_server():
        return
    from multiprocessing.forkserver import ensure_running

    _fork_server()
    with _environment(dict.fromkeys(_THREAD_VARIABLES, str(threads))), helpers_deaf():
        _set_others()
        ensure_running()


@contextmanager
def helpers_deaf() -> Iterator[None]:
    """A block in which workers and their fork server are started; the server is deaf to Ctrl-C while it loads, too.

    The tracker that Python starts with it would let SIGTERM and SIGINT through again, and so is started before.
    """
    if _has_fork_server():
        from multiprocessing.resource_tracker import ensure_running

        ensure_running()
    with signals_blocked(also_interrupts=True):
        yield


def _fork_server() -> BaseContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def _set_others() -> None:
    """Variables of workers that do not depend on their threads; of those that are set already, none is changed."""
    allow_determinism()
    share_compile_cache()
    quicken_memory()


def quicken_memory() -> None:
    """Sets how processes that start from now on keep memory; what is set already stays."""
    for name, value in _ALLOCATOR.items():
        os.environ.setdefault(name, value)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """A block with these variables; afterwards they are as they were."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


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
