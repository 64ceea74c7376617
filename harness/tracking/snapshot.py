"""One moment of an experiment, held in memory: what a report is made of while processes go on changing the files."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from harness.design.expansion import Plan
from harness.store.commits import records_match
from harness.store.looks import Looks
from harness.store.many import of_each
from harness.store.reading import read_bytes
from harness.store.status import RunStatus
from harness.tracking.reader import ExperimentView, RunSnapshot, RunView, read_experiment

_LOOKS = 6


def read_snapshot(plan: Plan, runs_dir: Path, looks: Looks | None = None) -> ExperimentView:
    """Everything that a report needs of `plan`'s runs but their pictures, as it stood at one moment.

    All files are looked at twice; where nothing changed in between, they all stood so at the time between. looks: what
    was found in files before; what is large is read again only where it was changed since. Where runs change
    faster than they can be read, each run is still whole in itself: its records and evaluations are those that its
    commit names. As from a tracking store, no run's state asks for files of weights: a checkpoint that was removed
    later takes nothing back that was measured on it. Raises as `read_experiment`.
    """
    looks = looks or Looks()
    seen = _frozen(read_experiment(plan, runs_dir, has_weights=False, looks=looks))
    for _ in range(_LOOKS - 1):
        again = read_experiment(plan, runs_dir, has_weights=False, looks=looks)
        if again.fingerprint() == seen.fingerprint() and all(map(_has_records_as, seen.runs, again.runs)):
            break
        seen = _frozen(again)
    return seen


def _has_records_as(frozen: RunView, run: RunView) -> bool:
    """Records beside the fingerprint, which takes them from the commit: they may have been cut after it was read."""
    held = isinstance(frozen, RunSnapshot) and bool(frozen.records)
    directory, status = run.directory, run.status
    if directory is None or not status.metrics_offset:
        return not held
    return held == records_match(directory, status.metrics_offset, status.metrics_sha256)


def _frozen(view: ExperimentView) -> ExperimentView:
    return replace(view, runs=tuple(of_each(lambda run: _whole_run(view, run), view.runs)))


def _whole_run(view: ExperimentView, run: RunView) -> RunSnapshot:
    """One run with the records that its status counts, read anew where they were cut after the status was read."""
    frozen = _frozen_run(view, run)
    for _ in range(_LOOKS):
        if frozen.records or not frozen.status.metrics_offset:
            break
        alone = replace(view.plan, runs=(run.run,))
        directory = view.directory
        place = directory.root.parent
        run = read_experiment(alone, place, has_weights=directory.has_weights, looks=directory.looks).runs[0]
        if run.status == frozen.status:
            break  # really damaged
        frozen = _frozen_run(view, run)
    return frozen


def _frozen_run(view: ExperimentView, run: RunView) -> RunSnapshot:
    from harness.store.record_columns import HeldRecords  # which loads numpy

    training, checkpoints = run.run.cell.training, run.checkpoints()
    found = {
        (index, step): run.evaluation(index, step)
        for index, block in enumerate(view.blocks)
        for step in block.settings.steps_measured(training)
        if step in checkpoints
    }
    return RunSnapshot(
        run.run,
        run.directory,
        run.status,
        run.protocols,
        records=HeldRecords.of(_records(run.directory.metrics, run.status) if run.directory else b""),
        evaluations={
            place: evaluation
            for place, evaluation in found.items()
            if evaluation and evaluation.checkpoint_sha256 == checkpoints[place[1]]
        },
    )


def _records(path: Path, status: RunStatus) -> bytes:
    try:
        content = read_bytes(path, status.metrics_offset) if status.metrics_offset else b""
    except FileNotFoundError:
        return b""
    if hashlib.sha256(content).hexdigest() != status.metrics_sha256:
        return b""  # damaged, or cut by a rollback after the status was read
    return content
