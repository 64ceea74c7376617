"""Records of jobs, heartbeats, and what `status` shows of them. No Slurm is asked."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import harness.cli.jobs as shown
from experiments import opened, run_directories, run_here, statuses, write_file
from harness.cli.jobs import with_jobs
from harness.cli.options import view_of
from harness.cli.results import status_text
from harness.execution.slurm_following import forget_gone
from harness.execution.slurm_queue import QueuedJob
from harness.store.heartbeat import STALE_S, Heartbeat, beat, end_heartbeat, is_beating, read_heartbeat
from harness.store.jobs import JobReport, JobResult, read_job_report, read_jobs, record_submission, write_job_report
from harness.store.rundir import RunDirectory, experiment_directory

HEARTBEAT = Heartbeat("7_0", "node1")


def test_the_newest_job_of_a_run_counts(tmp_path: Path) -> None:
    directory = experiment_directory(tmp_path / "runs", "tiny")
    assert read_jobs(directory) == {}
    record_submission(directory, {"7_0": ["a", "b"], "7_1": ["c"]})
    record_submission(directory, {"8": ["b"]})
    assert read_jobs(directory) == {"a": "7_0", "b": "8", "c": "7_1"}
    with directory.jobs.open("ab") as file:
        file.write(b'{"jobs":{"9":["a"]}')  # torn
    assert read_jobs(directory)["a"] == "7_0"


def test_a_report_reads_back_and_damage_counts_as_none(tmp_path: Path) -> None:
    directory = experiment_directory(tmp_path / "runs", "tiny")
    record_submission(directory, {"7_0": ["a"]})
    assert read_job_report(directory, "7_0") is None
    report = JobReport("node1", results={"a": JobResult("failed", 3, "no")}, fruitless=1)
    write_job_report(directory, "7_0", report)
    assert read_job_report(directory, "7_0") == report
    assert report.result_of("a") == JobResult("failed", 3, "no") and report.result_of("b") is None
    path = directory.job_report("7_0")
    path.write_bytes(path.read_bytes().replace(b"node1", b"node2"))
    assert read_job_report(directory, "7_0") is None


def test_a_heartbeat_says_running_until_it_is_stale_or_ended(tmp_path: Path) -> None:
    path = write_file(tmp_path)
    assert not beat(RunDirectory(tmp_path / "gone"), HEARTBEAT)  # no folder comes back with a heartbeat alone
    assert not (tmp_path / "gone").exists()
    run_here(path)
    run = next(iter(run_directories(path).values()))
    assert {status.state for status in statuses(path).values()} == {"complete"}
    assert beat(run, HEARTBEAT)
    assert is_beating(run) and read_heartbeat(run) == HEARTBEAT
    assert sorted(status.state for status in statuses(path).values()) == ["complete", "running"]
    end_heartbeat(run, "8_0")  # another job's is left alone
    assert is_beating(run)
    old = time.time() - STALE_S - 1
    os.utime(run.heartbeat, (old, old))
    assert not is_beating(run)
    assert {status.state for status in statuses(path).values()} == {"complete"}
    end_heartbeat(run, "7_0")
    assert read_heartbeat(run) is None


def test_heartbeats_of_jobs_that_slurm_knows_to_be_over_are_forgotten(tmp_path: Path) -> None:
    directory = experiment_directory(tmp_path / "runs", "tiny")
    names = ["a--s0--00000000", "b--s0--11111111", "c--s0--22222222"]
    runs = [RunDirectory(directory.root / name) for name in names]
    for run, job in zip(runs, ("7_0", "7_1", "7_2"), strict=True):
        run.root.mkdir(parents=True)
        beat(run, Heartbeat(job, "node1"))
    forget_gone(directory, {"7_0": QueuedJob("7_0", "running"), "7_1": QueuedJob("7_1", "cancelled")})
    assert [is_beating(run) for run in runs] == [True, False, False]


def test_status_shows_jobs_only_where_there_are_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_file(tmp_path)
    file = opened(path)

    def never(*_: object) -> None:
        raise AssertionError("Slurm is asked though there are no jobs")

    monkeypatch.setattr(shown, "look_at_queue", never)
    monkeypatch.setattr(shown, "has_slurm", lambda: True)
    view, jobs = with_jobs(view_of(file, tmp_path / "runs"))
    assert jobs == {} and " job " not in status_text(view, jobs).splitlines()[0]

    first, second = (run.key for run in file.plan.runs)
    record_submission(view.directory, {"7_0": [first], "7_1": [second]})
    queue = {"7_0": QueuedJob("7_0", "pending", "Resources"), "7_1": QueuedJob("7_1", "running", "", "node1")}
    monkeypatch.setattr(shown, "look_at_queue", lambda _: queue)
    view, jobs = with_jobs(view_of(file, tmp_path / "runs"))
    text = status_text(view, jobs)
    assert "job" in text.splitlines()[0]
    assert "7_0 pending (Resources)" in text and "7_1 running (node1)" in text

    monkeypatch.setattr(shown, "has_slurm", lambda: False)
    view, jobs = with_jobs(view_of(file, tmp_path / "runs"))
    assert {job.state for job in jobs.values()} == {"unknown"}


def test_a_heartbeat_of_a_job_that_is_over_is_no_running_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_file(tmp_path)
    run_here(path, "training.steps=12")
    file = opened(path)
    (run, _) = (directory for _, directory in sorted(run_directories(path).items()))
    key = next(run_.key for run_ in file.plan.runs if run_.key[:8] == run.root.name[-8:])
    record_submission(experiment_directory(tmp_path / "runs", "tiny"), {"7_0": [key]})
    beat(run, HEARTBEAT)
    monkeypatch.setattr(shown, "has_slurm", lambda: True)

    def state(queue: dict[str, QueuedJob]) -> tuple[str, str]:
        monkeypatch.setattr(shown, "look_at_queue", lambda _: queue)
        view, jobs = with_jobs(view_of(file, tmp_path / "runs"))
        return next(found.status.state for found in view.runs if found.run.key == key), jobs[key].state

    assert state({"7_0": QueuedJob("7_0", "running", "", "node1")}) == ("running", "running")
    assert state({"7_0": QueuedJob("7_0", "node_fail")}) == ("interrupted", "gone")
    assert state({}) == ("interrupted", "gone")
