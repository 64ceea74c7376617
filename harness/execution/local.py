"""The local executor: worker processes on this machine. One may die without harm to the others.

Each worker has a pipe of its own, so that a process killed in the middle of a message can block nobody else. Progress
is read from the run directories, as it would be from another machine.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import wait

from harness.execution.assignment import Assignment, WorkResult
from harness.execution.crew import Crew, Worker
from harness.execution.deaths import Deaths, died_twice, note_failure, standing
from harness.execution.events import Event, Observer, finished
from harness.execution.options import cost
from harness.execution.placement import Place, Places
from harness.execution.process import GRACE_S, Beat, SaveState
from harness.execution.progress import ProgressReader
from harness.execution.spawning import how_it_died, worker_context

POLL_S = 0.25
LEAVE_S = 7.0
"""How long workers may take to save their states, so that the whole command is gone within GRACE_S."""

BEAT_S = 1.0
START_S = 60.0
"""What a worker may take beyond the stall timeout until it is heard for the first time: it loads torch."""

AWAKE_S = 2.0
"""The most that one turn of the loop counts as a worker's silence: while this process slept, nobody was listening."""


class LocalExecutor:
    """Processes with `threads` CPU threads each on `device`, as many and where `places` says.

    stall_timeout_s: a worker that does nothing for so long is killed; loading_for: as in RunOptions.
    """

    def __init__(
        self, places: Places, device: str, threads: int, stall_timeout_s: float, loading_for: int | None = None
    ) -> None:
        self._places = places
        self._stall_timeout_s = stall_timeout_s
        beat_s = min(BEAT_S, stall_timeout_s / 4)
        self._crew = Crew(worker_context(threads, loading_for), device, threads, beat_s)
        self._pending: deque[Assignment] = deque()
        self._alone: deque[Assignment] = deque()
        self._results: dict[str, WorkResult] = {}
        self._deaths = Deaths()

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

        A run that ran out of memory beside others on its GPU is tried once more, alone, after all others. A GPU that
        disappears is left out, and its runs go on elsewhere; DeviceError where none is left.
        """
        self._pending.extend(assignments)
        for note in self._places.notes:
            observe(Event("note", text=note))
        progress = ProgressReader(observe)
        listened = polled = time.monotonic()
        try:
            while (self._pending or self._alone or self._crew.busy()) and not stop():
                self._hand_out(observe)
                if save():
                    self._ask_to_save(observe)
                self._collect(observe)
                now = time.monotonic()
                self._kill_the_silent(min(now - listened, AWAKE_S))
                self._find_room(now - listened, observe)
                listened = now
                if now - polled >= POLL_S:  # every beat of a worker ends a turn of this loop
                    progress.poll([worker.assignment for worker in self._crew.busy() if worker.assignment])
                    polled = time.monotonic()
            self._leave(observe, time.monotonic() + LEAVE_S)
        finally:
            self._crew.kill(self._crew.workers)
        return self._results

    def _hand_out(self, observe: Observer) -> None:
        """Gives runs to idle workers where there is room, starting workers as needed."""
        while (turn := self._next_turn()) is not None:
            waiting, place = turn
            if waiting is self._alone:
                self._crew.kill(self._crew.idle(place))  # they hold memory
            worker = next(iter(self._crew.idle(place)), None) or self._crew.start(place)
            assignment = waiting[0]
            try:
                self._crew.give(worker, assignment, standing(assignment))
            except OSError:  # it died idle
                self._crew.remove(worker)
                continue
            waiting.popleft()
            observe(Event("started", assignment.name, worker.stood[0], assignment.training.steps))

    def _next_turn(self) -> tuple[deque[Assignment], Place] | None:
        """Whose first run begins next, and where; those that must be alone come last, and nothing joins them."""
        busy = self._crew.by_place()
        closed = {worker.place for worker in self._crew.busy() if worker.assignment and worker.assignment.alone}
        if self._pending:
            place = self._places.with_room(busy, closed)
            return (self._pending, place) if place else None
        if self._alone:
            place = self._places.emptied(busy)
            return (self._alone, place) if place else None
        return None

    def _ask_to_save(self, observe: Observer) -> None:
        busy = self._crew.busy()
        for worker in busy:
            with suppress(OSError):  # it died; the next look at it finds out
                worker.connection.send(SaveState())
        names = ", ".join(worker.assignment.name for worker in busy if worker.assignment)
        observe(Event("note", text=f"asked to save: {names or 'nothing is at work'}"))

    def _kill_the_silent(self, passed_s: float) -> None:
        """Kills every busy worker that was not heard for the stall timeout; its death is then told as any other."""
        for worker in self._crew.busy():
            worker.silent_s += passed_s
            patience_s = self._stall_timeout_s + (0.0 if worker.heard else START_S)
            if worker.silent_s > patience_s and not worker.stalled:
                worker.stalled = True
                worker.process.kill()

    def _find_room(self, passed_s: float, observe: Observer) -> None:
        """While runs wait, places on which all work are watched for room for more."""
        if self._pending:
            at_work = Counter(worker.place for worker in self._crew.busy() if worker.at_work)
            for note in self._places.watch(passed_s, self._crew.by_place(), at_work):
                observe(Event("note", text=note))

    def _collect(self, observe: Observer) -> None:
        """Waits up to POLL_S for answers and deaths."""
        by_handle: dict[object, Worker] = {}
        for worker in self._crew.workers:
            by_handle[worker.connection] = by_handle[worker.process.sentinel] = worker
        for handle in wait(list(by_handle), POLL_S):  # type: ignore[arg-type]
            worker = by_handle[handle]
            if worker not in self._crew.workers:
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

    def _hear(self, worker: Worker, message: Beat | WorkResult, observe: Observer) -> None:
        worker.at_work = worker.heard  # the first beat says only that the process is up
        worker.heard, worker.silent_s = True, 0.0
        if isinstance(message, WorkResult) and not self._goes_on(worker, message, observe):
            self._take(worker, message, observe)

    def _goes_on(self, worker: Worker, result: WorkResult, observe: Observer) -> bool:
        """Whether a run is tried again after its GPU's memory, or the GPU itself, failed it."""
        assignment, place = worker.assignment, worker.place
        if assignment is None or place.gpu is None or result.trouble == "none":
            return False
        runs = len(self._crew.busy(place))
        self._crew.kill([worker])  # what CUDA said once, it may go on saying in that process
        if result.trouble == "memory" and worker.shared and not assignment.alone:
            self._places.crowd(place, runs)
            text = f"{assignment.name}: out of memory beside others on {place}; it is tried again alone, after the rest"
            observe(Event("note", text=text))
            self._wait_again(replace(assignment, alone=True), observe)
            return True
        if result.trouble == "no device":
            self._refused(worker, runs, result.reason.splitlines()[0], observe)
            return True
        return result.trouble == "device" and self._leaves_if_gone(worker, observe)

    def _refused(self, worker: Worker, runs: int, why: str, observe: Observer) -> None:
        """Leaves a GPU out that lets no new process use it; one that others go on using takes fewer runs instead."""
        place, assignment = worker.place, worker.assignment
        if runs < 2 or assignment is None:
            self._leave_out(worker, f"cannot be used ({why})", observe)
        elif not self._leaves_if_gone(worker, observe):
            self._places.narrow(place, runs - 1)
            observe(Event("note", text=f"{place} does not take {runs} runs ({why}); fewer from now on"))
            self._wait_again(assignment, observe)

    def _leaves_if_gone(self, worker: Worker, observe: Observer) -> bool:
        """Whether the worker's GPU has left the machine, so that its run is not to blame; it is left out then."""
        gone = self._places.is_gone(worker.place)
        if gone:
            self._leave_out(worker, "is gone", observe)
        return gone

    def _leave_out(self, worker: Worker, why: str, observe: Observer) -> None:
        """Takes the GPU of a worker that has ended out of use; its runs go on from their newest states elsewhere.

        DeviceError where no GPU is left.
        """
        place = worker.place
        others = [other for other in self._crew.workers if other.place is place]
        self._crew.kill(others)
        for stopped in (*others, worker):
            if stopped.assignment:
                self._wait_again(stopped.assignment, observe)
        self._places.leave_out(place, why)
        observe(Event("note", text=f"{place} {why}; it is left out, and its runs go on elsewhere"))

    def _wait_again(self, assignment: Assignment, observe: Observer) -> None:
        """Puts a run back: first of those that wait, or with those that must be alone."""
        steps = assignment.training.steps
        observe(Event("queued", assignment.name, steps=steps, cost=cost(assignment.hyperparameters) * steps))
        if assignment.alone:
            self._alone.append(assignment)
        else:
            self._pending.appendleft(assignment)

    def _take(self, worker: Worker, result: WorkResult, observe: Observer) -> None:
        assignment, worker.assignment = worker.assignment, None
        if assignment is None:
            return
        self._results[assignment.key] = result
        observe(finished(assignment, result))

    def _bury(self, worker: Worker, observe: Observer) -> None:
        """Removes a dead worker and decides whether its run is tried again; the next free place gets a new worker."""
        worker.process.join(timeout=GRACE_S)
        how = how_it_died(worker.process.exitcode)
        if worker.stalled:
            how = f"no progress for {self._stall_timeout_s:g} s (--stall-timeout)"
        assignment = worker.assignment
        self._crew.remove(worker)
        if assignment is None or self._leaves_if_gone(worker, observe):
            return
        stands = standing(assignment)
        step = stands[0]
        ways = self._deaths.count(assignment.key, how, progressed=stands != worker.stood)
        if not ways:
            observe(Event("died", assignment.name, step, assignment.training.steps, text=how))
            (self._alone if assignment.alone else self._pending).appendleft(assignment)
            return
        only_stalls = worker.stalled and ways == how
        reason = f"{how}, twice" if only_stalls else died_twice(ways)
        note_failure(assignment, step, reason)
        self._take(worker, WorkResult("failed", step, reason), observe)

    def _leave(self, observe: Observer, deadline: float) -> None:
        """Tells all workers to stop and waits for them to save their states."""
        for worker in self._crew.workers:
            try:
                worker.connection.send(None)
            except OSError:
                continue  # dead already; collected below
        while self._crew.workers and time.monotonic() < deadline:
            by_handle: dict[object, Worker] = {worker.process.sentinel: worker for worker in self._crew.workers}
            for worker in self._crew.workers:
                by_handle[worker.connection] = worker
            for handle in wait(list(by_handle), POLL_S):  # type: ignore[arg-type]
                worker = by_handle[handle]
                message = None
                try:
                    message = worker.connection.recv() if worker.connection.poll() else None
                except (EOFError, OSError):
                    worker.process.join(timeout=1.0)
                if isinstance(message, WorkResult):
                    self._take(worker, message, observe)
                elif message is None and not worker.process.is_alive() and worker in self._crew.workers:
                    self._crew.remove(worker)
        late = ", ".join(worker.assignment.name for worker in self._crew.busy() if worker.assignment)
        if late:
            observe(Event("note", text=f"not saved within {LEAVE_S:g} s, ended without it: {late}"))
