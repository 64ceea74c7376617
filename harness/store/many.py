"""Looking at many files: by threads, or one after the other where threads are only in each other's way."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Found = TypeVar("Found")

THREADS = min(8, 2 * (os.cpu_count() or 1))
"""Files hashed at once: hashing lets other threads go on, and one may wait for the disk meanwhile."""
TRIAL = 50
"""Items that are looked at in one way before it is compared with the other."""


def of_each(look: Callable[[Item], Found], items: Sequence[Item]) -> list[Found]:
    """What `look` finds of every item, in order; in whichever way got through the first ones in less time.

    Threads help where the disk, the network or the hashing of large files takes the time. Where it is Python itself,
    they wait for each other: thousands of small runs take up to twice as long. Raises what `look` raises.
    """
    with ThreadPoolExecutor(THREADS) as pool:
        if len(items) < 4 * TRIAL:
            return list(pool.map(look, items))
        found = list(pool.map(look, items[:TRIAL]))  # which fills what later looks have at hand
        by_threads, threads_s = _timed(pool.map(look, items[TRIAL : 2 * TRIAL]))
        in_turn, in_turn_s = _timed(map(look, items[2 * TRIAL : 3 * TRIAL]))
        rest = items[3 * TRIAL :]
        return [*found, *by_threads, *in_turn, *(pool.map(look, rest) if threads_s < in_turn_s else map(look, rest))]


def _timed(found: Iterable[Found]) -> tuple[list[Found], float]:
    began = time.perf_counter()
    return list(found), time.perf_counter() - began
