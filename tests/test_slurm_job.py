"""What a job does before and after its runs, in a process as Slurm would start it; no Slurm is asked."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from experiments import opened, run_here, write_file
from harness.execution.assignment import Assignment, WorkResult
from harness.execution.deaths import note_failure
from harness.execution.events import Observer
from harness.execution.measure import LoadedExtractors
from harness.execution.options import RunOptions
from harness.execution.slurm_job import JobOrders, JobTask, _Work, versions
from harness.execution.worker import work_on
from harness.store.heartbeat import Heartbeat, beat
from harness.store.jobs import JobReport, JobResult, read_job_report, record_submission, write_job_report
from harness.store.rundir import ExperimentDirectory, experiment_directory

JOB = "7_0"


def _in_a_job(
    root: Path, expected: dict[str, str], payload: Path = Path("/dev/null")
) -> subprocess.CompletedProcess[str]:
    code = (
        "from pathlib import Path; from harness.execution.slurm_job import work; "
        f"work({str(root)!r}, {expected!r}, Path({str(payload)!r}).read_bytes())"
    )
    environment = os.environ | {"SLURM_JOB_ID": "8", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "0"}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.fixture
def assigned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Assignment]:
    """What an executor is given for a fresh experiment."""
    given: list[Assignment] = []

    class Taking:
        def __init__(self, *_: object) -> None: ...

        def run(self, assignments: list[Assignment], observe: Observer, *_: object) -> dict[str, WorkResult]:
            given.extend(assignments)
            return {assignment.key: WorkResult("finished") for assignment in assignments}

    with monkeypatch.context() as patch:
        patch.setattr("harness.execution.inline.InlineExecutor", Taking)
        run_here(write_file(tmp_path))
    return given


def _scontrol(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """What the job finds as Slurm's own command."""
    program = folder / "bin" / "scontrol"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "8")


@pytest.fixture
def directory(tmp_path: Path) -> ExperimentDirectory:
    return experiment_directory(tmp_path / "runs", "tiny")


def _work(tmp_path: Path, directory: ExperimentDirectory, assigned: list[Assignment]) -> _Work:
    options = RunOptions(tmp_path / "runs", frozenset())
    experiment = opened(tmp_path / "tiny.toml").experiment
    return _Work(directory, JOB, "node1", JobTask(tuple(assigned), options, experiment, "cpu", 1), JobOrders())


def test_another_version_is_refused_and_named(tmp_path: Path, directory: ExperimentDirectory) -> None:
    directory.root.mkdir(parents=True)
    record_submission(directory, {JOB: ["a"]})
    done = _in_a_job(directory.root, versions() | {"torch": "0.1"})
    assert done.returncode == 1
    report = read_job_report(directory, JOB)
    assert report is not None and "torch" in report.refusal and "not 0.1" in report.refusal
    assert report.node in report.refusal


def test_a_node_without_the_folder_says_so_and_makes_none(tmp_path: Path) -> None:
    done = _in_a_job(tmp_path / "nowhere", versions())
    assert done.returncode == 1
    assert f"does not see {tmp_path / 'nowhere'}" in done.stderr
    assert not (tmp_path / "nowhere").exists()


def test_a_run_that_another_job_beats_on_is_left_alone(
    tmp_path: Path, directory: ExperimentDirectory, assigned: list[Assignment]
) -> None:
    job = _work(tmp_path, directory, assigned)
    for assignment, other in zip(assigned, ("8_0", JOB), strict=True):  # its own heartbeat is of an earlier start
        assignment.directory.root.mkdir()
        beat(assignment.directory, Heartbeat(other, "node2"))
    assert [job._is_elsewhere(assignment) for assignment in assigned] == [True, False]
    assert job.results == {assigned[0].key: JobResult("elsewhere", 0)}


def test_a_time_limit_without_progress_is_a_failure_the_second_time(
    tmp_path: Path, directory: ExperimentDirectory, assigned: list[Assignment], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tmp_path / "asked"
    _scontrol(tmp_path, monkeypatch, f'echo "$@" >> {asked}')
    record_submission(directory, {JOB: [assignment.key for assignment in assigned]})
    for fruitless in (1, 2):
        job = _work(tmp_path, directory, assigned)
        job.orders.time_is_up = job.orders.stopping = True
        job.do()
        report = read_job_report(directory, JOB)
        assert report is not None and report.fruitless == fruitless
    assert asked.read_text().splitlines() == [f"requeue {JOB}"]  # the second time it was not asked any more
    assert report.results is not None
    for assignment in assigned:
        result = report.results[assignment.key]
        assert result.outcome == "failed" and "slurm.time" in result.reason


def test_what_ended_in_a_job_is_not_tried_again_when_it_is_queued_again(
    tmp_path: Path, directory: ExperimentDirectory, assigned: list[Assignment], monkeypatch: pytest.MonkeyPatch
) -> None:
    _scontrol(tmp_path, monkeypatch, "exit 0")
    record_submission(directory, {JOB: [assignment.key for assignment in assigned]})
    ended = JobResult("failed", 3, "an error of its own")
    write_job_report(directory, JOB, JobReport("node1", results={assigned[0].key: ended}))
    job = _work(tmp_path, directory, assigned)
    job.orders.time_is_up = job.orders.stopping = True
    job.do()
    report = read_job_report(directory, JOB)
    assert report is not None and report.results == {assigned[0].key: ended}


def test_a_worker_leaves_a_run_that_a_job_elsewhere_beats_on(assigned: list[Assignment]) -> None:
    run = assigned[0].directory
    run.root.mkdir()
    beat(run, Heartbeat("99_1", "node2"))
    result = work_on(assigned[0], LoadedExtractors(torch.device("cpu")), lambda: False)
    assert result.outcome == "elsewhere"
    note_failure(assigned[0], 0, "lost")
    assert not run.attempts.exists()


def test_a_refused_requeue_is_noted(
    tmp_path: Path, directory: ExperimentDirectory, assigned: list[Assignment], monkeypatch: pytest.MonkeyPatch
) -> None:
    _scontrol(tmp_path, monkeypatch, "echo 'Requested operation is presently disabled' >&2; exit 1")
    record_submission(directory, {JOB: [assignment.key for assignment in assigned]})
    job = _work(tmp_path, directory, assigned)
    job.orders.time_is_up = job.orders.stopping = True
    job.do()
    report = read_job_report(directory, JOB)
    assert report is not None and report.not_requeued == "Requested operation is presently disabled"


def test_data_that_the_node_does_not_see_are_named(
    tmp_path: Path, directory: ExperimentDirectory, assigned: list[Assignment]
) -> None:
    record_submission(directory, {JOB: [assignment.key for assignment in assigned]})
    task = _work(tmp_path, directory, assigned).task
    assigned[0].images.unlink()
    payload = tmp_path / "payload"
    payload.write_bytes(pickle.dumps(task))
    done = _in_a_job(directory.root, versions(), payload)
    assert done.returncode == 1
    report = read_job_report(directory, JOB)
    assert report is not None and f"does not see {assigned[0].images}" in report.refusal
