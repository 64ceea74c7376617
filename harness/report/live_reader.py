"""What the live page shows of an experiment, read while it trains; what did not change since is not read again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean

from harness.design.expansion import Plan, Run
from harness.design.metrics import METRICS
from harness.errors import StoreError
from harness.store.reading import open_file
from harness.store.records import Record, scan
from harness.store.rundir import RunDirectory, experiment_directory
from harness.store.status import RunState
from harness.tracking.reader import ExperimentView, RunView, read_experiment

Point = tuple[float, float]
LOSSES = ("loss/generator", "loss/discriminator")
MOST_CURVES = 60
"""Cells whose losses are kept of a run that is over; however many runs there are, memory holds no more of them."""

_Signature = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class LiveRun:
    """One run as it stands now.

    step: of the last record, committed or not; losses: by metric, (step, mean of the log interval), of a run that is
    over only where it stands for its cell; measured: (step, mean over repeats) of the metric that the page shows;
    samples: the newest sample grid and its step; seconds_per_step: in the last log interval.
    """

    run: Run
    state: RunState
    step: int
    reason: str = ""
    losses: Mapping[str, list[Point]] = field(default_factory=dict)
    measured: tuple[tuple[int, float], ...] = ()
    samples: tuple[int, Path] | None = None
    seconds_per_step: float | None = None

    @property
    def steps(self) -> int:
        return self.run.cell.training.steps

    @property
    def is_over(self) -> bool:
        return self.state in ("complete", "diverged", "failed")

    @property
    def images_per_second(self) -> float | None:
        """Real images that are trained on in a second."""
        hp = self.run.cell.hyperparameters
        return hp.batch_size * hp.discriminator_steps / self.seconds_per_step if self.seconds_per_step else None

    @property
    def seconds_left(self) -> float | None:
        """Of training alone, at the pace of the last log interval."""
        if self.state != "running" or self.seconds_per_step is None:
            return None
        return max(0, self.steps - self.step) * self.seconds_per_step


class LiveReader:
    """Reads all runs of a plan again and again; a look costs little for runs whose files did not change."""

    def __init__(self, plan: Plan, runs_dir: Path) -> None:
        self._plan = plan
        self._runs_dir = runs_dir
        self._known: dict[str, _Known] = {}
        self._curve_of: dict[str, str] = {}
        self.metric = _shown_metric(plan)
        """Title of the metric that `LiveRun.measured` holds, empty where nothing is measured."""

    def look(self) -> list[LiveRun]:
        """Every run in the plan's order. StoreError where what all runs share cannot be read."""
        folder = experiment_directory(self._runs_dir, self._plan.experiment.name)
        shared, found = _stat(folder.manifest), folder.runs()
        present = [(run, found[run.key[:8]]) for run in self._plan.runs if run.key[:8] in found]
        signatures = {run.key: (shared, *_signature(directory)) for run, directory in present}
        changed = tuple(run for run, _ in present if not self._is_known(run, signatures[run.key]))
        if changed:  # one reading for all: it lists the folder of the runs
            experiment = read_experiment(replace(self._plan, runs=changed), self._runs_dir)
            for view in experiment.runs:
                self._look_at(experiment, view, signatures[view.run.key])
        return [
            self._known[run.key].seen if run.key in signatures else LiveRun(run, "pending", 0)
            for run in self._plan.runs
        ]

    def _is_known(self, run: Run, signature: _Signature) -> bool:
        known = self._known.get(run.key)
        return known is not None and known.signature == signature and known.seen.state != "running"

    def _look_at(self, experiment: ExperimentView, view: RunView, signature: _Signature) -> None:
        key, known = view.run.key, self._known.get(view.run.key)
        metrics = view.directory.metrics if view.directory else Path()
        records = known.records if known and known.records else _Records(metrics)
        records.look()
        seen = _live_run(experiment, view, records)
        if self._keeps_losses(seen):
            self._known[key] = _Known(signature, records, seen)
        else:
            self._known[key] = _Known(signature, None, replace(seen, losses={}))

    def _keeps_losses(self, live: LiveRun) -> bool:
        """Of every run that is not over; else of one run of a cell, of so many cells."""
        if not live.is_over:
            return True
        cell = live.run.cell.name
        if cell not in self._curve_of and live.losses and len(self._curve_of) < MOST_CURVES:
            self._curve_of[cell] = live.run.key
        return self._curve_of.get(cell) == live.run.key


class _Records:
    """The records of one run's metrics.jsonl, read on from where the last look ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.last: Record = {}
        self.losses: dict[str, list[Point]] = {}

    def look(self) -> None:
        """A file that was cut since, because the run went back to an earlier state, is read from its beginning."""
        content = self._content_after(self._offset)
        found = list(scan(content)) if content is not None else []
        is_other = content is not None and content.endswith(b"\n") and not found  # read on from inside of a line
        went_back = content is None or is_other or (found and found[0][0].get("step", 0) <= self.last.get("step", 0))
        if went_back and self._offset:
            self._offset, self.last, self.losses = 0, {}, {}
            found = list(scan(self._content_after(0) or b""))
        for record, _ in found:
            self.last = record
            for name in LOSSES:
                if isinstance(record.get(name), int | float):
                    self.losses.setdefault(name, []).append((float(record["step"]), float(record[name])))
        if found:
            self._offset += found[-1][1]

    def _content_after(self, offset: int) -> bytes | None:
        """None where the file is shorter, or not there."""
        try:
            with open_file(self._path) as file:
                if file.seek(0, os.SEEK_END) < offset:
                    return None
                file.seek(offset)
                return file.read()
        except (OSError, StoreError):
            return None


@dataclass(frozen=True)
class _Known:
    """A run as it was at the last look, and what its files looked like then. records: None where they are not kept."""

    signature: _Signature
    records: _Records | None
    seen: LiveRun


def _shown_metric(plan: Plan) -> str:
    """FID where the first evaluation measures it, else that evaluation's first metric."""
    if not plan.experiment.evaluation:
        return ""
    metrics = plan.experiment.evaluation[0].metrics
    return METRICS["fid" if "fid" in metrics else metrics[0]].title


def _live_run(experiment: ExperimentView, view: RunView, records: _Records) -> LiveRun:
    last, status = records.last, view.status
    steps, seconds = last.get("n"), last.get("seconds")
    checkpoints = [step for step in view.checkpoints() if step <= view.run.cell.training.steps]
    grids = [(step, view.directory.samples(step)) for step in reversed(checkpoints)] if view.directory else []
    return LiveRun(
        view.run,
        status.state,
        max(status.step, int(last.get("step", 0))) if status.state == "running" else status.step,
        status.reason,
        {name: list(points) for name, points in records.losses.items()},
        _measured(experiment, view, checkpoints),
        next((grid for grid in grids if grid[1].is_file()), None),
        seconds / steps if steps and seconds else None,
    )


def _measured(experiment: ExperimentView, view: RunView, checkpoints: list[int]) -> tuple[tuple[int, float], ...]:
    if not experiment.blocks:
        return ()
    settings = experiment.blocks[0].settings
    metric = "fid" if "fid" in settings.metrics else settings.metrics[0]
    found = []
    for step in settings.steps_measured(view.run.cell.training):
        evaluation = view.evaluation(0, step) if step in checkpoints else None
        values = evaluation.series(metric, settings.repeats) if evaluation else []
        found += [(step, fmean(values))] if values else []
    return tuple(found)


def _signature(run: RunDirectory) -> _Signature:
    """Size and time of what changes whenever anything does: files that grow, and the folders that others lie in."""
    places = (run.attempts, run.metrics, run.states, run.evaluations, run.root / "samples", run.lock)
    return tuple(_stat(path) for path in places)


def _stat(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns
