"""Attempts: which processes worked on a run and how each ended. Appended by whoever holds the run's lock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

from harness.store.records import append_record, read_records
from harness.store.rundir import RunDirectory

Outcome = Literal["finished", "interrupted", "diverged", "failed"]


@dataclass(frozen=True)
class Attempt:
    """outcome None: the process was killed, or still works."""

    machine: dict[str, Any]
    started: float
    start_step: int
    outcome: Outcome | None = None
    ended: float | None = None
    end_step: int | None = None
    reason: str = ""


def begin_attempt(run: RunDirectory, *, step: int, machine: dict[str, Any]) -> None:
    """machine: what may change bits or speed (torch, threads, device, versions, host)."""
    append_record(run.attempts, {"event": "begin", "time": time.time(), "step": step, "machine": machine})


def end_attempt(run: RunDirectory, outcome: Outcome, *, step: int, reason: str = "") -> None:
    append_record(
        run.attempts,
        {"event": "end", "time": time.time(), "step": step, "outcome": outcome, "reason": reason},
    )


def read_attempts(run: RunDirectory) -> list[Attempt]:
    """All attempts in order. An end without a begin (a parent that gave up on a run) closes the last attempt."""
    attempts: list[Attempt] = []
    for record in read_records(run.attempts):
        if record["event"] == "begin":
            attempts.append(Attempt(record["machine"], record["time"], record["step"]))
        elif attempts:
            last = attempts[-1]
            attempts[-1] = Attempt(
                last.machine, last.started, last.start_step,
                record["outcome"], record["time"], record["step"], record["reason"],
            )  # fmt: skip
    return attempts
