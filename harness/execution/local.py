"""The local executor: worker processes on this machine. One may die without harm to the others.

Each worker has a pipe of its own, so that a process killed in the middle of a message can block nobody else. Progress
is read from the run directories, as it would be from another machine.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from harness.errors import StoreError
from harness.execution.assignment import Assignment, WorkResult
from harness.execution.devices import gpu_count
from harness.execution.events import Event, Observer, finished
from harness.execution.process import GRACE_S, Beat, SaveState, worker_process
from harness.execution.progress import ProgressReader, count_evaluations
from harness.execution.spawning import helpers_deaf, how_it_died, worker_context
from harness.store.attempts import end_attempt
from harness.store.commits import newest_commit
from harness.store.locks import held

POLL_S = 0.25
DEATHS_WITHOUT_PROGRESS = 2
LEAVE_S = 7.0
"""How long workers may take to save their states, so that the whole command is gone within GRACE_S."""

BEAT_S = 1.0
START_S = 60.0
"""What a worker may take beyond the stall timeout until it is heard for the first time: it loads torch."""

AWAKE_S = 2.0
"""The most that one turn of the loop counts as a worker's silence: while this process slept, nobody was listening."""


Standing = tuple[int, int]
"""The step of a run's newest commit, and how many evaluations are stored."""


@dataclass
class _Worker:
    """A process, this side of its pipe, and the run that it works on.

    stood: where that run was when it began; silent_s: since when nothing was heard, while somebody listened; heard:
    whether anything ever was; stalled: it was killed for its silence.
    """

    process: BaseProcess
    connection: Connection
    device: str
    assignment: Assignment | None = None
    stood: Standing = (0, 0)
    silent_s: float = 0.0
    heard: bool = False
    stalled: bool = False


class LocalExecutor:
    """workers processes with `threads` CPU threads each, all on `device`.

    stall_timeout_s: a worker that does nothing for so long is killed; loading_for: as in RunOptions.
    """

    def __init__(
        self, workers: int, device: str, threads: int, stall_timeout_s: float, loading_for: int | None = None
    ) -> None:
        self._count = workers
        self._device = device
        self._threads = threads
        self._stall_timeout_s = stall_timeout_s
        self._context = worker_context(threads, loading_for)
        self._workers: list[_Worker] = []
        self._pending: deque[Assignment] = deque()
        self._results: dict[str, WorkResult] = {}
        self._deaths: dict[str, list[str]] = {}

    def run(
        self,
        assignments: Sequence[Assignment],
        observe: Observer,
        stop: Callable[[], bool],
        save: Callable[[], bool] = lambda: False,
    ) -> dict[str, WorkResult]:
        """Works on all assignments, in order, several at a time; returns the results by key.

        A worker that dies is replaced and its run goes on from its last state; a run whose worker died twice without a
        new commit or evaluation between is failed. When `stop` says yes, every worker saves a state and ends within
        LEAVE_S; when `save` does, every worker saves a state and goes on.
        """
        self._pending.extend(assignments)
        progress = ProgressReader(observe)
        listened = polled = time.monotonic()
        try:
            while (self._pending or self._busy()) and not stop():
                self._hand_out(observe)
                if save():
                    self._ask_to_save(observe)
                self._collect(observe)
                now = time.monotonic()
                self._kill_the_silent(min(now - listened, AWAKE_S))
                listened = now
                if now - polled >= POLL_S:  # every beat of a worker ends a turn of this loop
                    progress.poll([worker.assignment for worker in self._busy() if worker.assignment])
                    polled = time.monotonic()
            self._leave(observe, time.monotonic() + LEAVE_S)
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
            worker.assignment, worker.silent_s = assignment, 0.0
            observe(Event("started", assignment.name, worker.stood[0], assignment.training.steps))

    def _ask_to_save(self, observe: Observer) -> None:
        busy = self._busy()
        for worker in busy:
            with suppress(OSError):  # it died; the next look at it finds out
                worker.connection.send(SaveState())
        names = ", ".join(worker.assignment.name for worker in busy if worker.assignment)
        observe(Event("note", text=f"asked to save: {names or 'nothing is at work'}"))

    def _kill_the_silent(self, passed_s: float) -> None:
        """Kills every busy worker that was not heard for the stall timeout; its death is then told as any other."""
        for worker in self._busy():
            worker.silent_s += passed_s
            patience_s = self._stall_timeout_s + (0.0 if worker.heard else START_S)
            if worker.silent_s > patience_s and not worker.stalled:
                worker.stalled = True
                worker.process.kill()

    def _start(self) -> _Worker:
        here, there = self._context.Pipe()
        device = self._device_of_next()
        beat_s = min(BEAT_S, self._stall_timeout_s / 4)
        process = self._context.Process(  # type: ignore[attr-defined]
            target=worker_process, args=(there, device, self._threads, beat_s), daemon=True
        )
        with helpers_deaf():
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
                message = worker.connection.recv() if worker.connection.poll() else None
            except (EOFError, OSError):
                self._bury(worker, observe)
                continue
            if message is not None:
                self._hear(worker, message, observe)
            elif not worker.process.is_alive():
                self._bury(worker, observe)

    def _hear(self, worker: _Worker, message: Beat | WorkResult, observe: Observer) -> None:
        worker.heard, worker.silent_s = True, 0.0
        if isinstance(message, WorkResult):
            self._take(worker, message, observe)

    def _take(self, worker: _Worker, result: WorkResult, observe: Observer) -> None:
        assignment, worker.assignment = worker.assignment, None
        if assignment is None:
            return
        self._results[assignment.key] = result
        observe(finished(assignment, result))

    def _bury(self, worker: _Worker, observe: Observer) -> None:
        """Removes a dead worker and decides whether its run is tried again; the next free place gets a new worker."""
        worker.process.join(timeout=GRACE_S)
        how = how_it_died(worker.process.exitcode)
        if worker.stalled:
            how = f"no progress for {self._stall_timeout_s:g} s (--stall-timeout)"
        assignment = worker.assignment
        self._remove(worker)
        if assignment is None:
            return
        stands = _standing(assignment)
        step = stands[0]
        deaths = [] if stands != worker.stood else [*self._deaths.get(assignment.key, []), how]
        self._deaths[assignment.key] = deaths
        if len(deaths) < DEATHS_WITHOUT_PROGRESS:
            observe(Event("died", assignment.name, step, assignment.training.steps, text=how))
            self._pending.appendleft(assignment)
            return
        ways = ", then ".join(dict.fromkeys(deaths))
        only_stalls = worker.stalled and ways == how
        reason = f"{how}, twice" if only_stalls else f"its process died twice without progress ({ways})"
        _note_failure(assignment, step, reason)
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
                message = None
                try:
                    message = worker.connection.recv() if worker.connection.poll() else None
                except (EOFError, OSError):
                    worker.process.join(timeout=1.0)
                if message is not None:
                    self._hear(worker, message, observe)
                elif not worker.process.is_alive() and worker in self._workers:
                    self._remove(worker)
        late = ", ".join(worker.assignment.name for worker in self._busy() if worker.assignment)
        if late:
            observe(Event("note", text=f"not saved within {LEAVE_S:g} s, ended without it: {late}"))

    def _remove(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.connection.close()
        worker.process.join(timeout=1.0)

    def _kill(self) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in list(self._workers):
            self._remove(worker)


def _note_failure(assignment: Assignment, step: int, reason: str) -> None:
    run = assignment.directory
    if not run.root.is_dir():
        return  # it was moved or removed, and must not be there again with one file in it
    with suppress(StoreError), held(run.lock, timeout_s=1.0) as mine:  # a full disk cannot be told; the screen can
        if mine:
            end_attempt(run, "failed", step=step, reason=reason)


def _standing(assignment: Assignment) -> Standing:
    try:
        commit = newest_commit(assignment.directory)
    except StoreError:
        commit = None  # the worker fails of it, and says why
    return commit.step if commit else 0, count_evaluations(assignment.directory)
