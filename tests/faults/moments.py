"""Moments of a command that goes on: waited for by what its files say, and the workers that are at it then."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from harness.execution.progress import count_evaluations, last_record
from harness.store.commits import newest_commit
from tests.experiments import run_directories, views
from tests.faults.subject import FILE, STEPS
from tests.faults.trial import NotHit

PATIENCE_S = 120.0


def wait_until(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    """Waits for `reached`; NotHit where the command ends first, or nothing comes of it."""
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        if process.poll() is not None:
            raise NotHit(f"the command had ended: {process.communicate()[1][-500:]}")
        if time.monotonic() > deadline:
            raise NotHit("the moment never came")
        time.sleep(0.01)


def wait_for_a_step(process: subprocess.Popen[str], folder: Path, chance: random.Random) -> None:
    """A random moment of the training of the run that got furthest."""
    step = chance.randrange(4, STEPS - 60)
    wait_until(process, lambda: steps_done(folder) >= step)


def steps_done(folder: Path) -> int:
    """The last recorded step of whichever run got furthest."""
    records = [last_record(run) for run in run_directories(folder / FILE).values()]
    return max((record["step"] for record in records if record), default=0)


def evaluations_done(folder: Path) -> int:
    return sum(count_evaluations(run) for run in run_directories(folder / FILE).values())


def committed(folder: Path) -> dict[str, int]:
    """The step of each run's newest commit, by key8."""
    commits = {key: newest_commit(run) for key, run in run_directories(folder / FILE).items()}
    return {key: commit.step for key, commit in commits.items() if commit}


def working_pids(folder: Path) -> list[int]:
    """Processes that opened an attempt and did not end it."""
    return [
        attempt.machine["pid"]
        for view in views(folder / FILE).values()
        for attempt in view.status.attempts
        if attempt.outcome is None
    ]


def told(process: subprocess.Popen[str], *, within_s: float = 240.0) -> str:
    """What the command said on stderr until its end, which comes in time and without a traceback."""
    try:
        _, error = process.communicate(timeout=within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"the command did not end within {within_s:g} s") from None
    assert "Traceback" not in error, error
    return error
