"""Damaged files are told before any work, and the runs that they belong to are worked on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from harness.errors import StoreError
from harness.execution.options import RunOptions
from harness.store import atomic
from harness.store.findings import TRAINING_KINDS, mended_by_work
from harness.store.inspection import inspect_free_runs, inspect_shared
from harness.store.locks import held
from harness.tracking.reader import ExperimentView


def find_damage(view: ExperimentView, options: RunOptions) -> tuple[RunOptions, list[str]]:
    """Looks at every file of the chosen runs that nobody holds.

    Returns the options with the runs that this call mends, and what is to be told. What of the cache is damaged and
    made from other files is removed.
    """
    chosen = [(run.directory, run.run.key) for run in view.runs if run.directory and run.run.key in options.keys]
    warnings = []
    by_run = inspect_free_runs(chosen)
    for finding in (*inspect_shared(view.directory), *(finding for found in by_run.values() for finding in found)):
        if options.work == "evaluate" and finding.kind in TRAINING_KINDS:
            warnings.append(f"warning: {finding.path}: {finding.what}; `harness run` mends it")
        else:
            warnings.append(f"warning: {finding}")
        if finding.kind == "cache" and _is_derived(finding.path):
            _discard(finding.path)
    damaged = frozenset(key for key, found in by_run.items() if mended_by_work(found, options.work))
    return replace(options, damaged=damaged), warnings


def _is_derived(path: Path) -> bool:
    """Whether a file of the cache is made from images, and only where it is needed: it could stay damaged for long."""
    return path.suffix == ".safetensors" or path.name.startswith("floor-")


def _discard(path: Path) -> None:
    """Removes a damaged file that is made again where it is needed, unless a process is at it."""
    with suppress(StoreError, OSError), held(path.with_suffix(".lock"), timeout_s=0.0) as mine:
        if mine:
            path.unlink(missing_ok=True)
            atomic.note_of(path).unlink(missing_ok=True)
