"""Whether a run whose worker died is tried again: from its newest state, but not twice from the same one."""

from __future__ import annotations

from contextlib import suppress

from harness.errors import StoreError
from harness.execution.assignment import Assignment
from harness.execution.progress import count_evaluations
from harness.store.attempts import end_attempt
from harness.store.commits import newest_commit
from harness.store.heartbeat import is_beating
from harness.store.locks import held

DEATHS_WITHOUT_PROGRESS = 2

Standing = tuple[int, int]
"""The step of a run's newest commit, and how many evaluations are stored."""


class Deaths:
    """How the workers of each run died since its last progress."""

    def __init__(self) -> None:
        self._ways: dict[str, list[str]] = {}

    def count(self, key: str, how: str, *, progressed: bool) -> str:
        """Counts a death; returns how all of them came since the last progress where the run is to be failed.

        Empty where it is to be tried again.
        """
        ways = [] if progressed else [*self._ways.get(key, []), how]
        self._ways[key] = ways
        return "" if len(ways) < DEATHS_WITHOUT_PROGRESS else ", then ".join(dict.fromkeys(ways))


def died_twice(ways: str) -> str:
    """Why a run is failed. ways: as `Deaths.count` returns them."""
    return f"its process died twice without progress ({ways})"


def standing(assignment: Assignment) -> Standing:
    try:
        commit = newest_commit(assignment.directory)
    except StoreError:
        commit = None  # the worker fails of it, and says why
    return commit.step if commit else 0, count_evaluations(assignment.directory)


def note_failure(assignment: Assignment, step: int, reason: str) -> None:
    """Ends the run's attempt as failed, where its folder still is and nobody holds it."""
    run = assignment.directory
    if not run.root.is_dir():
        return  # it was moved or removed, and must not be there again with one file in it
    with suppress(StoreError), held(run.lock, timeout_s=1.0) as mine:  # a full disk cannot be told; the screen can
        if mine and not is_beating(run):
            end_attempt(run, "failed", step=step, reason=reason)
