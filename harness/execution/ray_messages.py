"""What `harness run`, its process in the Ray cluster, and the tasks there tell each other. Plain values, no ray."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.execution.assignment import Assignment, WorkResult
from harness.execution.storage import StorageMark

GIB = 2**30


@dataclass(frozen=True)
class Reservation:
    """What one run takes of a node. cpus: cores; gpus: a share of one; memory: bytes, None for Ray's default."""

    cpus: int
    gpus: float = 0.0
    memory: int | None = None

    def fits(self, offered: Mapping[str, float]) -> int:
        """How many runs a node with these resources, as Ray names them, takes side by side."""
        fitting = [int(offered.get("CPU", 0.0) // self.cpus)]
        if self.gpus:
            fitting.append(int(offered.get("GPU", 0.0)) * int(1.0 / self.gpus + 1e-9))
        if self.memory:
            fitting.append(int(offered.get("memory", 0.0) // self.memory))
        return min(fitting)

    def __str__(self) -> str:
        return resources_text(self.cpus, self.gpus, self.memory)


def resources_text(cpus: float, gpus: float, memory: float | None) -> str:
    """Such as `1 CPU, 0.25 GPU, 8 GiB`."""
    parts = [f"{cpus:g} CPU"]
    if gpus:
        parts.append(f"{gpus:g} GPU")
    if memory:
        parts.append(f"{memory / GIB:.3g} GiB")
    return ", ".join(parts)


@dataclass(frozen=True)
class Versions:
    """Of this process, and so of every node. python: major and minor alone."""

    harness: str
    torch: str
    python: str


@dataclass(frozen=True)
class Errand:
    """What the process in the cluster, and each task, works with.

    address: as `ray.init` takes it, None for a cluster of this command's own with `cores` cores; stall_timeout_s: of
    a task; folder: the command's current folder; scratch: a folder that is removed when the command ends.
    """

    address: str | None
    cores: int
    reservation: Reservation
    device: str
    threads: int
    stall_timeout_s: float
    mark: StorageMark
    versions: Versions
    folder: Path
    scratch: Path


@dataclass(frozen=True)
class Submit:
    """To the cluster: work on this. ticket: of this attempt alone."""

    ticket: int
    assignment: Assignment


@dataclass(frozen=True)
class SaveStates:
    """To the cluster: all that trains writes a state and goes on."""


@dataclass(frozen=True)
class Leave:
    """To the cluster: all that works saves its state and ends, and the cluster is left."""


@dataclass(frozen=True)
class Joined:
    """From the cluster: this command is let in; its nodes are looked at next."""


@dataclass(frozen=True)
class Capacity:
    """From the cluster: how many runs it takes side by side now, on how many nodes."""

    runs: int
    nodes: int


@dataclass(frozen=True)
class Begun:
    """From the cluster: the task with this ticket really works now."""

    ticket: int


@dataclass(frozen=True)
class Ended:
    """From the cluster: the result of a task."""

    ticket: int
    result: WorkResult


@dataclass(frozen=True)
class Died:
    """From the cluster: a task, its process or its node died; how, in words."""

    ticket: int
    how: str


@dataclass(frozen=True)
class Told:
    """From the cluster: words for the screen."""

    text: str


@dataclass(frozen=True)
class Refused:
    """From the cluster: it cannot be worked with, or no longer."""

    error: HarnessError


ToCluster = Submit | SaveStates | Leave
FromCluster = Joined | Capacity | Begun | Ended | Died | Told | Refused


@dataclass(frozen=True)
class Pulse:
    """From a task. node: its id; created: when its process began; asked: how far its work got."""

    ticket: int
    node: str
    pid: int
    created: float
    asked: int


@dataclass(frozen=True)
class Wishes:
    """To all tasks. saves: how often states were asked for."""

    stop: bool = False
    saves: int = 0
