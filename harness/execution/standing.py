"""Where a run stands, as its files say, and the failure that its own process could not note."""

from __future__ import annotations

from contextlib import suppress

from harness.errors import StoreError
from harness.execution.assignment import Assignment
from harness.execution.progress import count_evaluations
from harness.store.attempts import end_attempt
from harness.store.commits import newest_commit
from harness.store.locks import held

Standing = tuple[int, int]
"""The step of a run's newest commit, and how many evaluations are stored."""


def note_failure(assignment: Assignment, step: int, reason: str) -> None:
    run = assignment.directory
    if not run.root.is_dir():
        return  # it was moved or removed, and must not be there again with one file in it
    with suppress(StoreError), held(run.lock, timeout_s=1.0) as mine:  # a full disk cannot be told; the screen can
        if mine:
            end_attempt(run, "failed", step=step, reason=reason)


def standing(assignment: Assignment) -> Standing:
    try:
        commit = newest_commit(assignment.directory)
    except StoreError:
        commit = None  # the worker fails of it, and says why
    return commit.step if commit else 0, count_evaluations(assignment.directory)
