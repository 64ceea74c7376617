"""What a job does on its node: its runs side by side, until they are done, the time is up, or it is told to leave.

The batch script becomes this process, so that Slurm's signals reach it: SIGTERM saves the states and ends, SIGUSR2
(the time limit is near) also queues the job again, SIGUSR1 saves and goes on. Nothing heavy is loaded before that.
"""

from __future__ import annotations

import pickle
import platform
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.execution.deaths import note_failure, standing
from harness.execution.slurm_queue import requeue
from harness.store.heartbeat import EVERY_S, Heartbeat, beat, beats_elsewhere, end_heartbeat, job_id
from harness.store.jobs import JobReport, JobResult, read_job_report, write_job_report
from harness.store.reading import is_there
from harness.store.rundir import ExperimentDirectory

if TYPE_CHECKING:
    from harness.design.experiment import Experiment
    from harness.execution.assignment import Assignment
    from harness.execution.events import Event, Observer
    from harness.execution.options import RunOptions

_OPEN = ("interrupted", "elsewhere")
"""Outcomes after which a job that is queued again looks at the run once more."""

MOST_FRUITLESS = 2
"""Time limits in a row without progress after which a job is not queued again."""


@dataclass(frozen=True)
class JobTask:
    """Runs for one job, side by side, with `threads` CPU threads each, on `device`.

    options: of the local executor that works inside the job.
    """

    assignments: tuple[Assignment, ...]
    options: RunOptions
    experiment: Experiment
    device: str
    threads: int


@dataclass
class JobOrders:
    """What the job was told by signals. Plain attributes: handlers may interrupt any code."""

    stopping: bool = False
    time_is_up: bool = False
    saving: bool = False

    def stop(self) -> bool:
        return self.stopping

    def save(self) -> bool:
        wanted, self.saving = self.saving, False
        return wanted


def versions() -> dict[str, str]:
    """What must be the same here and on the nodes, as a job reads what was written here, and bits depend on it."""
    from importlib.metadata import version

    from harness import __version__

    return {"harness": __version__, "torch": version("torch"), "python": platform.python_version()}


def work(root: str, expected: dict[str, str], payload: bytes) -> None:
    """Works on the pickled JobTask in `payload`. root: of the experiment; expected: `versions` of who submitted."""
    orders = JobOrders()
    _obey_signals(orders)
    job = job_id()
    directory = ExperimentDirectory(Path(root))
    node = platform.node()
    if not directory.root.is_dir():
        _tell(f"{node} does not see {root}")
        raise SystemExit(1)
    found = versions()
    others = [f"{name} {found[name]}, not {wanted}" for name, wanted in expected.items() if found[name] != wanted]
    if others:
        _refuse(directory, job, JobReport(node, f"{node} has {'; '.join(others)}, which this was submitted with"))
    task: JobTask = pickle.loads(payload)
    unseen = [str(path) for path in _needed(task) if not is_there(path)]
    if unseen:
        _refuse(directory, job, JobReport(node, f"{node} does not see {unseen[0]}"))
    _Work(directory, job, node, task, orders).do()


@dataclass
class _Work:
    """The runs of one job, and what it tells of them."""

    directory: ExperimentDirectory
    job: str
    node: str
    task: JobTask
    orders: JobOrders
    results: dict[str, JobResult] = field(default_factory=dict)

    def do(self) -> None:
        before = read_job_report(self.directory, self.job)
        ended = (before.results if before else None) or {}
        self.results |= {key: found for key, found in ended.items() if found.outcome not in _OPEN}
        report = JobReport(self.node, fruitless=before.fruitless if before else 0)
        open_ones = [assignment for assignment in self.task.assignments if assignment.key not in self.results]
        mine = [assignment for assignment in open_ones if not self._is_elsewhere(assignment)]
        self._write(report)  # with what is elsewhere
        by_name = {assignment.name: assignment for assignment in mine}
        stood = [standing(assignment) for assignment in mine]

        def observe(event: Event) -> None:
            _tell(
                " ".join(str(part) for part in (event.kind, event.run, event.step, event.outcome, event.text) if part)
            )
            if event.kind == "finished":
                self.results[by_name[event.run].key] = JobResult(event.outcome, event.step, event.text)
                end_heartbeat(by_name[event.run].directory, self.job)  # before anybody takes the result
                self._write(report)

        with self._heartbeats(mine):
            try:
                self._train(mine, observe)
            except HarnessError as error:
                _tell(str(error))
                raise SystemExit(1) from error
        if self.orders.time_is_up and any(self._is_open(assignment) for assignment in mine):
            made_progress = stood != [standing(assignment) for assignment in mine]
            self._requeue(report, mine, made_progress=made_progress)

    def _train(self, mine: list[Assignment], observe: Observer) -> None:
        from harness.execution.executor import executor_of

        if not mine or self.orders.stopping:
            return
        task = self.task
        options = replace(task.options, workers=len(mine))
        executor = executor_of(options, task.experiment, task.device, task.threads, len(mine))
        executor.run(mine, observe, self.orders.stop, self.orders.save)

    def _is_open(self, assignment: Assignment) -> bool:
        result = self.results.get(assignment.key)
        return result is None or result.outcome == "interrupted"

    def _is_elsewhere(self, assignment: Assignment) -> bool:
        """Whether another job beats on the run: locks do not reach across machines on every file system."""
        if not beats_elsewhere(assignment.directory, self.job):
            return False
        self.results[assignment.key] = JobResult("elsewhere", 0)
        return True

    def _requeue(self, report: JobReport, mine: list[Assignment], *, made_progress: bool) -> None:
        fruitless = 0 if made_progress else report.fruitless + 1
        if fruitless >= MOST_FRUITLESS:
            reason = f"no progress within the time limit of the job, {fruitless} times; raise slurm.time"
            for assignment in mine:
                if self._is_open(assignment):
                    step = standing(assignment)[0]
                    note_failure(assignment, step, reason)
                    self.results[assignment.key] = JobResult("failed", step, reason)
            self._write(replace(report, fruitless=fruitless))
            return
        self._write(replace(report, fruitless=fruitless))
        _tell("the time limit is near: the job is queued again")
        refused = requeue(self.job)  # ARRAY_TASK: the bare number of one task names the whole array
        if refused:
            _tell(refused)
            self._write(replace(report, fruitless=fruitless, not_requeued=refused))

    def _write(self, report: JobReport) -> None:
        write_job_report(self.directory, self.job, replace(report, results=dict(self.results)))

    @contextmanager
    def _heartbeats(self, mine: list[Assignment]) -> Iterator[None]:
        """Every run that is not over has a fresh heartbeat during the block."""
        over = threading.Event()
        thread = threading.Thread(target=self._keep_beating, args=(mine, over), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(timeout=5.0)
            for assignment in mine:
                end_heartbeat(assignment.directory, self.job)

    def _keep_beating(self, mine: list[Assignment], over: threading.Event) -> None:
        due = {assignment.key: 0.0 for assignment in mine}
        while not over.wait(0.2):
            for assignment in mine:
                if not self._is_open(assignment):
                    if due.pop(assignment.key, None) is not None:
                        end_heartbeat(assignment.directory, self.job)
                elif due[assignment.key] <= time.monotonic() and beat(
                    assignment.directory, Heartbeat(self.job, self.node)
                ):
                    due[assignment.key] = time.monotonic() + EVERY_S


def _obey_signals(orders: JobOrders) -> None:
    """SIGUSR2 stays blocked, here and so in all workers, and is fetched by a thread: it would end them."""

    def leave(*_: object) -> None:
        orders.stopping = True

    def save(*_: object) -> None:
        orders.saving = True

    def end_of_time(*_: object) -> None:  # numpy's threads are older than the block below: one of them may get it
        orders.time_is_up = orders.stopping = True

    def fetch() -> None:
        signal.sigwait({signal.SIGUSR2})
        orders.time_is_up = orders.stopping = True

    signal.signal(signal.SIGUSR2, end_of_time)  # in place of submitit's, which raises
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGUSR1, save)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=fetch, daemon=True).start()


def _needed(task: JobTask) -> Iterator[Path]:
    for assignment in task.assignments:
        yield assignment.images
        for evaluation in assignment.evaluations:
            yield evaluation.reference_images


def _refuse(directory: ExperimentDirectory, job: str, report: JobReport) -> None:
    _tell(report.refusal)
    write_job_report(directory, job, report)
    raise SystemExit(1)


def _tell(text: str) -> None:
    """A line in the job's log."""
    sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
    sys.stderr.flush()
