"""The Ray executor: one task per run on the nodes of a cluster, which may die without harm to other runs.

A process of its own speaks to Ray (`ray_process`); what is submitted, retried and told is decided here. Progress is
read from the run directories, on storage that all nodes share.
"""

from __future__ import annotations

import platform
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from harness import __version__
from harness.design.experiment import Experiment
from harness.errors import HarnessError
from harness.execution.assignment import Assignment, WorkResult
from harness.execution.deaths import Deaths, Standing, died_twice, note_failure, standing
from harness.execution.devices import available_cores
from harness.execution.events import Event, Observer, finished
from harness.execution.options import RunOptions
from harness.execution.progress import ProgressReader
from harness.execution.ray_link import POLL_S, ClusterLink, require_address, scratch_folder
from harness.execution.ray_messages import (
    GIB,
    Begun,
    Capacity,
    Died,
    Ended,
    Errand,
    FromCluster,
    Reservation,
    SaveStates,
    Submit,
    Told,
    Versions,
)
from harness.execution.storage import StorageMark, storage_mark
from harness.store.rundir import experiment_directory

WAITING = 2
"""Tasks that at least wait in the cluster beyond those that it takes side by side, so that no core stands idle."""


@dataclass
class _Flight:
    """A run that was submitted. stood: where it was then; begun: it really works."""

    assignment: Assignment
    stood: Standing
    begun: bool = False


class RayExecutor:
    """Tasks with `threads` CPU threads each on a Ray cluster, at most options.workers at once.

    Each reserves what `experiment.resources` say. HarnessError where ray is missing or nobody is at the address.
    """

    def __init__(self, options: RunOptions, experiment: Experiment, device: str, threads: int) -> None:
        if find_spec("ray") is None:
            raise HarnessError(
                "ray is not installed", where="--executor ray", remedy="pip install 'gan-ablation-harness[ray]'"
            )
        if options.ray_address is not None:
            require_address(options.ray_address)
        self._options = options
        self._directory = experiment_directory(options.runs_dir, experiment.name)
        self._reservation = reservation_of(experiment, device, threads)
        self._device = device
        self._threads = threads
        self._pending: deque[Assignment] = deque()
        self._flights: dict[int, _Flight] = {}
        self._tickets = 0
        self._capacity = Capacity(0, 0)
        self._deaths = Deaths()
        self._results: dict[str, WorkResult] = {}

    def run(
        self,
        assignments: Sequence[Assignment],
        observe: Observer,
        stop: Callable[[], bool],
        save: Callable[[], bool] = lambda: False,
    ) -> dict[str, WorkResult]:
        """Works on all assignments, in order, several at a time; returns the results by key.

        A run whose task, process or node dies goes on elsewhere from its last state; where that happens twice without
        a new commit or evaluation between, it is failed. When `stop` says yes, every task saves a state and ends;
        when `save` does, every task saves a state and goes on. HarnessError where the cluster cannot be worked with,
        or is lost.
        """
        self._pending.extend(assignments)
        progress = ProgressReader(observe)
        with (
            storage_mark(self._directory) as mark,
            scratch_folder() as scratch,
            ClusterLink(self._errand(mark, scratch)) as link,
        ):
            capacity = link.join(stop)
            if capacity is None:
                return self._results
            self._learn(capacity, observe)
            polled = time.monotonic()
            while (self._pending or self._flights) and not stop():
                self._submit(link)
                if save():
                    self._ask_to_save(link, observe)
                for message in link.receive(POLL_S):
                    self._hear(message, observe)
                if time.monotonic() - polled >= POLL_S:
                    progress.poll([flight.assignment for flight in self._flights.values() if flight.begun])
                    polled = time.monotonic()
            self._pending.clear()
            for message in link.leave():
                self._hear(message, observe)
        return self._results

    def _errand(self, mark: StorageMark, scratch: Path) -> Errand:
        import torch

        python = ".".join(platform.python_version_tuple()[:2])
        return Errand(
            address=self._options.ray_address,
            cores=max(available_cores(), self._reservation.cpus * (self._options.workers or 1)),
            reservation=self._reservation,
            device=self._device,
            threads=self._threads,
            stall_timeout_s=self._options.stall_timeout_s,
            mark=mark,
            versions=Versions(__version__, torch.__version__, python),
            folder=Path.cwd(),
            scratch=scratch,
        )

    def _learn(self, capacity: Capacity, observe: Observer) -> None:
        self._capacity = capacity
        nodes = "1 node" if capacity.nodes == 1 else f"{capacity.nodes} nodes"
        text = f"Ray: {capacity.runs} at once on {nodes}"
        observe(Event("note", text=text if capacity.runs else f"Ray: no node takes a run ({self._reservation}) now"))

    def _submit(self, link: ClusterLink) -> None:
        """Keeps as many runs in the cluster as it takes at once, and a few that wait."""
        waiting = max(WAITING, self._capacity.runs // 4)
        most = min(self._options.workers or self._capacity.runs + waiting, self._capacity.runs + waiting)
        while self._pending and len(self._flights) < most:
            assignment = self._pending.popleft()
            self._tickets += 1
            self._flights[self._tickets] = _Flight(assignment, standing(assignment))
            link.send(Submit(self._tickets, assignment))

    def _ask_to_save(self, link: ClusterLink, observe: Observer) -> None:
        link.send(SaveStates())
        names = ", ".join(flight.assignment.name for flight in self._flights.values() if flight.begun)
        observe(Event("note", text=f"asked to save: {names or 'nothing is at work'}"))

    def _hear(self, message: FromCluster, observe: Observer) -> None:
        match message:
            case Capacity():
                self._learn(message, observe)
            case Told(text):
                observe(Event("note", text=text))
            case Begun(ticket) if ticket in self._flights:
                self._begin(self._flights[ticket], observe)
            case Ended(ticket, result):
                flight = self._flights.pop(ticket)
                if not flight.begun and result.outcome != "interrupted":
                    self._begin(flight, observe)  # it was over before anybody looked
                self._results[flight.assignment.key] = result
                observe(finished(flight.assignment, result))
            case Died(ticket, how):
                self._bury(self._flights.pop(ticket), how, observe)

    def _begin(self, flight: _Flight, observe: Observer) -> None:
        flight.begun = True
        steps = flight.assignment.training.steps
        observe(Event("started", flight.assignment.name, flight.stood[0], steps))

    def _bury(self, flight: _Flight, how: str, observe: Observer) -> None:
        """Decides whether a run whose task died is tried again."""
        assignment = flight.assignment
        stands = standing(assignment)
        ways = self._deaths.count(assignment.key, how, progressed=stands != flight.stood)
        if not ways:
            observe(Event("died", assignment.name, stands[0], assignment.training.steps, text=how))
            self._pending.appendleft(assignment)
            return
        reason = died_twice(ways)
        note_failure(assignment, stands[0], reason)
        self._results[assignment.key] = WorkResult("failed", stands[0], reason)
        observe(finished(assignment, self._results[assignment.key]))


def reservation_of(experiment: Experiment, device: str, threads: int) -> Reservation:
    """`[resources]` of the file; cores: as many as threads unless it says, a GPU only where runs train on it."""
    resources = experiment.resources
    memory = int(resources.memory_gb * GIB) if resources.memory_gb else None
    return Reservation(resources.cpus or threads, (resources.gpus or 0.0) if device == "cuda" else 0.0, memory)
