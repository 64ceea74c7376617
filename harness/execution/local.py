"""The local executor: worker processes on this machine. One may die without harm to the others.

Each worker has a pipe of its own, so that a process killed in the middle of a message can block nobody else. Progress
is read from the run directories, as it would be from another machine.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

from harness.execution.assignment import Assignment, WorkResult
from harness.execution.devices import allow_determinism, gpu_count
from harness.execution.events import Event, Observer, finished
from harness.execution.process import GRACE_S, worker_process
from harness.execution.progress import ProgressReader, count_evaluations
from harness.store.attempts import end_attempt
from harness.store.commits import newest_commit
from harness.store.locks import held

POLL_S = 0.25
DEATHS_WITHOUT_PROGRESS = 2


Standing = tuple[int, int]
"""The step of a run's newest commit, and how many evaluations are stored."""


@dataclass
class _Worker:
    """A process, this side of its pipe, and the run that it works on; stood: where that run was when it began."""

    process: BaseProcess
    connection: Connection
    device: str
    assignment: Assignment | None = None
    stood: Standing = (0, 0)


class LocalExecutor:
    """workers processes with `threads` CPU threads each, all on `device`."""

    def __init__(self, workers: int, device: str, threads: int) -> None:
        self._count = workers
        self._device = device
        self._threads = threads
        self._context = _context(threads)
        self._workers: list[_Worker] = []
        self._pending: deque[Assignment] = deque()
        self._results: dict[str, WorkResult] = {}
        self._deaths: dict[str, int] = {}

    def run(
        self, assignments: Sequence[Assignment], observe: Observer, stop: Callable[[], bool]
    ) -> dict[str, WorkResult]:
        """Works on all assignments, in order, several at a time; returns the results by key.

        A worker that dies is replaced and its run goes on from its last state; a run whose worker died twice without a
        new commit or evaluation between is failed. When `stop` says yes, every worker saves a state and ends within
        GRACE_S.
        """
        self._pending.extend(assignments)
        progress = ProgressReader(observe)
        try:
            while (self._pending or self._busy()) and not stop():
                self._hand_out(observe)
                self._collect(observe)
                progress.poll([worker.assignment for worker in self._busy() if worker.assignment])
            self._leave(observe, time.monotonic() + GRACE_S)
        finally:
            self._kill()
        return self._results

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.assignment]

    def _hand_out(self, observe: Observer) -> None:
        """Gives every idle worker a run, starting workers as needed."""
        while self._pending and len(self._busy()) < self._count:
            worker = next((worker for worker in self._workers if not worker.assignment), None) or self._start()
            assignment = self._pending.popleft()
            worker.stood = _standing(assignment)
            try:
                worker.connection.send(assignment)
            except OSError:  # it died idle
                self._pending.appendleft(assignment)
                self._remove(worker)
                continue
            worker.assignment = assignment
            observe(Event("started", assignment.name, worker.stood[0], assignment.training.steps))

    def _start(self) -> _Worker:
        here, there = self._context.Pipe()
        device = self._device_of_next()
        process = self._context.Process(  # type: ignore[attr-defined]
            target=worker_process, args=(there, device, self._threads), daemon=True
        )
        process.start()
        there.close()
        worker = _Worker(process, here, device)
        self._workers.append(worker)
        return worker

    def _device_of_next(self) -> str:
        """GPUs in turn, for workers that live at once."""
        if self._device != "cuda":
            return self._device
        taken = [worker.device for worker in self._workers]
        return min((f"cuda:{index}" for index in range(gpu_count())), key=taken.count)

    def _collect(self, observe: Observer) -> None:
        """Waits up to POLL_S for answers and deaths."""
        by_handle: dict[object, _Worker] = {}
        for worker in self._workers:
            by_handle[worker.connection] = by_handle[worker.process.sentinel] = worker
        for handle in wait(list(by_handle), POLL_S):  # type: ignore[arg-type]
            worker = by_handle[handle]
            if worker not in self._workers:
                continue
            try:
                if worker.connection.poll():
                    self._take(worker, worker.connection.recv(), observe)
                elif not worker.process.is_alive():
                    self._bury(worker, observe)
            except (EOFError, OSError):
                self._bury(worker, observe)

    def _take(self, worker: _Worker, result: WorkResult, observe: Observer) -> None:
        assignment, worker.assignment = worker.assignment, None
        if assignment is None:
            return
        self._results[assignment.key] = result
        observe(finished(assignment, result))

    def _bury(self, worker: _Worker, observe: Observer) -> None:
        """Removes a dead worker and decides whether its run is tried again; the next free place gets a new worker."""
        worker.process.join(timeout=GRACE_S)
        how = _how_it_died(worker.process.exitcode)
        assignment = worker.assignment
        self._remove(worker)
        if assignment is None:
            return
        stands = _standing(assignment)
        step = stands[0]
        deaths = 0 if stands != worker.stood else self._deaths.get(assignment.key, 0) + 1
        self._deaths[assignment.key] = deaths
        if deaths < DEATHS_WITHOUT_PROGRESS:
            observe(Event("died", assignment.name, step, assignment.training.steps, text=how))
            self._pending.appendleft(assignment)
            return
        reason = f"its process died twice without progress ({how})"
        with held(assignment.directory.lock, timeout_s=1.0) as mine:
            if mine:
                end_attempt(assignment.directory, "failed", step=step, reason=reason)
        worker.assignment = assignment
        self._take(worker, WorkResult("failed", step, reason), observe)

    def _leave(self, observe: Observer, deadline: float) -> None:
        """Tells all workers to stop and waits for them to save their states."""
        for worker in self._workers:
            try:
                worker.connection.send(None)
            except OSError:
                continue  # dead already; collected below
        while self._workers and time.monotonic() < deadline:
            by_handle: dict[object, _Worker] = {worker.process.sentinel: worker for worker in self._workers}
            for worker in self._workers:
                by_handle[worker.connection] = worker
            for handle in wait(list(by_handle), POLL_S):  # type: ignore[arg-type]
                worker = by_handle[handle]
                try:
                    if worker.connection.poll():
                        self._take(worker, worker.connection.recv(), observe)
                        continue
                except (EOFError, OSError):
                    worker.process.join(timeout=1.0)
                if not worker.process.is_alive() and worker in self._workers:
                    self._remove(worker)

    def _remove(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.join(timeout=1.0)

    def _kill(self) -> None:
        for worker in list(self._workers):
            worker.process.kill()
            self._remove(worker)


def _standing(assignment: Assignment) -> Standing:
    commit = newest_commit(assignment.directory)
    return commit.step if commit else 0, count_evaluations(assignment.directory)


def _context(threads: int) -> BaseContext:
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


def _how_it_died(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        hint = "; out of memory?" if name == "SIGKILL" else ""
        return f"killed by {name}{hint}"
    return f"exit code {exit_code}"
