"""How many CPU threads each worker has: fixed at an experiment's first run, as it changes bits. Light: no torch."""

from __future__ import annotations

from contextlib import suppress

from harness.errors import StoreError
from harness.execution.devices import available_cores
from harness.store.attempts import read_attempts
from harness.store.manifest import ExperimentManifest
from harness.store.rundir import ExperimentDirectory

MOST_THREADS = 4
"""Of a worker, unless `--threads` says more: batches are small, and what each further thread gives shrinks."""


def threads_before(manifest: ExperimentManifest | None, directory: ExperimentDirectory) -> int | None:
    """What the experiment was trained with so far; None before anything was."""
    return manifest.threads if manifest else _threads_of_runs(directory)


def thread_count(asked: int | None, before: int | None, runs: int, cpus: int | None = None) -> int:
    """asked: `--threads`; before: as `threads_before`; runs: that the whole file asks for, whichever are chosen; cpus:
    `[resources] cpus`.

    One, as workers with one thread each do more together than fewer with several; but where an experiment has fewer
    runs than the machine has cores, its workers share those that would stand idle.
    """
    return asked or before or cpus or max(1, min(MOST_THREADS, available_cores() // max(1, runs)))


def _threads_of_runs(directory: ExperimentDirectory) -> int | None:
    """The thread count that runs were trained with, where experiment.json is lost."""
    for run in directory.runs().values():
        with suppress(StoreError):  # a run that cannot be read is told where it is worked on
            for attempt in read_attempts(run):
                if "threads" in attempt.machine:
                    return int(attempt.machine["threads"])
    return None
