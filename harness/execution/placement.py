"""Which worker gets which device: the GPUs of this machine, or its CPU, and how many runs each takes side by side."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass

from harness.errors import DeviceError
from harness.execution.devices import available_cores, gpu_count
from harness.execution.gpu_list import Gpu, GpuFacts, Load, NvidiaSmi, visible_gpus
from harness.execution.gpu_room import LOOK_EVERY_S, Probe


@dataclass(eq=False)
class Place:
    """What runs share: one GPU, or (gpu None) all that is no GPU. limit: runs side by side; None: as probe says."""

    gpu: Gpu | None
    limit: int | None = None
    probe: Probe | None = None

    @property
    def room(self) -> int:
        """Runs that may be here side by side."""
        return self.limit if self.limit is not None else self.probe.runs if self.probe else 1

    def __str__(self) -> str:
        return str(self.gpu) if self.gpu else "this machine"


class Places:
    """All places of one command, and at most `total` runs on all of them together.

    Where a place has a probe, its room grows while runs are at work and others wait.
    """

    def __init__(self, places: list[Place], total: int, facts: GpuFacts | None = None, notes: tuple[str, ...] = ()):
        self._places = places
        self._total = total
        self._facts = facts
        self._unlooked_s = 0.0
        self.notes = notes

    def with_room(self, busy: Counter[Place], closed: Container[Place]) -> Place | None:
        """Where the next run goes: the emptiest place that has room and is not closed."""
        if busy.total() >= self._total:
            return None
        free = [place for place in self._places if place not in closed and busy[place] < place.room]
        return min(free, key=lambda place: busy[place], default=None)

    def emptied(self, busy: Counter[Place]) -> Place | None:
        """A place on which no run is at work, for one that must be alone."""
        if busy.total() >= self._total:
            return None
        return next((place for place in self._places if not busy[place]), None)

    def watch(self, passed_s: float, busy: Counter[Place], at_work: Counter[Place]) -> list[str]:
        """Lets places that are full, and whose runs all work, be probed; returns what was found out, in words."""
        if busy.total() >= self._total or self._facts is None:
            return []
        full = [
            place
            for place in self._places
            if place.probe and not place.probe.is_settled and busy[place] == at_work[place] == place.room
        ]
        if not full:
            return []
        self._unlooked_s += passed_s
        looks: dict[str, Load | None] = {}
        if self._unlooked_s >= LOOK_EVERY_S:
            self._unlooked_s = 0.0
            looks = self._look(self._facts)
        for place in full:
            if place.probe and place.gpu:
                place.probe.see(passed_s, looks.get(place.gpu.id))
        return [
            f"{place}: {_together(place.probe.runs)}; {place.probe.why}"
            for place in full
            if place.probe and place.probe.is_settled
        ]

    def _look(self, facts: GpuFacts) -> dict[str, Load | None]:
        """Loads by GPU. Where nobody answers any more, all stays as it is: waiting holds up all workers."""
        listed = facts.listed()
        for place in self._places:
            if listed is None and place.probe and not place.probe.is_settled:
                place.probe.settle(place.probe.runs, "nvidia-smi does not answer any more")
        return {gpu.id: gpu.load for gpu in listed or ()}

    def crowd(self, place: Place, runs: int) -> None:
        """`runs` runs there were too much for its memory: from now on fewer, unless a person fixed their number."""
        if place.probe:
            place.probe.settle(max(1, min(place.probe.runs, runs - 1)), f"{runs} did not fit")

    def narrow(self, place: Place, runs: int) -> None:
        """The GPU itself takes no more than `runs`, whatever was asked for."""
        place.limit = max(1, min(place.room, runs))

    def is_gone(self, place: Place) -> bool:
        """Whether the place's GPU has left the machine."""
        return place.gpu is not None and self._facts is not None and self._facts.is_gone(place.gpu)

    def leave_out(self, place: Place, why: str) -> None:
        """Nothing is placed there any more. DeviceError where no place is left."""
        if place in self._places:
            self._places.remove(place)
        if not self._places:
            raise DeviceError(
                f"no GPU is left: {place} {why}",
                where=place.gpu.id if place.gpu else "",
                remedy="Look at it with nvidia-smi, then run the same command again; finished work is kept.",
            )


def on_this_machine(workers: int) -> Places:
    """Without a GPU of which anything is to be decided: `workers` runs side by side."""
    return Places([Place(None, workers)], workers)


def on_gpus(
    threads: int, runs: int, workers: int | None, runs_per_gpu: int | None, facts: GpuFacts | None = None
) -> Places:
    """The GPUs that this command may use, for `runs` runs with `threads` threads each. DeviceError without any.

    workers: `--workers`, at most so many runs on all; runs_per_gpu: as the file fixes it.
    """
    facts = facts or NvidiaSmi()
    gpus = visible_gpus(facts, os.environ)
    notes: tuple[str, ...] = ()
    if not gpus:
        gpus = _as_torch_counts()
        notes = ("nvidia-smi does not list them: GPUs are as torch counts them",)
    if runs_per_gpu:
        places = [Place(gpu, runs_per_gpu) for gpu in gpus]
        total = workers or len(gpus) * runs_per_gpu
    else:
        places = [Place(gpu, probe=Probe(gpu.load)) for gpu in gpus]
        total = workers or max(len(gpus), available_cores() // threads)
    total = min(total, runs)
    return Places(places, total, facts, (*notes, _plan_text(gpus, runs_per_gpu, probed=total > len(gpus))))


def _plan_text(gpus: tuple[Gpu, ...], runs_per_gpu: int | None, probed: bool) -> str:
    many = f"{len(gpus)} GPUs" if len(gpus) > 1 else "1 GPU"
    if runs_per_gpu:
        how = f"{_runs(runs_per_gpu)} on each ([resources] runs_per_gpu)"
    else:
        seen = probed and any(gpu.load for gpu in gpus)
        how = "one run on each at first, more where a probe finds room" if seen else "one run on each"
    return f"{many}: {', '.join(map(str, gpus))}; {how}"


def _as_torch_counts() -> tuple[Gpu, ...]:
    count = gpu_count()
    if not count:
        raise DeviceError(
            "no GPU is visible",
            where=f"CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES', '')}",
            remedy="Look at it with nvidia-smi, or choose --device cpu.",
        )
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    names = named if len(named) >= count else [str(index) for index in range(count)]
    return tuple(Gpu(name, index, "") for index, name in enumerate(names[:count]))


def _runs(count: int) -> str:
    return f"{count} runs" if count > 1 else "one run"


def _together(count: int) -> str:
    return f"{count} runs side by side" if count > 1 else "one run at a time"
