"""The JSON documents of `--json`: a contract that scripts rely on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from harness.cli.jobs import ShownJob
from harness.tracking.reader import ExperimentView, RunView


def plan_document(view: ExperimentView) -> dict[str, Any]:
    """`plan --json`: what varies, every cell with its runs and their states."""
    by_cell: dict[str, list[RunView]] = {}
    for run in view.runs:
        by_cell.setdefault(run.run.cell.name, []).append(run)
    return {
        "experiment": view.plan.experiment.name,
        "factors": list(view.plan.factors),
        "cells": [
            {
                "name": cell.name,
                "names": list(cell.names),
                "grids": list(cell.grids),
                "varied": _plain(cell.varied),
                "hyperparameters": cell.hyperparameters.model_dump(mode="json"),
                "runs": [
                    {"seed": run.run.seed, "key": run.run.key, "state": run.status.state} for run in by_cell[cell.name]
                ],
            }
            for cell in view.plan.cells
        ],
        "merged": view.plan.merged,
        "folded": list(view.plan.folded),
        "runs": len(view.runs),
    }


def runs_left(view: ExperimentView) -> dict[str, int]:
    """By cell, how many of its runs are not done: neither complete nor diverged."""
    left = dict.fromkeys((cell.name for cell in view.plan.cells), 0)
    for run in view.runs:
        left[run.run.cell.name] += not run.status.is_settled
    return left


def status_document(view: ExperimentView, jobs: Mapping[str, ShownJob] | None = None) -> dict[str, Any]:
    """`status --json`: one entry per run. jobs: by key, of runs that are or were in the hands of one."""
    return {
        "experiment": view.plan.experiment.name,
        "runs": [
            {
                "cell": run.run.cell.name,
                "seed": run.run.seed,
                "key": run.run.key,
                "state": run.status.state,
                "step": run.status.step,
                "steps": run.run.cell.training.steps,
                "attempts": len(run.status.attempts),
                "fid": last_fid(view, run),
                "log": str(run.directory.log) if run.directory else None,
                "job": asdict(job) if (job := (jobs or {}).get(run.run.key)) else None,
            }
            for run in view.runs
        ],
    }


def last_fid(view: ExperimentView, run: RunView) -> float | None:
    """Mean over repeats of the first evaluation's FID at the last measured checkpoint."""
    return last_value(view, run, "fid")


def last_value(view: ExperimentView, run: RunView, metric: str) -> float | None:
    """Mean over repeats of a metric of the first evaluation at the last measured checkpoint."""
    evaluation = view.last_measured(run)
    values = evaluation.series(metric, view.blocks[0].settings.repeats) if evaluation else []
    return sum(values) / len(values) if values else None


def _plain(levels: dict[str, Any]) -> dict[str, Any]:
    return {name: list(level) if isinstance(level, tuple) else level for name, level in levels.items()}
