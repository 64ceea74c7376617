"""Looking at many files in whichever way is quicker."""

from __future__ import annotations

import threading
import time

import pytest

from harness.store.many import THREADS, TRIAL, of_each


def _threads_of(pause_s: float, items: int) -> tuple[list[int], set[int]]:
    """What was found, and the threads that found the last of it."""
    last: set[int] = set()

    def look(item: int) -> int:
        time.sleep(pause_s)
        if item >= 3 * TRIAL:
            last.add(threading.get_ident())
        return 2 * item

    return of_each(look, range(items)), last


def test_what_waits_is_looked_at_by_several_threads_at_once() -> None:
    found, last = _threads_of(0.002, 5 * TRIAL)
    assert found == [2 * item for item in range(5 * TRIAL)]
    assert 1 < len(last) <= THREADS and threading.get_ident() not in last


def test_what_keeps_python_busy_is_looked_at_in_turn() -> None:
    """With a lock in place of Python's own, under which each look by a thread also waits for the others' turns."""
    mine, turn = threading.get_ident(), threading.Lock()
    last: set[int] = set()

    def look(item: int) -> int:
        with turn:
            time.sleep(0.0005 if threading.get_ident() == mine else 0.002)
        if item >= 3 * TRIAL:
            last.add(threading.get_ident())
        return item

    assert of_each(look, range(5 * TRIAL)) == list(range(5 * TRIAL))
    assert last == {mine}


@pytest.mark.parametrize("items", [0, 1, 4 * TRIAL - 1, 4 * TRIAL])
def test_every_number_of_items_comes_back_in_order(items: int) -> None:
    assert of_each(str, list(range(items))) == [str(item) for item in range(items)]


@pytest.mark.parametrize("bad", [0, TRIAL, 2 * TRIAL, 4 * TRIAL])
def test_what_a_look_raises_is_raised(bad: int) -> None:
    def look(item: int) -> float:
        return 1 / (item - bad)

    with pytest.raises(ZeroDivisionError):
        of_each(look, range(5 * TRIAL))
