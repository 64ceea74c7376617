"""Heartbeats: how a job on another machine says that it works on a run, where locks do not reach across machines.

Written and removed by the job alone; removed, too, by who knows from the cluster that the job is gone. Runs of this
machine have none: their lock says it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass

from harness.store.locks import is_held
from harness.store.rundir import RunDirectory

EVERY_S = 30.0
STALE_S = 180.0
"""Age from which a heartbeat says nothing any more: some missed beats, and clocks that differ a little."""


@dataclass(frozen=True)
class Heartbeat:
    """job: as the cluster names it; node: where it works."""

    job: str
    node: str


def beat(run: RunDirectory, heartbeat: Heartbeat) -> bool:
    """Leaves a fresh heartbeat; False where there is no folder yet, or the disk refuses, which harms nothing."""
    if not run.root.is_dir():
        return False
    try:
        run.heartbeat.write_text(f"{heartbeat.job}\n{heartbeat.node}\n", encoding="utf-8")
    except OSError:
        return False
    return True


def end_heartbeat(run: RunDirectory, job: str) -> None:
    """Removes the heartbeat of `job`; another's stays."""
    found = read_heartbeat(run)
    if found is not None and found.job == job:
        with suppress(OSError):
            run.heartbeat.unlink()


def is_worked_on(run: RunDirectory) -> bool:
    """Whether a live process holds the run's lock, or a job elsewhere beats on it; raises as `locks.is_held`."""
    return is_held(run.lock) or is_beating(run)


def beats_elsewhere(run: RunDirectory, job: str) -> bool:
    """Whether another job than `job` beats on the run: locks do not reach across machines on every file system."""
    found = read_heartbeat(run)
    return found is not None and found.job != job and is_beating(run)


def is_beating(run: RunDirectory) -> bool:
    """Whether there is a heartbeat that is not stale."""
    try:
        changed = os.stat(run.heartbeat).st_mtime  # noqa: PTH116 - asked of every run at every look
    except OSError:
        return False
    return abs(time.time() - changed) < STALE_S


def read_heartbeat(run: RunDirectory) -> Heartbeat | None:
    """Who beats, or did at last; None where there is nothing, or the beat was just being written."""
    try:
        lines = run.heartbeat.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    return Heartbeat(lines[0], lines[1]) if len(lines) == 2 else None


def job_id() -> str:
    """Of the job that this process belongs to, as `squeue --array` names it."""
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{index}" if array and index else os.environ.get("SLURM_JOB_ID", "")
