"""Truncated files and flipped bits under `runs/`, of finished and of interrupted experiments; then `harness run`.

After each: exit 0, the damaged file named, everything there and equal to the undamaged experiment.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

from harness.cli.damage import find_damage
from harness.execution.events import Event
from harness.execution.options import RunOptions
from harness.store.commits import discard_commit, newest_commit
from harness.store.inspection import inspect_run, inspect_shared
from harness.store.rundir import RunDirectory, experiment_directory
from harness.tracking.reader import read_experiment
from tests.experiments import opened, run_directories, run_here, views
from tests.faults.subject import FILE, STEPS, Reference, assert_equal_runs, command, copy_finished
from tests.faults.trial import NotHit, Trial

WORKERS_EVERY = 8
"""One trial of so many starts the command with its workers; the others do the same in this process, which is quick."""


@dataclass(frozen=True)
class Kind:
    """A row of the table, twice: cut short, and with one bit flipped.

    pattern: of the files, below the experiment's folder; finished: whether the experiment is, in turn: caches are used
    only where something is missing.
    """

    name: str
    pattern: str
    finished: tuple[bool, ...] = (True, False)


Run = Callable[[Path, Literal["local", "inline"]], str]
"""Does `harness run` in a folder, by that executor; gives what it told, raises AssertionError where it failed."""

KINDS = (
    Kind("a state", "*/state/*.pt"),
    Kind("a commit", "*/state/*.json"),
    Kind("a checkpoint", "*/checkpoints/*.safetensors"),
    Kind("a checkpoint's note", "*/checkpoints/*.sha256"),
    Kind("an evaluation", "*/evaluations/*.json"),
    Kind("records of metrics", "*/metrics.jsonl"),
    Kind("records of attempts", "*/attempts.jsonl"),
    Kind("a sample picture", "*/samples/*.png"),
    Kind("a picture of the report's", "*/pictures/*.png"),
    Kind("run.json", "*/run.json"),
    Kind("networks.json", "*/networks.json"),
    Kind("experiment.json", "experiment.json"),
    Kind("a picture of real images", "pictures/real-*.png"),
    Kind("an image cache", "cache/images-*.npy", finished=(False,)),
    Kind("reference features", "cache/features-*.safetensors", finished=(False,)),
    Kind("reference statistics", "cache/reference-*.safetensors", finished=(False,)),
    Kind("a floor", "cache/floor-*.json", finished=(False,)),
)


def in_a_process(folder: Path, executor: Literal["local", "inline"]) -> str:
    ended = command(folder, "run", FILE, "--no-report", "--tracking-uri", "none", "--executor", executor)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def in_this_process(folder: Path, executor: Literal["local", "inline"]) -> str:
    """As the command line does it, without its start."""
    plan = opened(folder / FILE).plan
    chosen = RunOptions(folder / "runs", frozenset(run.key for run in plan.runs))
    options, warnings = find_damage(read_experiment(plan, folder / "runs"), chosen)
    events: list[Event] = []
    results = run_here(folder / FILE, damaged=options.damaged, events=events).results
    assert {result.outcome for result in results.values()} <= {"finished"}, results
    return "\n".join([*warnings, *(event.text for event in events)])


def trials(count: int, reference: Reference, run: Run | None = None) -> list[Trial]:
    """`count` trials, spread evenly over all kinds of files and both kinds of damage.

    run None: now and then as a user does, else in this process, one at a time.
    """
    alone = threading.Lock()

    def mostly_here(folder: Path, executor: Literal["local", "inline"]) -> str:
        if executor == "local":
            return in_a_process(folder, executor)
        with alone:
            return in_this_process(folder, executor)

    rows = [(kind, harm) for kind in KINDS for harm in (_truncate, _flip)]
    every = (
        Trial(_row(kind, harm), number, partial(_damaged, Damage(kind, harm, number), reference, run or mostly_here))
        for number in range(count)
        for kind, harm in rows
    )
    return list(islice(every, count))


Harm = Callable[[Path, int, random.Random], None]
"""Damages a file within its first bytes, as many as given."""


@dataclass(frozen=True)
class Damage:
    """harm: does it; number: the trial's, of its row."""

    kind: Kind
    harm: Harm
    number: int


def _row(kind: Kind, harm: Harm) -> str:
    return f"{'truncation of' if harm is _truncate else 'flipped bit in'} {kind.name}"


def _damaged(damage: Damage, reference: Reference, run: Run, folder: Path, rng: random.Random) -> None:
    kind, number = damage.kind, damage.number
    path = copy_finished(folder, reference)
    if not kind.finished[number % len(kind.finished)]:
        for directory in run_directories(path).values():
            _interrupt(directory)
    experiment = folder / "runs" / "tiny"
    victim = rng.choice(sorted(experiment.glob(kind.pattern)))
    before = victim.read_bytes()
    damage.harm(victim, _end_of_what_counts(victim), rng)
    if victim.read_bytes() == before:
        raise NotHit(f"{victim} did not change")
    told = run(folder, "local" if number % WORKERS_EVERY == WORKERS_EVERY - 1 else "inline")
    named = "/".join(victim.parts[-2:])
    assert named in told, f"{named} is not named:\n{told}"
    if log := next((parent / "log.txt" for parent in victim.parents if (parent / "log.txt").exists()), None):
        assert str(victim) in log.read_text(encoding="utf-8")
    assert_mended(path, reference.finished)


def assert_mended(path: Path, expected: Path) -> None:
    """Equal runs, checkpoints, their notes and pictures to the byte, and nothing damaged any more."""
    assert_equal_runs(path, expected)
    mine, others = run_directories(path), run_directories(expected)
    for key8, run in mine.items():
        for part in ("checkpoints", "samples"):
            left, right = _contents(run.root / part), _contents(others[key8].root / part)
            assert left.keys() == right.keys()
            assert [name for name in left if left[name] != right[name]] == []
    assert [finding for view in views(path).values() if view.directory
            for finding in inspect_run(view.directory, view.run.key)] == []  # fmt: skip
    assert inspect_shared(experiment_directory(path.parent / "runs", "tiny")) == ()


def _contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def _interrupt(run: RunDirectory) -> None:
    """Takes the run back to what a process that was killed on its way to the last checkpoint leaves."""
    lines = run.attempts.read_bytes().splitlines(keepends=True)
    run.attempts.write_bytes(b"".join(lines[:-1]))
    for path in (*run.checkpoints.iterdir(), *run.samples(STEPS).parent.iterdir(), *run.evaluations.iterdir()):
        if path.name.startswith(f"step-{STEPS:06d}"):
            path.unlink()
    discard_commit(run, STEPS)


def _end_of_what_counts(path: Path) -> int:
    """In bytes: records of training count up to the newest commit, other files whole."""
    commit = newest_commit(RunDirectory(path.parent)) if path.name == "metrics.jsonl" else None
    return commit.metrics_offset if commit else path.stat().st_size


def _truncate(path: Path, end: int, rng: random.Random) -> None:
    content = path.read_bytes()
    ends = range(end)
    if path.name == "attempts.jsonl":  # cut between two lines it is what it was before the later attempts
        ends = [at for at in ends if at > 0 and content[at - 1 : at] != b"\n"]  # type: ignore[assignment]
    path.write_bytes(content[: rng.choice(ends)])


def _flip(path: Path, end: int, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(end)] ^= 1 << rng.randrange(8)
    path.write_bytes(content)
