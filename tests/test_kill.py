"""SIGKILL of a worker, the command, or both at random moments; then the same command: nothing lost, nothing twice."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from experiments import TINY, final_tensors, harness, run_directories, run_here, views, write_file
from harness.store.records import read_records

TEXT = TINY.replace("steps = 24", "steps = 360").replace("checkpoint_every = 12", "checkpoint_every = 60")
OVERHEAD_S = 1.5
"""About how long the training of TEXT goes on, for drawing moments."""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_file(tmp_path_factory.mktemp("uninterrupted"), TEXT)
    run_here(path)
    return path


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh MLflow store, whose creation takes seconds; tests work on copies."""
    from experiments import opened
    from harness.tracking.projection import project
    from harness.tracking.reader import read_experiment
    from harness.tracking.stores import resolve_address

    folder = tmp_path_factory.mktemp("store")
    path = write_file(folder, TEXT.replace('name = "tiny"', 'name = "template"'))
    view = read_experiment(opened(path).plan, folder / "runs")
    project(view, resolve_address(None, folder / "runs"))
    return folder / "runs" / "mlflow.db"


def kill_at_random(process: subprocess.Popen[str], victim: str, folder: Path, moments: random.Random) -> bool:
    """Waits until a run trains, then a random while, then kills; False where the command had ended before."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and not list(folder.glob("runs/tiny/*/attempts.jsonl")):
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    time.sleep(moments.uniform(0.0, OVERHEAD_S))
    workers = {
        attempt.machine["pid"]
        for view in views(folder / "tiny.toml").values()
        for attempt in view.status.attempts
        if attempt.outcome is None
    }
    targets = {"worker": workers, "command": {process.pid}, "both": workers | {process.pid}}[victim]
    for pid in targets:
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGKILL)
    return True


@pytest.mark.parametrize("victim", ["worker", "command", "both"])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 5))])
def test_killed_at_a_random_moment_the_same_command_finishes_the_same(
    uninterrupted: Path, empty_store: Path, tmp_path: Path, victim: str, seed: int
) -> None:
    path = write_file(tmp_path, TEXT)
    (tmp_path / "runs").mkdir()
    shutil.copy(empty_store, tmp_path / "runs" / "mlflow.db")
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "run", "tiny.toml", "--no-report"],
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    kill_at_random(process, victim, tmp_path, random.Random(f"{victim} {seed}"))
    process.wait(timeout=120)
    done = harness("run", "tiny.toml", "--no-report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr

    assert_equal_runs(path, uninterrupted)
    assert_one_point_each_and_nothing_running(tmp_path)
    deadline = time.monotonic() + 15  # a worker whose parent died may take ten seconds to save its state
    while orphans(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert orphans(tmp_path) == []


def orphans(folder: Path) -> list[list[str]]:
    """Command lines of Python processes that still work in `folder`."""
    return [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline", "cwd", "status"])
        if process.info["cwd"] == str(folder) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def assert_equal_runs(path: Path, expected: Path) -> None:
    others = run_directories(expected)
    for key, run in run_directories(path).items():
        straight = final_tensors(others[key])
        found = final_tensors(run)
        assert found.keys() == straight.keys()
        assert all(torch.equal(found[name], straight[name]) for name in straight)
        records, straight_records = read_records(run.metrics), read_records(others[key].metrics)
        for record in (*records, *straight_records):
            del record["time"], record["seconds"]
        assert records == straight_records
    for name, view in views(path).items():
        assert view.status.state == "complete"
        for step in view.checkpoints():
            mine, straight_one = view.evaluation(0, step), views(expected)[name].evaluation(0, step)
            assert mine and straight_one
            assert mine.values == straight_one.values


def assert_one_point_each_and_nothing_running(folder: Path) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(folder / "runs" / "mlflow.db")) as store:
        query = "SELECT count(*) FROM runs WHERE status = 'RUNNING' AND lifecycle_stage = 'active'"
        assert store.execute(query).fetchone()[0] == 0
        name = "SELECT experiment_id FROM experiments WHERE name = 'tiny'"
        runs = f"SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active' AND experiment_id = ({name})"
        assert len(store.execute(runs).fetchall()) == 3  # the parent and two runs
        points = f"SELECT run_uuid, key, step, count(*) FROM metrics WHERE run_uuid IN ({runs}) GROUP BY 1, 2, 3"
        counts = store.execute(points).fetchall()
        assert [row for row in counts if row[3] != 1] == []
        losses = [row for row in counts if row[1] == "loss/generator"]
        assert len(losses) == 2 * 360 // 4
