"""Attempts: which processes worked on a run and how each ended. Appended by whoever holds the run's lock.

Each record stands for itself: a damaged line loses nothing but itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.store.records import Record, append_record, read_intact
from harness.store.rundir import RunDirectory

Outcome = Literal["finished", "interrupted", "diverged", "failed"]
Work = Literal["train and evaluate", "evaluate"]


@dataclass(frozen=True)
class Attempt:
    """outcome None: the process was killed, or still works.

    work: only attempts that train say in which state a run is. metrics_offset, metrics_sha256: of a diverged attempt,
    the part of metrics.jsonl up to the divergence, which no state goes with.
    """

    machine: dict[str, Any]
    started: float
    start_step: int
    outcome: Outcome | None = None
    ended: float | None = None
    end_step: int | None = None
    reason: str = ""
    work: Work = "train and evaluate"
    metrics_offset: int | None = None
    metrics_sha256: str = ""


def begin_attempt(run: RunDirectory, *, step: int, machine: dict[str, Any], work: Work = "train and evaluate") -> None:
    """machine: what may change bits or speed (torch, threads, device, versions, host)."""
    append_record(run.attempts, {"event": "begin", "time": time.time(), "step": step, "machine": machine, "work": work})


def end_attempt(
    run: RunDirectory, outcome: Outcome, *, step: int, reason: str = "", metrics: tuple[int, str] | None = None
) -> None:
    """metrics: offset and SHA-256 of what a diverged attempt recorded."""
    offset, sha256 = metrics or (None, "")
    append_record(
        run.attempts,
        {
            "event": "end",
            "time": time.time(),
            "step": step,
            "outcome": outcome,
            "reason": reason,
            "metrics_offset": offset,
            "metrics_sha256": sha256,
        },
    )


def read_attempts(run: RunDirectory) -> list[Attempt]:
    """All attempts in order. An end whose begin was never written (a worker that died at once) is one of its own."""
    attempts: list[Attempt] = []
    for record in read_intact(run.attempts):
        if not _is_event(record):
            continue
        if record["event"] == "begin":
            attempts.append(Attempt(record["machine"], record["time"], record["step"], work=record["work"]))
            continue
        if not attempts or attempts[-1].outcome is not None:
            attempts.append(Attempt({}, record["time"], record["step"]))
        attempts[-1] = replace(
            attempts[-1],
            outcome=record["outcome"],
            ended=record["time"],
            end_step=record["step"],
            reason=record["reason"],
            metrics_offset=record["metrics_offset"],
            metrics_sha256=record["metrics_sha256"],
        )
    return attempts


def _is_event(record: Record) -> bool:
    """Whether this version wrote the record; what another one appended says nothing here."""
    match record:
        case {"event": "begin", "time": int() | float(), "step": int(), "machine": dict(), "work": str()}:
            return True
        case {"event": "end", "time": int() | float(), "step": int(), "outcome": str(), "reason": str()}:
            return {"metrics_offset", "metrics_sha256"} <= record.keys()
    return False
