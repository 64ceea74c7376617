"""What an executor tells while it works; the command line shows it, live or a line each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from harness.execution.assignment import Assignment, WorkResult
from harness.store.records import Record

EventKind = Literal["queued", "started", "progress", "measured", "finished", "died", "elsewhere", "note"]


@dataclass(frozen=True)
class Event:
    """run: `CELL seed N` (empty for notes); step of steps; record: the newest metrics record, for progress.

    outcome and text (the reason) belong to "finished"; text to "note", "died" and "elsewhere"; cost (of the whole run,
    in any unit) to "queued"; step of "measured" counts stored evaluations.
    """

    kind: EventKind
    run: str = ""
    step: int = 0
    steps: int = 0
    record: Record = field(default_factory=dict)
    outcome: str = ""
    text: str = ""
    cost: float = 0.0


Observer = Callable[[Event], None]


def finished(assignment: Assignment, result: WorkResult) -> Event:
    """The event of a run that a worker is done with, however it ended."""
    steps = assignment.training.steps
    return Event("finished", assignment.name, result.step, steps, outcome=result.outcome, text=result.reason)
