"""The experiment that faults are done to, the same one uninterrupted, and what "nothing was lost" means."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import torch

from harness.store.records import read_records
from harness.store.rundir import RunDirectory
from harness.tracking.projection import project
from harness.tracking.reader import read_experiment
from harness.tracking.stores import resolve_address
from tests.experiments import TINY, final_tensors, opened, run_directories, run_here, views, write_file

STEPS = 360
TEXT = (
    TINY.replace("steps = 24", f"steps = {STEPS}")
    .replace("checkpoint_every = 12", "checkpoint_every = 60")
    .replace("repeats = 2", 'repeats = 2\nmetrics = ["fid", "fid_infinity", "class_kl"]')
    .replace("samples = 4\n", "samples = 4\ninterpolations = [1, 3]\nclasses = 50\n")
)
"""Two runs (CNN and MLP) of about 1.5 s of training each, with six checkpoints, their evaluations and pictures."""

FILE = "tiny.toml"
ORPHAN_PATIENCE_S = 15.0
"""A worker whose parent died may take ten seconds to save its state."""


@dataclass(frozen=True)
class Reference:
    """finished: experiment file of the same experiment, never interrupted; empty_store: a fresh MLflow store.

    Creating a store takes seconds, so trials work on copies of that one.
    """

    finished: Path
    empty_store: Path

    @classmethod
    def make(cls, folder: Path) -> Reference:
        straight = folder / "straight"
        straight.mkdir(parents=True)
        finished = write_file(straight, TEXT)
        run_here(finished)
        template = write_file(folder, TEXT.replace('name = "tiny"', 'name = "template"'))
        (folder / "runs" / "template").mkdir(parents=True)
        project(read_experiment(opened(template).plan, folder / "runs"), resolve_address(None, folder / "runs"))
        return cls(finished, folder / "runs" / "mlflow.db")


def prepare(folder: Path, reference: Reference, text: str = TEXT) -> Path:
    """Puts the experiment file and an empty store into `folder`; returns the file's path."""
    (folder / "runs").mkdir(exist_ok=True)
    shutil.copy(reference.empty_store, folder / "runs" / "mlflow.db")
    return write_file(folder, text)


def copy_finished(folder: Path, reference: Reference) -> Path:
    """A copy of the finished experiment (runs and cache, nothing in MLflow yet) in `folder`."""
    path = prepare(folder, reference)
    shutil.copytree(reference.finished.parent / "runs" / "tiny", folder / "runs" / "tiny")
    return path


def start(folder: Path, *arguments: str, module: str = "harness", **environment: str) -> subprocess.Popen[str]:
    """`harness ARGUMENTS` in `folder`, in the background, as the leader of a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_until(happened: Callable[[], bool], process: subprocess.Popen[str]) -> bool:
    """Waits until something has happened; False where the process ended before."""
    while process.poll() is None:
        if happened():
            return True
        time.sleep(0.02)
    return False


def command(
    folder: Path, *arguments: str, timeout_s: float = 240, **environment: str
) -> subprocess.CompletedProcess[str]:
    """`harness ARGUMENTS` in `folder`, to its end."""
    process = start(folder, *arguments, **environment)
    try:
        out, error = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, error)


def assert_nothing_lost(folder: Path, reference: Reference) -> None:
    """Every run is finished and equal to the uninterrupted one; MLflow holds it once; no process is left."""
    assert_equal_runs(folder / FILE, reference.finished)
    assert_projected_once(folder / "runs" / "mlflow.db")
    assert_no_orphans(folder)


def assert_equal_runs(path: Path, expected: Path) -> None:
    """Final tensors bit for bit, all records but their wall-clock fields, all evaluations, all checkpoints."""
    assert_equal_training(run_directories(path), run_directories(expected))
    straight_views = views(expected)
    for name, view in views(path).items():
        assert view.status.state == "complete", (name, view.status)
        assert view.checkpoints() == straight_views[name].checkpoints()
        for step in view.checkpoints():
            mine, other = view.evaluation(0, step), straight_views[name].evaluation(0, step)
            assert mine and other
            assert replace(mine, seconds=0.0) == replace(other, seconds=0.0)


def assert_equal_training(found: Mapping[str, RunDirectory], expected: Mapping[str, RunDirectory]) -> None:
    """Final tensors bit for bit, and all records but their wall-clock fields."""
    assert found and found.keys() == expected.keys()
    for key, run in found.items():
        tensors, straight = final_tensors(run), final_tensors(expected[key])
        assert tensors.keys() == straight.keys()
        assert all(torch.equal(tensors[name], straight[name]) for name in straight)
        assert _timeless(run.metrics) == _timeless(expected[key].metrics)


def _timeless(metrics: Path) -> list[dict[str, object]]:
    records = read_records(metrics)
    assert len(records) == STEPS // 4
    return [{name: value for name, value in record.items() if name not in ("time", "seconds")} for record in records]


def assert_projected_once(database: Path, experiment: str = "tiny") -> None:
    """One point per (run, metric, step), the parent and two runs, nothing RUNNING."""
    with closing(sqlite3.connect(database)) as store:
        name = f"SELECT experiment_id FROM experiments WHERE name = '{experiment}'"
        runs = f"SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active' AND experiment_id = ({name})"
        assert store.execute(f"{runs} AND status = 'RUNNING'").fetchall() == []
        assert len(store.execute(runs).fetchall()) == 3
        points = f"SELECT run_uuid, key, step, count(*) FROM metrics WHERE run_uuid IN ({runs}) GROUP BY 1, 2, 3"
        counts = store.execute(points).fetchall()
        assert [row for row in counts if row[3] != 1] == []
        for metric, expected in (("loss/generator", STEPS // 4), ("eval/fid.digits", STEPS // 60)):
            assert sum(row[1] == metric for row in counts) == 2 * expected


def assert_no_orphans(folder: Path) -> None:
    deadline = time.monotonic() + ORPHAN_PATIENCE_S
    while orphans(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert orphans(folder) == []


def orphans(folder: Path) -> list[list[str]]:
    """Command lines of processes that still work in `folder`."""
    return [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline", "cwd", "status"])
        if process.info["cwd"] == str(folder) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]
