"""How many runs fit on one GPU: facts in, a decision out. The constants are chosen, not measured. Light: no torch."""

from __future__ import annotations

from dataclasses import dataclass

from harness.execution.gpu_list import Load

WATCH_S = 5.0
"""For how long all runs of a GPU must be seen at work before one is added."""

LOOK_EVERY_S = 1.0
RESERVE = 0.10
"""Share of a GPU's memory that is left free: an evaluation may take more than the training that was watched."""

LEAST_RUN_MIB = 512.0
"""What a further run takes at least: about a CUDA context."""

BUSY_PERCENT = 95.0
MOST_PER_GPU = 8


@dataclass(frozen=True)
class Seen:
    """What was seen while `runs` runs were at work. MiB; before: used by others, before the first run; most: used by
    all at any look; busy_percent: mean of the looks, None where unknown."""

    runs: int
    before_mib: float
    most_mib: float
    total_mib: float
    busy_percent: float | None


def why_no_more(seen: Seen) -> str:
    """Why a GPU takes no further run; empty where it does."""
    if seen.runs >= MOST_PER_GPU:
        return f"more than {MOST_PER_GPU} are never tried"
    if seen.busy_percent is not None and seen.busy_percent >= BUSY_PERCENT:
        return f"it is {seen.busy_percent:.0f} % busy"
    need = max(LEAST_RUN_MIB, (seen.most_mib - seen.before_mib) / seen.runs)
    free = seen.total_mib * (1 - RESERVE) - seen.most_mib
    if free < need:
        return f"another would need {need / 1024:.1f} GiB, and {max(0.0, free) / 1024:.1f} GiB are free to be used"
    return ""


class Probe:
    """Finds out how many runs one GPU takes: one at first, and one more each time that watching finds room.

    before: the GPU without this command's runs; None where nothing is known, and one run is all.
    """

    def __init__(self, before: Load | None) -> None:
        self.runs = 1
        self.why = "" if before else "its memory cannot be seen"
        self._before = before
        self._begin()

    @property
    def is_settled(self) -> bool:
        return bool(self.why)

    def settle(self, runs: int, why: str) -> None:
        self.runs, self.why = runs, why

    def see(self, passed_s: float, load: Load | None) -> None:
        """`passed_s` more seconds in which all `runs` runs were at work; load: what a look at the GPU showed, if any
        was taken. After WATCH_S it decides."""
        if self.is_settled or self._before is None:
            return
        self._watched_s += passed_s
        if load is not None:
            self._loads.append(load)
        if self._watched_s < WATCH_S or not self._loads:
            return
        busy = [look.busy_percent for look in self._loads if look.busy_percent is not None]
        seen = Seen(
            self.runs,
            self._before.used_mib,
            max(look.used_mib for look in self._loads),
            self._before.total_mib,
            sum(busy) / len(busy) if busy else None,
        )
        self.why = why_no_more(seen)
        if not self.why:
            self.runs += 1
            self._begin()

    def _begin(self) -> None:
        self._watched_s = 0.0
        self._loads: list[Load] = []
