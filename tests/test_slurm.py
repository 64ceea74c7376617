"""Runs as jobs of a real Slurm on this machine: one node, partitions `main` and `high`, nobody but these tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from getpass import getuser
from pathlib import Path
from typing import Any

import psutil
import pytest
from slurm_cluster import SlurmCluster, slurm_cluster

from experiments import TINY, final_tensors, harness, opened, run_directories, write_file
from harness.store.attempts import Attempt, read_attempts
from harness.store.jobs import read_jobs
from harness.store.records import read_intact
from harness.store.rundir import ExperimentDirectory, RunDirectory, experiment_directory

pytestmark = [pytest.mark.services, pytest.mark.timeout(1500)]

PATIENCE_S = 600.0
ALONE = TINY[: TINY.index("[[grid]]")]
LONG = (
    ALONE.replace("steps = 24", "steps = 1200")
    .replace("checkpoint_every = 12", "checkpoint_every = 20")
    .replace("samples = 64", "samples = 64\nat = 'last'")
    + "\n[resources]\ncpus = 1\n"
)
"""A state after each twentieth step: seconds from the end on a fast machine, minutes on a busy one."""
EARLY = 20


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    with slurm_cluster() as started:
        yield started


@pytest.fixture(autouse=True)
def _calm(cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test finds an empty queue, and its commands this cluster."""
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    cluster.call("scancel", "--quiet", f"--user={getuser()}")


def _run(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return harness("run", path.name, "--executor", "slurm", *options, cwd=path.parent)


def _in_background(path: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "harness", "run", path.name, "--executor", "slurm", "--no-report", *options]
    command += ["--tracking-uri", "none"]
    environment = os.environ | {"NO_COLOR": "1"}
    return subprocess.Popen(command, cwd=path.parent, env=environment, stderr=subprocess.PIPE, text=True)


def _status(path: Path) -> list[dict[str, Any]]:
    done = harness("status", path.name, "--json", cwd=path.parent)
    assert done.returncode == 0, done.stderr
    runs: list[dict[str, Any]] = json.loads(done.stdout)["runs"]
    return runs


def _shared(path: Path) -> ExperimentDirectory:
    return experiment_directory(path.parent / "runs", opened(path).experiment.name)


def _only_run(path: Path) -> RunDirectory:
    (run,) = run_directories(path).values()
    return run


def _wait_for_state(path: Path) -> RunDirectory:
    """The only run, once it has a heartbeat and a state that counts of step EARLY or later."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        runs = list(run_directories(path).values())
        stands = runs and any(committed >= EARLY for committed in runs[0].committed_steps())
        if stands and runs[0].heartbeat.exists():
            return runs[0]
        time.sleep(0.3)
    raise AssertionError(f"no state of step {EARLY} within {PATIENCE_S} s")


def _wait_for_end(path: Path) -> list[dict[str, Any]]:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        runs = _status(path)
        if all(run["state"] in ("complete", "failed") for run in runs):
            return runs
        time.sleep(2.0)
    raise AssertionError(f"not ended within {PATIENCE_S} s: {_status(path)}")


def _job(path: Path) -> str:
    (job,) = read_jobs(_shared(path)).values()
    return job


def _submitted(path: Path) -> list[str]:
    """All jobs that were ever submitted, in order."""
    return [job for record in read_intact(_shared(path).jobs) for job in record["jobs"]]


def _attempts(run: RunDirectory) -> list[Attempt]:
    return read_attempts(run)


def _processes(path: Path) -> list[psutil.Process]:
    """Of the jobs of an experiment, what their batch scripts became."""
    logs = str(_shared(path).job_logs)
    return [found for found in psutil.process_iter(["cmdline"]) if logs in (found.info["cmdline"] or [])]


def test_a_grid_in_an_array_gives_the_weights_of_the_local_executor(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "slurm", tmp_path / "local"
    text = TINY.replace("seeds = [0]", "seeds = [0, 1]") + "\n[slurm]\nruns_per_job = 2\npartition = 'main'\n"
    ours.mkdir(), theirs.mkdir()
    path, local = write_file(ours, text), write_file(theirs, text)
    done = _run(path, "--threads", "1")
    assert done.returncode == 0, done.stderr
    assert "4 complete" in done.stderr
    assert len(_submitted(path)) == 2  # two runs a job
    assert (ours / "reports" / "tiny" / "report.md").is_file()
    assert harness("run", local.name, "--threads", "1", "--no-report", cwd=theirs).returncode == 0
    runs = run_directories(path)
    for key, run in run_directories(local).items():
        expected, found = final_tensors(run), final_tensors(runs[key])
        assert expected.keys() == found.keys()
        assert all(expected[name].equal(found[name]) for name in expected)
        assert not runs[key].heartbeat.exists()

    path.write_text(text.replace("repeats = 2", "repeats = 3"))
    measured = harness("evaluate", path.name, "--executor", "slurm", cwd=ours)
    assert measured.returncode == 0, measured.stderr
    assert [attempt.work for attempt in _attempts(next(iter(runs.values())))] == ["train and evaluate", "evaluate"]
    assert {run["state"] for run in _status(path)} == {"complete"}


def test_submit_returns_and_status_follows(tmp_path: Path, cluster: SlurmCluster) -> None:
    path = write_file(tmp_path, ALONE)
    cluster.call("scontrol", "update", "PartitionName=main", "State=DOWN")  # jobs are taken, and wait
    try:
        done = _run(path, "--submit")
        assert done.returncode == 0, done.stderr
        assert "harness status tiny.toml" in done.stderr
        assert not (tmp_path / "reports").exists()
        assert not (tmp_path / "runs" / "mlflow.db").exists()
        (run,) = _status(path)
        assert run["job"]["state"] == "pending" and run["job"]["reason"] == "PartitionDown"
        assert run["state"] == "pending"
        again = _run(path, "--submit")
        assert again.returncode == 0, again.stderr
        assert f"1 runs have jobs already: {run['job']['id']}" in again.stderr
        assert _submitted(path) == [run["job"]["id"]]
    finally:
        cluster.call("scontrol", "update", "PartitionName=main", "State=UP")
    (run,) = _wait_for_end(path)
    assert run["state"] == "complete"
    assert run["job"] == {"id": run["job"]["id"], "state": "ended", "reason": "", "node": run["job"]["node"]}
    assert run["job"]["node"]
    text = harness("status", path.name, cwd=tmp_path).stdout
    assert f"{run['job']['id']} ended ({run['job']['node']})" in text


def test_near_its_time_limit_a_job_saves_and_goes_on(
    tmp_path: Path, cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")  # with numpy's threads, too, of which Slurm's signal may take one
    path = write_file(tmp_path, LONG)
    assert _run(path, "--submit").returncode == 0
    run = _wait_for_state(path)
    cluster.call("scancel", "--batch", "--signal=USR2", _job(path))  # what --signal sends near the limit
    (found,) = _wait_for_end(path)
    first, second = _attempts(run)
    assert first.outcome == "interrupted" and first.end_step >= EARLY
    assert second.start_step == first.end_step
    assert second.outcome == "finished"
    assert found["state"] == "complete" and found["job"]["state"] == "ended"
    assert len(_submitted(path)) == 1  # the same job, queued again


def test_a_preempted_job_goes_on_from_its_newest_state(tmp_path: Path, cluster: SlurmCluster) -> None:
    path = write_file(tmp_path, LONG)
    assert _run(path, "--submit").returncode == 0
    run = _wait_for_state(path)
    cluster.call("sbatch", "--partition=high", "--cpus-per-task=4", "--output=/dev/null", "--wrap=sleep 3")
    (found,) = _wait_for_end(path)
    first, second = _attempts(run)
    assert first.outcome == "interrupted" and first.end_step >= EARLY
    assert second.start_step == first.end_step
    assert found["state"] == "complete"
    assert len(_submitted(path)) == 1


def test_a_killed_job_is_submitted_again(tmp_path: Path) -> None:
    path = write_file(tmp_path, LONG)
    assert _run(path, "--submit").returncode == 0
    run = _wait_for_state(path)
    assert run.heartbeat.read_text().splitlines()[0] == _job(path)
    waiting = _in_background(path)
    try:
        worker = int(_attempts(run)[0].machine["pid"])
        os.kill(worker, signal.SIGSTOP)  # so that it cannot save when the job is gone
        for process in _processes(path):
            process.kill()
        os.kill(worker, signal.SIGKILL)
        _, told = waiting.communicate(timeout=PATIENCE_S)
    finally:
        waiting.kill()
    assert waiting.returncode == 0, told
    assert len(_submitted(path)) == 2
    first, second = _attempts(run)
    assert first.outcome is None and second.start_step >= EARLY
    assert second.outcome == "finished"


def test_ctrl_c_ends_own_jobs_alone_and_saves(tmp_path: Path, cluster: SlurmCluster) -> None:
    foreign = cluster.call("sbatch", "--parsable", "--output=/dev/null", "--wrap=sleep 600").strip()
    path = write_file(tmp_path, LONG)
    waiting = _in_background(path)
    try:
        run = _wait_for_state(path)
        waiting.send_signal(signal.SIGINT)
        _, told = waiting.communicate(timeout=PATIENCE_S)
    finally:
        waiting.kill()
    assert waiting.returncode == 130, told
    assert cluster.wait_for(_job(path), "COMPLETED", "CANCELLED")
    assert cluster.states()[foreign] == "RUNNING"
    (attempt,) = _attempts(run)
    assert attempt.outcome == "interrupted" and attempt.end_step >= EARLY
    (found,) = _status(path)
    assert found["state"] == "interrupted" and found["job"]["state"] == "gone"


def test_a_job_that_dies_twice_without_progress_is_a_failed_run(tmp_path: Path) -> None:
    path = write_file(tmp_path, ALONE + '\n[slurm]\nsetup = ["echo no such module >&2", "exit 3"]\n')
    done = _run(path, "--no-report", "--tracking-uri", "none")
    assert done.returncode == 1, done.stderr
    assert "ended twice without progress" in done.stderr and "no such module" in done.stderr
    assert len(_submitted(path)) == 2


def test_what_slurm_refuses_is_told_with_its_key(tmp_path: Path) -> None:
    path = write_file(tmp_path, ALONE + '\n[slurm]\npartition = "nowhere"\n')
    done = _run(path)
    assert done.returncode == 2
    assert "slurm.partition: Slurm takes no such job: invalid partition specified: nowhere" in done.stderr
    assert "Traceback" not in done.stderr
    assert read_jobs(_shared(path)) == {}
    assert list(_shared(path).job_logs.iterdir()) == []


def test_a_node_with_other_versions_is_named(tmp_path: Path) -> None:
    path = write_file(tmp_path, ALONE)
    patched = (
        "import harness.execution.slurm as slurm; from harness.execution.slurm_job import versions\n"
        "slurm.versions = lambda: versions() | {'torch': '0.1'}\n"
        "import sys; from harness.cli import main; sys.argv[0] = 'harness'; sys.exit(main())"
    )
    command = [sys.executable, "-c", patched, "run", path.name, "--executor", "slurm", "--no-report"]
    command += ["--tracking-uri", "none"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1, done.stderr
    assert "has torch" in done.stderr and "not 0.1" in done.stderr
    assert len(_submitted(path)) == 1
