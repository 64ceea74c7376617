"""The jobs of a cluster that runs are in the hands of, as `status` shows them. Instant where there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.cli.console import say
from harness.errors import HarnessError
from harness.execution.slurm_queue import QueuedJob, has_slurm, look_at_queue
from harness.store.heartbeat import is_beating, read_heartbeat
from harness.store.jobs import read_job_report, read_jobs
from harness.store.locks import is_held
from harness.tracking.reader import ExperimentView, RunView


@dataclass(frozen=True)
class ShownJob:
    """A run's newest job. state: Slurm's in small letters (`pending`, `running` ...); `ended` once the job is done with
    the run; `gone` where it is over without that; `unknown` where Slurm cannot be asked.

    reason: why it waits; node: where it works.
    """

    id: str
    state: str
    reason: str = ""
    node: str = ""

    @property
    def text(self) -> str:
        """One cell of the table."""
        beside = self.node or self.reason
        return f"{self.id} {self.state}" + (f" ({beside})" if beside else "")


def with_jobs(view: ExperimentView) -> tuple[ExperimentView, dict[str, ShownJob]]:
    """The view, and the newest job of each run by key; asks Slurm, for seconds at most, where some may be alive.

    A run that only the heartbeat of a job says to be running is none where Slurm knows that job to be over.
    """
    known = read_jobs(view.directory)
    if not known:
        return view, {}
    ids = {run.run.key: known[run.run.key] for run in view.runs if run.run.key in known}
    is_open = any(run.run.key in ids and not run.status.is_settled for run in view.runs)
    queue = _queue(view) if is_open else {}
    jobs = {run.run.key: _shown(view, run, ids[run.run.key], queue) for run in view.runs if run.run.key in ids}
    return replace(view, runs=tuple(_without_gone(run, queue) for run in view.runs)), jobs


def _queue(view: ExperimentView) -> Mapping[str, QueuedJob] | None:
    """None where Slurm cannot be asked."""
    if not has_slurm():
        return None
    try:
        return look_at_queue(view.directory.root.name)
    except HarnessError as error:
        say(f"note: the states of jobs are those of their files: {error.what}")
        return None


def _shown(view: ExperimentView, run: RunView, job: str, queue: Mapping[str, QueuedJob] | None) -> ShownJob:
    report = read_job_report(view.directory, job)
    node = report.node if report else ""
    result = report.result_of(run.run.key) if report else None
    if report and report.refusal:
        return ShownJob(job, "ended", report.refusal, node)
    if result is not None and result.outcome != "interrupted":
        return ShownJob(job, "ended", node=node)
    if queue is None:
        is_running = run.directory is not None and run.status.state == "running"
        return ShownJob(job, "running" if is_running else "unknown", node=node if is_running else "")
    found = queue.get(job)
    if found is None or not found.is_alive:
        return ShownJob(job, "gone", found.state if found else "", node)
    return ShownJob(job, found.state, found.reason, found.node)


def _without_gone(run: RunView, queue: Mapping[str, QueuedJob] | None) -> RunView:
    directory, status = run.directory, run.status
    if queue is None or directory is None or status.state != "running" or not is_beating(directory):
        return run
    heartbeat = read_heartbeat(directory)
    job = queue.get(heartbeat.job) if heartbeat else None
    if heartbeat is None or (job and job.is_alive) or is_held(directory.lock):
        return run
    return replace(run, status=replace(status, state="interrupted" if status.commit else "pending"))
