"""Signals to the command at random moments of all its phases: it leaves in time, in order, and loses nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from harness.store.attempts import read_attempts
from tests.experiments import run_directories, statuses
from tests.faults.moments import evaluations_done, steps_done, told, wait_for_a_step, wait_until
from tests.faults.subject import FILE, STEPS, Reference, assert_no_orphans, assert_nothing_lost, command, prepare, start
from tests.faults.trial import Trial

LEAVES_WITHIN_S = 10.0
AT_ONCE_S = 1.0
Perform = Callable[[Reference, Path, random.Random], None]


def trials(count: int, reference: Reference) -> list[Trial]:
    faults: list[tuple[str, Perform]] = [
        *((name, partial(_stop, number)) for name, number in _stopping_signals()),
        ("second Ctrl-C", _second),
        ("SIGUSR1 to the command", _save),
        ("SIGUSR1 to its whole process group", _save_group),
    ]
    return [
        Trial(faults[index % len(faults)][0], index, partial(faults[index % len(faults)][1], reference))
        for index in range(count)
    ]


def _stopping_signals() -> Iterator[tuple[str, int]]:
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        yield f"{name} to the command", getattr(signal, name)


def _stop(number: int, reference: Reference, folder: Path, chance: random.Random) -> None:
    """The phase is drawn first, so that the short ones are hit as often as the long."""
    prepare(folder, reference)
    with _command(folder) as process:
        phase = chance.choice(("preparing", "training", "evaluating", "projecting and reporting"))
        _wait_for(phase, process, folder, chance)
        _leaves(process, number, within_s=LEAVES_WITHIN_S)
    assert_no_orphans(folder)
    if phase != "projecting and reporting":
        found = statuses(folder / FILE)
        begun = [status for status in found.values() if status.attempts and status.state != "complete"]
        assert all(status.state == "interrupted" or status.step == 0 for status in begun), found
        assert all(status.attempts[-1].outcome == "interrupted" for status in begun), found
    done = command(folder, "run", FILE)
    assert done.returncode == 0, done.stderr
    assert_nothing_lost(folder, reference)


def _second(reference: Reference, folder: Path, chance: random.Random) -> None:
    prepare(folder, reference)
    with _command(folder) as process:
        wait_for_a_step(process, folder, chance)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        time.sleep(chance.uniform(0.2, 0.6))  # two within a moment are one to the system
        _leaves(process, signal.SIGINT, within_s=AT_ONCE_S)
    assert_no_orphans(folder)
    done = command(folder, "run", FILE)
    assert done.returncode == 0, done.stderr
    assert_nothing_lost(folder, reference)


def _save(reference: Reference, folder: Path, chance: random.Random) -> None:
    _saves(reference, folder, chance, lambda process: process.send_signal(signal.SIGUSR1))


def _save_group(reference: Reference, folder: Path, chance: random.Random) -> None:
    _saves(reference, folder, chance, lambda process: os.killpg(process.pid, signal.SIGUSR1))


def _saves(
    reference: Reference, folder: Path, chance: random.Random, ask: Callable[[subprocess.Popen[str]], None]
) -> None:
    """Asked several times, while training and later, the command goes on to the same end."""
    prepare(folder, reference)
    with _command(folder) as process:
        wait_for_a_step(process, folder, chance)
        before = _all_committed(folder)
        ask(process)
        wait_until(process, lambda: any(step % 60 for step in _all_committed(folder) - before))
        for _ in range(chance.randrange(3)):
            time.sleep(chance.uniform(0.0, 0.5))
            if process.poll() is None:
                ask(process)
        error = told(process)
        assert process.returncode == 0, error
        assert "asked to save" in error
        assert "died" not in error
    for run in run_directories(folder / FILE).values():
        assert [attempt.outcome for attempt in read_attempts(run)] == ["finished"]
    assert_nothing_lost(folder, reference)


def _all_committed(folder: Path) -> set[int]:
    return {step for run in run_directories(folder / FILE).values() for step in run.committed_steps()}


def _wait_for(phase: str, process: subprocess.Popen[str], folder: Path, chance: random.Random) -> None:
    match phase:
        case "preparing":
            wait_until(process, lambda: (folder / "runs" / "tiny").is_dir())
            time.sleep(chance.uniform(0.0, 0.3))
        case "training":
            wait_for_a_step(process, folder, chance)
        case "evaluating":
            enough = chance.randrange(1, 2 * STEPS // 60)
            wait_until(process, lambda: evaluations_done(folder) >= enough)
        case _:
            wait_until(process, lambda: steps_done(folder) == STEPS and _all_complete(folder))
            time.sleep(chance.uniform(0.0, 1.0))


def _all_complete(folder: Path) -> bool:
    return all(status.state == "complete" for status in statuses(folder / FILE).values())


def _leaves(process: subprocess.Popen[str], number: int, *, within_s: float) -> None:
    """Measured is the command itself: its helpers, which hold its stderr open, end soon after it."""
    process.send_signal(number)
    started = time.monotonic()
    with suppress(subprocess.TimeoutExpired):
        process.wait(6 * within_s)
    seconds = time.monotonic() - started
    error = told(process)
    assert process.returncode == 128 + number, (process.returncode, error)
    assert seconds < within_s, (seconds, error)


@contextmanager
def _command(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = start(folder, "run", FILE, "--workers", "2")
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
