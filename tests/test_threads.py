"""How many threads a worker has: chosen once for an experiment, by its runs and the machine's cores."""

from __future__ import annotations

import pytest

from harness.execution import threads
from harness.execution.threads import MOST_THREADS, thread_count


@pytest.mark.parametrize(
    ("cores", "runs", "expected"),
    [(2, 1, 2), (2, 2, 1), (2, 24, 1), (8, 2, 4), (8, 3, 2), (64, 1, MOST_THREADS), (1, 5, 1), (4, 0, 4)],
)
def test_idle_cores_are_shared_among_few_runs(
    monkeypatch: pytest.MonkeyPatch, cores: int, runs: int, expected: int
) -> None:
    monkeypatch.setattr(threads, "available_cores", lambda: cores)
    assert thread_count(None, None, runs) == expected


def test_what_was_asked_for_comes_first_and_then_what_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "available_cores", lambda: 8)
    assert thread_count(3, 2, 1) == 3
    assert thread_count(None, 2, 1) == 2
