"""The worker processes of the local executor, this side of their pipes. Each has one of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

from harness.execution.assignment import Assignment
from harness.execution.deaths import Standing
from harness.execution.placement import Place
from harness.execution.process import worker_process
from harness.execution.spawning import helpers_deaf


@dataclass(eq=False)
class Worker:
    """A process, this side of its pipe, and the run that it works on.

    stood: where that run was when it began; silent_s: since when nothing was heard, while somebody listened; heard:
    whether anything ever was; at_work: whether anything was since the run began; stalled: it was killed for its
    silence; shared: another worker was on the same GPU since the run began.
    """

    process: BaseProcess
    connection: Connection
    place: Place
    assignment: Assignment | None = None
    stood: Standing = (0, 0)
    silent_s: float = 0.0
    heard: bool = False
    at_work: bool = False
    stalled: bool = False
    shared: bool = False


class Crew:
    """Workers with `threads` CPU threads each, all on a `device` of one kind; each beats every `beat_s` seconds."""

    def __init__(self, context: BaseContext, device: str, threads: int, beat_s: float) -> None:
        self._context = context
        self._device = "cuda:0" if device == "cuda" else device  # a worker sees one GPU, its own
        self._threads = threads
        self._beat_s = beat_s
        self.workers: list[Worker] = []

    def busy(self, place: Place | None = None) -> list[Worker]:
        """Workers that have a run; place: only those there."""
        return [worker for worker in self.workers if worker.assignment and place in (None, worker.place)]

    def idle(self, place: Place) -> list[Worker]:
        return [worker for worker in self.workers if not worker.assignment and worker.place is place]

    def by_place(self) -> Counter[Place]:
        """How many runs are where."""
        return Counter(worker.place for worker in self.busy())

    def give(self, worker: Worker, assignment: Assignment, stood: Standing) -> None:
        """Sends a run to an idle worker. OSError where it died idle."""
        worker.connection.send(assignment)
        worker.assignment, worker.stood = assignment, stood
        worker.silent_s, worker.at_work, worker.shared = 0.0, False, False
        there = [other for other in self.workers if other.place is worker.place]
        if len(there) > 1:  # an idle one holds memory, too
            for other in there:
                other.shared = True

    def start(self, place: Place) -> Worker:
        here, there = self._context.Pipe()
        gpu = place.gpu.id if place.gpu else None
        process = self._context.Process(  # type: ignore[attr-defined]
            target=worker_process, args=(there, self._device, self._threads, self._beat_s, gpu), daemon=True
        )
        with helpers_deaf():
            process.start()
        there.close()
        worker = Worker(process, here, place)
        self.workers.append(worker)
        return worker

    def remove(self, worker: Worker) -> None:
        self.workers.remove(worker)
        worker.connection.close()
        worker.process.join(timeout=1.0)

    def kill(self, workers: Iterable[Worker]) -> None:
        leaving = list(workers)
        for worker in leaving:
            worker.process.kill()
        for worker in leaving:
            self.remove(worker)
