"""Trials: one fault done once to a real experiment in a folder of its own, and whether anything was lost."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path


class NotHit(Exception):
    """The fault did not happen, so the trial says nothing: a defect of the trial, never counted as survived."""


@dataclass(frozen=True)
class Trial:
    """fault: the row of the table that it counts for; number: tells it from others of its row.

    perform: given an empty folder and the trial's own random numbers, does the fault and raises AssertionError where
    something was lost. Called in a thread: it may not change the current folder or the environment of this process.
    """

    fault: str
    number: int
    perform: Callable[[Path, random.Random], None]


@dataclass(frozen=True)
class Outcome:
    """lost: what was lost, empty where nothing was; folder: kept for a look where something was."""

    trial: Trial
    lost: str
    hit: bool
    seconds: float
    folder: Path | None = None


@dataclass(frozen=True)
class Row:
    """One row of the published table."""

    fault: str
    tries: int
    survived: int
    lost: int
    not_hit: int


def carry_out(trials: Sequence[Trial], *, seed: int, jobs: int) -> Iterator[Outcome]:
    """Performs all trials, `jobs` at a time; gives each outcome as it is known."""
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda trial: _carry_out(trial, seed), trials)


def _carry_out(trial: Trial, seed: int) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="harness-fault-"))
    started = time.monotonic()
    lost, hit = "", True
    try:
        trial.perform(folder, random.Random(f"{seed} {trial.fault} {trial.number}"))
    except NotHit as error:
        lost, hit = f"not hit: {error}", False
    except Exception as error:  # noqa: BLE001 - whatever a trial raises is told as its outcome, with its traceback
        lost = "".join(traceback.format_exception(error))
    seconds = time.monotonic() - started
    if lost:
        return Outcome(trial, lost, hit, seconds, folder)
    shutil.rmtree(folder, ignore_errors=True)
    return Outcome(trial, "", True, seconds)


def rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """Outcomes counted by fault, in the order of their first trial."""
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.trial.fault, []).append(outcome)
    return [
        Row(
            fault,
            tries=sum(outcome.hit for outcome in group),
            survived=sum(not outcome.lost for outcome in group),
            lost=sum(outcome.hit and bool(outcome.lost) for outcome in group),
            not_hit=sum(not outcome.hit for outcome in group),
        )
        for fault, group in found.items()
    ]
