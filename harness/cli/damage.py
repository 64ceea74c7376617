"""Damaged files are told before any work, and the runs that they belong to are worked on."""

from __future__ import annotations

from dataclasses import replace

from harness.cli.console import say
from harness.execution.options import RunOptions
from harness.store.findings import TRAINING_KINDS, mended_by_work
from harness.store.inspection import inspect_free_runs, inspect_shared
from harness.tracking.reader import ExperimentView


def tell_damage(view: ExperimentView, options: RunOptions) -> RunOptions:
    """Looks at every file of the chosen runs that nobody holds; the options with the runs that this call mends."""
    chosen = [(run.directory, run.run.key) for run in view.runs if run.directory and run.run.key in options.keys]
    by_run = inspect_free_runs(chosen)
    for finding in (*inspect_shared(view.directory), *(finding for found in by_run.values() for finding in found)):
        if options.work == "evaluate" and finding.kind in TRAINING_KINDS:
            say(f"warning: {finding.path}: {finding.what}; `harness run` mends it")
        else:
            say(f"warning: {finding}")
    return replace(
        options, damaged=frozenset(key for key, found in by_run.items() if mended_by_work(found, options.work))
    )
