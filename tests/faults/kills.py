"""SIGKILL of a worker, of the command, or of both, at named points and at random moments; then the same command.

After each: finished and equal to the uninterrupted experiment, in MLflow once, nothing running, nothing more to do.
"""

from __future__ import annotations

import filecmp
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from harness.store.records import decode
from tests.experiments import run_directories, views
from tests.faults.points import GROUPS, VARIABLE, VICTIMS, Group, Order, Victim
from tests.faults.subject import FILE, Reference, assert_nothing_lost, command, copy_finished, prepare, start
from tests.faults.trial import NotHit, Trial
from tests.faults.victim import STRUCK

REPOSITORY = Path(__file__).parents[2]
PATIENCE_S = 300.0
"""For one command of a trial; a machine that others use too can be slow."""
DRAWS = 6
"""A random moment at which there is nobody to kill is drawn again, that often."""
RANDOM = Group("at a random moment", "command", ())


@dataclass(frozen=True)
class Kill:
    """One row of the table."""

    group: Group
    victim: Victim

    @property
    def name(self) -> str:
        who = {"worker": "a worker", "command": "the command", "both": "the command and its workers"}[self.victim]
        return f"SIGKILL of {who} {self.group.when}"

    def trial(self, number: int, reference: Reference) -> Trial:
        perform = _kill_at_random if self.group is RANDOM else _kill_at_point
        return Trial(self.name, number, partial(perform, self, number, reference))


def trials(count: int, reference: Reference) -> list[Trial]:
    """`count` trials spread evenly over the rows; few of them still meet every group and every victim."""
    table = [Kill(group, victim) for group in (*GROUPS, RANDOM) for victim in group.victims]
    in_turn = [
        Kill(group, group.victims[(index + turn) % len(group.victims)])
        for turn in range(len(VICTIMS))
        for index, group in enumerate((*GROUPS, RANDOM))
        if turn < len(group.victims)
    ]
    chosen = [(table.index(in_turn[index % len(in_turn)]), index // len(in_turn)) for index in range(count)]
    return [table[row].trial(number, reference) for row, number in sorted(chosen)]


def _kill_at_point(kill: Kill, number: int, reference: Reference, folder: Path, chance: random.Random) -> None:
    group = kill.group
    first_point = group.victims.index(kill.victim) * len(group.points) // len(group.victims)
    point = group.points[(first_point + number) % len(group.points)]
    lingers = kill.victim == "command" and group.place == "worker" and number % 3 == 1
    order = Order(
        point=point,
        place=group.place,
        victim=kill.victim,
        passing=chance.randint(1, point.passings),
        folder=str(folder),
        linger_s=chance.uniform(6.0, 12.0) if lingers else 0.0,
        projects_early=group.start == "empty, MLflow under way",
    )
    arguments = ["run", FILE] if group.start == "finished, with report" else ["run", FILE, "--no-report"]
    if group.start.startswith("finished"):
        copy_finished(folder, reference)
        if number % 2 == 0:
            _leave_older_report(folder)
    else:
        prepare(folder, reference)
    path = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {VARIABLE: order.text(), "PYTHONPATH": path}
    with _begun(folder, *arguments, module="tests.faults.victim", **environment) as first:
        told = _ended(first, kill.victim)
        if not (folder / STRUCK).exists():
            raise NotHit(f"{order}\n{told}")
        _goes_on(folder, reference, arguments)


def _leave_older_report(folder: Path) -> None:
    """A report that stands there from before, so that a half-made one might be taken for whole."""
    older = folder / "reports" / "tiny" / "report.md"
    older.parent.mkdir(parents=True)
    older.write_text("# A report of fewer runs\n", encoding="utf-8")


def _kill_at_random(kill: Kill, number: int, reference: Reference, folder: Path, chance: random.Random) -> None:
    """The moment: from the start, from when a run trains, or from when all is measured, and some time after."""
    phases = ("training",) if kill.victim == "worker" else ("training", "start", "end")
    phase = phases[number % len(phases)]
    with_report = phase == "end" and number % 2 == 1
    arguments = ["run", FILE] if with_report else ["run", FILE, "--no-report"]
    longest_s = {"start": 5.0, "training": 1.5, "end": 6.0 if with_report else 3.0}[phase]
    for draw in range(DRAWS):
        place = folder / str(draw)
        place.mkdir()
        path = prepare(place, reference)
        with _begun(place, *arguments) as first:
            _wait_for(phase, first, path)
            time.sleep(chance.uniform(0.0, longest_s))
            if not _kill(first, kill.victim, path):
                continue
            _ended(first, kill.victim)
            _goes_on(place, reference, arguments)
            return
    raise NotHit(f"{DRAWS} times nobody was there to kill")


def _wait_for(phase: str, process: subprocess.Popen[str], path: Path) -> None:
    pattern, count = {
        "start": ("*", 0),
        "training": ("runs/tiny/*/attempts.jsonl", 1),
        "end": ("runs/tiny/*/evaluations/step-*.json", 12),
    }[phase]
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and len(list(path.parent.glob(pattern))) < count and time.monotonic() < deadline:
        time.sleep(0.01)


def _kill(process: subprocess.Popen[str], victim: Victim, path: Path) -> bool:
    """Kills; False where nobody was left to be killed."""
    if process.poll() is not None:
        return False
    match victim:
        case "command":
            process.kill()
        case "both":
            os.killpg(process.pid, signal.SIGKILL)
        case "worker":
            attempts = [attempt for view in views(path).values() for attempt in view.status.attempts]
            at_work = {int(attempt.machine["pid"]) for attempt in attempts if attempt.outcome is None}
            return any([_kill_worker(pid, path.parent) for pid in at_work])
    return True


def _kill_worker(pid: int, folder: Path) -> bool:
    """False where that process is gone, or is another one by now."""
    try:
        process = psutil.Process(pid)
        if process.cwd() != str(folder) or process.status() == psutil.STATUS_ZOMBIE:
            return False
        process.kill()
    except psutil.NoSuchProcess:
        return False
    return True


@contextmanager
def _begun(folder: Path, *arguments: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A command in the background; at the end of the block nothing that works in `folder` is left."""
    process = start(folder, *arguments, **more)
    try:
        yield process
    finally:
        for found in psutil.process_iter(["cwd"]):
            if found.info["cwd"] == str(folder):
                found.kill()
        process.communicate()


def _ended(process: subprocess.Popen[str], victim: Victim) -> str:
    """Waits until the command is dead, or, where only its worker was killed, done in good order; returns its words."""
    try:
        code = process.wait(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        raise NotHit(f"the command still runs after {PATIENCE_S:.0f} s") from None
    if code == -signal.SIGKILL:
        assert victim != "worker", "the command died with its worker"
        return "killed"
    out, error = process.communicate()
    assert code == 0, f"exit {code} although nobody killed the command:\n{out}{error}"
    return f"exit {code}\n{out}{error}"


def _goes_on(folder: Path, reference: Reference, arguments: list[str]) -> None:
    """The same command, without a fault and without waiting for orphans of the first: finishes, loses nothing."""
    again = command(folder, *arguments, timeout_s=PATIENCE_S)
    assert again.returncode == 0, again.stderr
    assert_nothing_lost(folder, reference)
    _assert_whole_attempts(folder / FILE)
    idle = command(folder, *arguments)
    assert idle.returncode == 0, idle.stderr
    assert "nothing to do" in idle.stderr, idle.stderr
    if "--no-report" not in arguments:
        _assert_whole_report(folder)


def _assert_whole_attempts(path: Path) -> None:
    """No attempt that was noted after a kill is lost behind a torn line: only the last line may be torn."""
    for run in run_directories(path).values():
        lines = run.attempts.read_bytes().splitlines(keepends=True)
        assert all(decode(line) for line in lines[:-1]), lines


def _assert_whole_report(folder: Path) -> None:
    """The report is byte for byte what a report made now from the same runs is; no half-written file lies in it."""
    fresh = command(folder, "report", FILE, "--output", "fresh")
    assert fresh.returncode == 0, fresh.stderr
    mine, expected = folder / "reports" / "tiny", folder / "fresh"
    names = sorted(path.relative_to(expected) for path in expected.rglob("*") if path.is_file())
    assert {"report.md", "report.json", "comparison.csv", "runs.csv"} <= {str(name) for name in names}
    assert any(name.suffix == ".png" for name in names)
    same, other, missing = filecmp.cmpfiles(mine, expected, [str(name) for name in names], shallow=False)
    assert (len(same), other, missing) == (len(names), [], [])
    leftovers = sorted(path.name for path in mine.rglob("*") if path.relative_to(mine) not in names and path.is_file())
    assert [name for name in leftovers if not name.startswith(".")] == []
