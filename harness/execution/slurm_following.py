"""Following jobs from the command that waits for them: their states, their reports, and the progress of their runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import get_args

from harness.errors import HarnessError
from harness.execution.assignment import Assignment, WorkOutcome, WorkResult
from harness.execution.deaths import Deaths, Standing, note_failure, standing
from harness.execution.events import Event, Observer, finished
from harness.execution.progress import ProgressReader
from harness.execution.slurm_queue import QueuedJob, cancel, look_at_queue, signal_jobs
from harness.store.heartbeat import end_heartbeat, is_worked_on, read_heartbeat
from harness.store.jobs import JobReport, JobResult, log_tail, read_job_report
from harness.store.rundir import ExperimentDirectory

POLL_S = 0.25
LOOK_S = 5.0
"""Between two looks at the queue and at the runs' files: each asks a server that many share."""
ASK_S = 10.0
"""Between two questions whether jobs that beat on runs live, while other commands wait for them."""
LEAVE_S = 30.0
"""How long own jobs may take to save their states after Ctrl-C; a second Ctrl-C leaves at once."""

_OUTCOMES: tuple[WorkOutcome, ...] = get_args(WorkOutcome)


@dataclass(frozen=True)
class Handed:
    """Jobs by the keys of their runs; own: those that this command submitted, and so cancels when it is stopped."""

    jobs: Mapping[str, str]
    own: frozenset[str]


@dataclass
class _Followed:
    """A run in the hands of a job. stood: where it was when it was handed over; started: whether that was told."""

    assignment: Assignment
    job: str
    stood: Standing
    started: bool = False


class Following:
    """Runs in jobs, until each has a result.

    hand_over: finds or submits a job for each of some runs.
    """

    def __init__(
        self,
        directory: ExperimentDirectory,
        observe: Observer,
        hand_over: Callable[[Sequence[Assignment]], Handed],
    ) -> None:
        self._directory = directory
        self._experiment = directory.root.name
        self._observe = observe
        self._hand_over = hand_over
        self._followed: dict[str, _Followed] = {}
        self._own: set[str] = set()
        self._deaths = Deaths()
        self._queue: Mapping[str, QueuedJob] = {}
        self._reasons: dict[str, str] = {}
        self._is_silent = False
        self.results: dict[str, WorkResult] = {}

    def follow(self, assignments: Sequence[Assignment], handed: Handed) -> None:
        """From now on, each run in its job."""
        self._own |= handed.own
        for assignment in assignments:
            job = handed.jobs[assignment.key]
            self._followed[assignment.key] = _Followed(assignment, job, standing(assignment))

    def wait(self, stop: Callable[[], bool], save: Callable[[], bool]) -> None:
        """Until every run has a result, or `stop` says yes: then own jobs are told to save, and awaited."""
        progress = ProgressReader(self._observe)
        looked = -LOOK_S
        while self._followed and not stop():
            if save():
                self._ask_to_save()
            if time.monotonic() - looked >= LOOK_S:
                self._look()
                progress.poll([followed.assignment for followed in self._followed.values() if followed.started])
                looked = time.monotonic()
            time.sleep(POLL_S)
        if stop():
            self._leave()

    def _look(self) -> None:
        """Takes results, tells what changed, and hands over again what lost its job."""
        queue = self._ask()
        if queue is None:
            return
        self._queue = queue
        jobs = {run.job for run in self._followed.values()}
        waiting = {job for job in jobs if (found := queue.get(job)) and found.is_pending}
        reports = {job: None if job in waiting else read_job_report(self._directory, job) for job in jobs}
        lost = []
        for key, run in list(self._followed.items()):
            report, job = reports[run.job], queue.get(run.job)
            if not self._take(key, run, report) and not self._tell(run, job) and self._died(key, run, job, report):
                lost.append(run.assignment)
        if lost:
            self.follow(lost, self._hand_over(lost))

    def _ask(self) -> Mapping[str, QueuedJob] | None:
        """None where Slurm is silent, which is told once; jobs go on meanwhile."""
        try:
            queue = look_at_queue(self._experiment)
        except HarnessError as error:
            if not self._is_silent:
                self._observe(Event("note", text=f"{error.what}; the jobs go on, and it is asked again"))
            self._is_silent = True
            return None
        self._is_silent = False
        return queue

    def _take(self, key: str, run: _Followed, report: JobReport | None) -> bool:
        """Whether the run has a result in the job's report; what was interrupted has none yet."""
        found = report.result_of(key) if report else None
        if report and report.refusal:
            found = JobResult("failed", run.stood[0], f"{report.refusal} (job {run.job})")
        if found is None or found.outcome == "interrupted":
            return False
        outcome: WorkOutcome = next((name for name in _OUTCOMES if name == found.outcome), "failed")
        result = WorkResult(outcome, found.step, found.reason)
        self._end(key, run, result)
        return True

    def _end(self, key: str, run: _Followed, result: WorkResult) -> None:
        del self._followed[key]
        if result.outcome != "finished" or run.job in self._own:  # another's job may have been asked for less
            self.results[key] = result
        self._observe(finished(run.assignment, result))

    def _tell(self, run: _Followed, job: QueuedJob | None) -> bool:
        """Whether the job is alive; tells when it begins, and why it waits."""
        if job is None or not job.is_alive:
            return False
        if job.is_pending:
            self._tell_reason(job)
            run.started = False
        elif not run.started:
            run.started = True
            self._observe(
                Event("started", run.assignment.name, standing(run.assignment)[0], run.assignment.training.steps)
            )
        return True

    def _tell_reason(self, job: QueuedJob) -> None:
        """Once for each reason of each array: most jobs of one wait for the same."""
        array = job.id.partition("_")[0]
        if job.reason and self._reasons.get(array) != job.reason:
            self._reasons[array] = job.reason
            self._observe(Event("note", text=f"job {job.id} waits: {job.reason}"))

    def _died(self, key: str, run: _Followed, job: QueuedJob | None, report: JobReport | None) -> bool:
        """Whether the run of a job that is gone is handed over again; twice without progress, it is failed."""
        assignment = run.assignment
        end_heartbeat(assignment.directory, run.job)
        if is_worked_on(assignment.directory):
            return False  # its process is just ending, or somebody else took the run
        how = f"job {run.job} ended: {job.state if job else 'gone'}"
        if report and report.not_requeued:
            how = f"{how}; it could not be queued again: {report.not_requeued}"
        stands = standing(assignment)
        ways = self._deaths.count(key, how, progressed=stands != run.stood)
        if not ways:
            self._observe(Event("died", assignment.name, stands[0], assignment.training.steps, text=how))
            return True
        log = self._directory.job_log(run.job)
        tail = log_tail(log) or f"no log at {log}: do the nodes see this folder?"
        reason = f"its jobs ended twice without progress ({ways}): {tail} ({log})"
        note_failure(assignment, stands[0], reason)
        self._end(key, run, WorkResult("failed", stands[0], reason))
        return False

    def _running(self) -> list[str]:
        return sorted(job for job in self._own if (found := self._queue.get(job)) and found.state == "running")

    def _ask_to_save(self) -> None:
        jobs = self._running()
        signal_jobs("USR1", jobs)
        self._observe(Event("note", text=f"asked to save: {', '.join(jobs) or 'no job of this command runs'}"))

    def _leave(self) -> None:
        """Ends own jobs alone: those that wait at once, those that run once they have saved their states."""
        own = sorted({run.job for run in self._followed.values()} & self._own)
        if not own:
            return
        cancel(own, only_pending=True)
        signal_jobs("TERM", own)
        deadline = time.monotonic() + LEAVE_S
        while time.monotonic() < deadline:
            queue = self._ask()
            if queue is not None and not any(job in queue and queue[job].is_alive for job in own):
                return
            time.sleep(1.0)
        cancel(own)
        self._observe(Event("note", text=f"not ended within {LEAVE_S:g} s, cancelled: {', '.join(own)}"))


class GoneJobs:
    """Forgets, now and then, heartbeats of jobs that Slurm knows to be over, while a command waits for their runs."""

    def __init__(self, directory: ExperimentDirectory) -> None:
        self._directory = directory
        self._asked = -ASK_S

    def forget(self) -> None:
        """Asks Slurm at most every ASK_S; where it is away, heartbeats go stale by themselves."""
        if time.monotonic() - self._asked < ASK_S:
            return
        with suppress(HarnessError):
            forget_gone(self._directory, look_at_queue(self._directory.root.name))
        self._asked = time.monotonic()


def forget_gone(directory: ExperimentDirectory, queue: Mapping[str, QueuedJob]) -> None:
    """Removes heartbeats of jobs that Slurm knows to be over: nobody works on those runs any more."""
    for run in directory.runs().values():
        heartbeat = read_heartbeat(run)
        if heartbeat and not ((job := queue.get(heartbeat.job)) and job.is_alive):
            end_heartbeat(run, heartbeat.job)
