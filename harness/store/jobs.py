"""Which job of a cluster works on which run. Files alone: what the cluster says of a job is asked elsewhere.

runs/<experiment>/slurm/jobs.jsonl   appended by the command that submits, under the lock beside it
runs/<experiment>/slurm/<job>.json   replaced by the job itself, whenever one of its runs ends
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.store import atomic
from harness.store.records import Record, append_record, read_intact
from harness.store.rundir import ExperimentDirectory


@dataclass(frozen=True)
class JobResult:
    """How a run ended in a job: outcome, step and reason as in `assignment.WorkResult`."""

    outcome: str
    step: int
    reason: str = ""


@dataclass(frozen=True)
class JobReport:
    """What a job says of itself. node: where it runs; refusal: why it did not begin; results: by key.

    fruitless: how often in a row it reached its time limit without progress; not_requeued: why it could not be queued
    again.
    """

    node: str
    refusal: str = ""
    results: Mapping[str, JobResult] | None = None
    fruitless: int = 0
    not_requeued: str = ""

    def result_of(self, key: str) -> JobResult | None:
        return (self.results or {}).get(key)


def record_submission(directory: ExperimentDirectory, jobs: Mapping[str, Sequence[str]]) -> None:
    """Notes jobs by their ids, each with the keys of its runs. Under `jobs_lock` alone; StoreError as records."""
    atomic.make_folder(directory.jobs.parent)
    append_record(directory.jobs, {"time": time.time(), "jobs": {job: list(keys) for job, keys in jobs.items()}})


def read_jobs(directory: ExperimentDirectory) -> dict[str, str]:
    """The newest job of each run, by the run's key."""
    newest: dict[str, str] = {}
    for record in read_intact(directory.jobs):
        for job, keys in _jobs_in(record).items():
            newest |= dict.fromkeys(keys, job)
    return newest


def _jobs_in(record: Record) -> dict[str, list[str]]:
    """Nothing where another version wrote the record."""
    match record:
        case {"jobs": dict() as jobs}:
            return {str(job): [str(key) for key in keys] for job, keys in jobs.items() if isinstance(keys, list)}
    return {}


def write_job_report(directory: ExperimentDirectory, job: str, report: JobReport) -> None:
    atomic.write_json(directory.job_report(job), asdict(report))


def read_job_report(directory: ExperimentDirectory, job: str) -> JobReport | None:
    """None where the job has not begun, or left nothing that can be read."""
    try:
        return _report(atomic.read_json(directory.job_report(job)))
    except (FileNotFoundError, StoreError, KeyError, TypeError, AttributeError):
        return None


def _report(document: dict[str, Any]) -> JobReport:
    results = {key: JobResult(**result) for key, result in (document.pop("results") or {}).items()}
    return JobReport(**document, results=results)


def log_tail(path: Path, lines: int = 3) -> str:
    """The last lines of a job's log that say something; empty where there is none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")[-4096:]
    except OSError:
        return ""
    return "; ".join([line.strip() for line in text.splitlines() if line.strip()][-lines:])
