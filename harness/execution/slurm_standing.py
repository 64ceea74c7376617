"""Where a run stands, and the note that its jobs came to nothing: the same on nodes and where jobs are followed."""

from __future__ import annotations

from contextlib import suppress

from harness.errors import StoreError
from harness.execution.assignment import Assignment
from harness.execution.progress import count_evaluations
from harness.store.attempts import end_attempt
from harness.store.commits import newest_commit
from harness.store.jobs import JobResult
from harness.store.locks import held

Standing = tuple[int, int]
"""The step of a run's newest commit, and how many evaluations are stored."""


def standing(assignment: Assignment) -> Standing:
    try:
        commit = newest_commit(assignment.directory)
    except StoreError:
        commit = None  # the worker fails of it, and says why
    return commit.step if commit else 0, count_evaluations(assignment.directory)


def note_failure(assignment: Assignment, reason: str) -> JobResult:
    """A failed result, noted in the run's attempts where its folder is there and nobody holds it."""
    run, step = assignment.directory, standing(assignment)[0]
    if run.root.is_dir():
        with suppress(StoreError), held(run.lock, timeout_s=1.0) as mine:
            if mine:
                end_attempt(run, "failed", step=step, reason=reason)
    return JobResult("failed", step, reason)
