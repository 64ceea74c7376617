"""Cores, memory and the variables that set threads, and what the file asks of them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psutil

from harness.cli.doctor_request import Request
from harness.execution.devices import available_cores
from harness.execution.machine_limits import Limits, limits
from harness.store.checkup import Fact, Finding, Found

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
GIB = 2**30
LITTLE_MEMORY = 2**30
"""Bytes below which a worker with torch hardly fits."""


def machine(request: Request) -> Iterator[Found]:
    cores, allowed = available_cores(), limits()
    yield Fact("cores", str(cores))
    yield from _cores(cores, allowed)
    yield from _memory(allowed)
    yield from _threads(cores)
    yield from _asked(request, cores)


def _cores(cores: int, allowed: Limits) -> Iterator[Finding]:
    whole = os.cpu_count() or cores
    text = f"{cores} cores" if cores == whole else f"{cores} of {whole} cores"
    if allowed.cores is None or allowed.cores >= cores:
        yield Finding("machine", "ok", text)
        return
    fitting = max(1, int(allowed.cores))
    yield Finding(
        "machine",
        "note",
        f"{text}, but this control group (container or job) gets the time of {allowed.cores:g}",
        f"Say --workers {fitting}: more would only wait for each other.",
    )


def _memory(allowed: Limits) -> Iterator[Finding]:
    memory = psutil.virtual_memory()
    text = f"{memory.total / GIB:.1f} GiB of memory, {memory.available / GIB:.1f} GiB free"
    if allowed.memory is not None and allowed.memory < memory.total:
        yield Finding(
            "machine",
            "note",
            f"{text}; this control group (container or job) may take {allowed.memory / GIB:.1f} GiB, and what takes "
            "more is killed",
            "Start fewer workers (--workers), or ask for more memory.",
        )
    elif memory.available < LITTLE_MEMORY:
        yield Finding("machine", "note", text, "A worker takes about 1 GiB: end other programs, or say --workers 1.")
    else:
        yield Finding("machine", "ok", text)


def _threads(cores: int) -> Iterator[Finding]:
    for name in THREAD_VARIABLES:
        value = os.environ.get(name)
        if value and value.isdigit() and int(value) > cores:
            yield Finding(
                "machine",
                "note",
                f"{name}={value} is more than the {cores} cores",
                "Unset it: workers get their threads from --threads.",
            )


def _asked(request: Request, cores: int) -> Iterator[Finding]:
    """`[resources]` against this machine, where this machine trains."""
    if request.experiment is None or request.wants_other_machines:
        return
    asked = request.experiment.resources
    if asked.cpus is not None and asked.cpus > cores:
        yield Finding(
            "machine",
            "note",
            f"[resources] cpus = {asked.cpus} is more than the {cores} cores here, which as many threads would share",
            f"Say --threads {cores}, or train where there are more cores.",
        )
    total = psutil.virtual_memory().total / GIB
    if asked.memory_gb is not None and asked.memory_gb > total:
        yield Finding(
            "machine",
            "note",
            f"[resources] memory_gb = {asked.memory_gb:g} is more than the {total:.1f} GiB here",
            "Train where there is more memory.",
        )
