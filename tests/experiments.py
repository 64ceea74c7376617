"""Small experiment files and how tests run them: in this process, or as a user would, in one of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from harness.design.experiment_file import ExperimentFile, read_experiment_file
from harness.execution.events import Event
from harness.execution.options import RunOptions
from harness.execution.runner import Summary, run_experiment
from harness.store.rundir import RunDirectory, experiment_directory
from harness.store.status import RunStatus
from harness.tracking.reader import RunView, read_experiment

TINY = """
name = "tiny"
seeds = [0]

[baseline]
resolution = 8
latent_dim = 8
hidden_dim = 4
batch_size = 32

[training]
steps = 24
log_every = 4
checkpoint_every = 12

[[evaluation]]
samples = 64
repeats = 2
reference = 200

[report]
samples = 4

[[grid]]
kind = "one-at-a-time"
levels.architecture = ["mlp"]
"""


def write_file(folder: Path, text: str = TINY) -> Path:
    path = folder / "tiny.toml"
    path.write_text(text, encoding="utf-8")
    return path


def run_here(path: Path, *sets: str, events: list[Event] | None = None, **options: Any) -> Summary:
    """`harness run` without report and MLflow, inline in this process, under `path`'s folder.

    An experiment's first run takes one thread, as it would in a grid, however few runs it has.
    """
    file = read_experiment_file(path, sets)
    begun = (path.parent / "runs" / file.experiment.name).is_dir()
    keys = frozenset(options.pop("keys", (run.key for run in file.plan.runs)))
    chosen = RunOptions(
        **{
            "runs_dir": path.parent / "runs",
            "keys": keys,
            "executor": "inline",
            "device": "cpu",
            "threads": None if begun else 1,
            "sets": sets,
            **options,
        }
    )
    observed = events if events is not None else []
    return run_experiment(file, chosen, observed.append, lambda: False)


def opened(path: Path, *sets: str) -> ExperimentFile:
    return read_experiment_file(path, sets)


def views(path: Path, *sets: str) -> dict[str, RunView]:
    """Runs by name."""
    view = read_experiment(opened(path, *sets).plan, path.parent / "runs")
    return {run.run.name: run for run in view.runs}


def statuses(path: Path, *sets: str) -> dict[str, RunStatus]:
    return {name: view.status for name, view in views(path, *sets).items()}


def run_directories(path: Path) -> dict[str, RunDirectory]:
    """Run directories by key8."""
    return experiment_directory(path.parent / "runs", opened(path).experiment.name).runs()


def harness(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, as a user calls it, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "100", **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def final_tensors(run: RunDirectory) -> dict[str, torch.Tensor]:
    """Every tensor of the newest state: both networks and both optimizers."""
    state = torch.load(run.state(run.committed_steps()[0]), weights_only=True)
    found: dict[str, torch.Tensor] = {}

    def walk(name: str, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            found[name] = value
        elif isinstance(value, dict):
            for key, item in value.items():
                walk(f"{name}/{key}", item)

    walk("", state)
    return found
