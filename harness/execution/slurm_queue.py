"""What Slurm's own commands say of jobs, and what they are told. Light: no torch, no submitit."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import HarnessError
from harness.store.rundir import slug

LOOK_TIMEOUT_S = 5.0
ORDER_TIMEOUT_S = 30.0
MOST_IDS = 500
"""Job ids on one command line."""

_OVER = frozenset(
    {
        "boot_fail",
        "cancelled",
        "completed",
        "deadline",
        "failed",
        "node_fail",
        "out_of_memory",
        "preempted",
        "revoked",
        "timeout",
    }
)
"""States that a job does not leave any more; all others count as alive."""


@dataclass(frozen=True)
class QueuedJob:
    """state: Slurm's, in small letters; reason: why it waits, empty for none; node: where it runs, or ran."""

    id: str
    state: str
    reason: str = ""
    node: str = ""

    @property
    def is_alive(self) -> bool:
        return self.state not in _OVER

    @property
    def is_pending(self) -> bool:
        return self.state == "pending"


def job_name(experiment: str) -> str:
    """What all jobs of an experiment are called in Slurm."""
    return f"harness-{slug(experiment).replace(',', '-')}"


def has_slurm() -> bool:
    return shutil.which("squeue") is not None


def look_at_queue(experiment: str, timeout_s: float = LOOK_TIMEOUT_S) -> dict[str, QueuedJob]:
    """Jobs of an experiment by id, those that ended within the last minutes included, of all users.

    HarnessError where Slurm does not answer in time.
    """
    text = _call(
        ["squeue", "--noheader", "--array", "--states=all", f"--name={job_name(experiment)}", "--format=%i|%T|%r|%N"],
        timeout_s,
    )
    return parse_queue(text)


def parse_queue(text: str) -> dict[str, QueuedJob]:
    """What `squeue` printed, a job a line: id, state, reason, node. Of a job that is there twice, the living one."""
    jobs: dict[str, QueuedJob] = {}
    for line in text.splitlines():
        parts = line.strip().split("|")
        if len(parts) != 4 or not parts[0]:
            continue
        reason = "" if parts[2] in ("None", "(null)") else parts[2]
        job = QueuedJob(parts[0], parts[1].lower(), reason, parts[3])
        if job.id not in jobs or job.is_alive:
            jobs[job.id] = job
    return jobs


def cancel(jobs: Iterable[str], *, only_pending: bool = False) -> None:
    """Cancels jobs at once; those that are over already do not matter."""
    _order(["scancel", "--quiet", *(["--state=PENDING"] if only_pending else [])], jobs)


def signal_jobs(name: str, jobs: Iterable[str]) -> None:
    """Sends a signal to the process of each job that runs; name: `TERM` saves and ends, `USR1` saves and goes on."""
    _order(["scancel", "--quiet", "--batch", f"--signal={name}", "--state=RUNNING"], jobs)


def requeue(job: str) -> str:
    """Queues a job again that reached its time limit; returns why that is not possible, empty when it is."""
    try:
        _call(["scontrol", "requeue", job], ORDER_TIMEOUT_S)
    except HarnessError as error:
        return error.what
    return ""


def _order(command: Sequence[str], jobs: Iterable[str]) -> None:
    ids = list(jobs)
    for start in range(0, len(ids), MOST_IDS):
        part = [*command, *ids[start : start + MOST_IDS]]
        try:
            _run(part, ORDER_TIMEOUT_S)
        except (OSError, subprocess.TimeoutExpired):
            return  # Slurm is away; what then becomes of the jobs is seen in the queue


def _call(command: Sequence[str], timeout_s: float) -> str:
    try:
        done = _run(command, timeout_s)
    except subprocess.TimeoutExpired as error:
        raise HarnessError(
            f"{command[0]} did not answer within {timeout_s:g} s", where="Slurm", remedy="Try again when it does."
        ) from error
    except OSError as error:
        raise HarnessError(
            f"{command[0]}: {error.strerror or error}",
            where="Slurm",
            remedy="Start on a machine with Slurm's commands, such as the cluster's login node.",
        ) from error
    if done.returncode:
        told = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise HarnessError(
            "; ".join(told) or f"{command[0]} ended with {done.returncode}",
            where="Slurm",
            remedy="`sinfo` shows whether Slurm is up.",
        )
    return done.stdout


def _run(command: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """In a session of its own, which Ctrl-C does not reach."""
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, check=False, start_new_session=True
    )
