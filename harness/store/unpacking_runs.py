"""A run of a pack beside the same run here: which of the two stays, and what of the other it gets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal

from harness.errors import DamagedFileError, StoreError
from harness.store import atomic
from harness.store.attempts import read_attempts
from harness.store.commits import Commit, metrics_match, newest_commit
from harness.store.evaluations import evaluation_damage
from harness.store.left_behind import note_left_behind
from harness.store.manifest import read_run_manifest, require_own_folder
from harness.store.networks import read_networks
from harness.store.pack_manifest import PackedRun
from harness.store.pack_pieces import CHUNK_BYTES
from harness.store.png import picture_damage
from harness.store.reading import is_there, open_file, read_bytes
from harness.store.rundir import RunDirectory


@dataclass(frozen=True)
class Verdict:
    """what: the pack's run comes in the place of that here, gives it what it lacks, or is left; why: it is left."""

    what: Literal["replace", "complete", "keep"]
    why: str = ""


def verdict_on(home: RunDirectory, staged: RunDirectory, told: PackedRun) -> Verdict:
    """For who holds the lock of `home`. Nothing that was trained here is given up for less than a finished run."""
    try:
        require_own_folder(home, told.key)
    except StoreError as error:
        return Verdict("keep", error.what)
    here, there = newest_commit(home), newest_commit(staged)
    if here is not None and here == there:
        return Verdict("complete")
    step, brought = (commit.step if commit else -1 for commit in (here, there))
    if here is None and there is None:
        begins_so = _continues(home.attempts, staged.attempts)
        return Verdict("replace") if begins_so else Verdict("keep", "it was tried here, too")
    if brought <= step:
        where = "is further here" if brought < step else "was trained here, too, to other weights"
        return Verdict("keep", f"it {where} (step {step}, and {max(brought, 0)} in the pack)")
    if _diverged(home):
        return Verdict("keep", "it diverged here, which is a result")
    is_done = told.state == "complete" and told.steps <= brought
    if here and is_there(home.state(here.step)) and not (is_done or is_there(staged.state(brought))):
        return Verdict(
            "keep", f"it can go on here from step {step}, and the pack brings step {brought} without a state"
        )
    return Verdict("replace")


def completed(home: RunDirectory, staged: RunDirectory) -> bool:
    """Gives a run that stands at the same commit here what it lacks, or what does not hold; whether that was anything.

    Evaluations with more repeats, and attempts, logs and records that go on from those here, come in their place.
    """
    commit = newest_commit(staged)
    changed = False
    for path in _files(staged.root):
        target = home.root / path.relative_to(staged.root)
        if path == staged.left_behind or (is_there(target) and not _is_better(home, staged, path, target)):
            continue
        atomic.write_from(target, partial(_copy, path))
        changed = True
    if commit and not is_there(home.state(commit.step)):
        kept = any(is_there(home.checkpoint(int(step))) for step in commit.checkpoints)
        note_left_behind(home, commit, checkpoints=bool(commit.checkpoints) and not kept)
    return changed


def _copy(path: Path, target: BinaryIO) -> None:
    with open_file(path) as source:
        shutil.copyfileobj(source, target, CHUNK_BYTES)


def carry_over(home: RunDirectory, staged: RunDirectory) -> None:
    """Before `staged` comes in the place of `home`: what was measured here of the same checkpoints goes along."""
    commit = newest_commit(staged)
    for path in _files(home.evaluations) if commit else ():
        target = staged.evaluations / path.name
        if path.suffix != ".json" or not _is_of(commit, home, path):
            continue
        if not is_there(target) or _measured_more(staged, path, target):
            atomic.write_bytes(target, read_bytes(path))


def _is_of(commit: Commit | None, home: RunDirectory, path: Path) -> bool:
    if commit is None or evaluation_damage(home, path):
        return False
    document = atomic.read_json(path)
    return bool(commit.checkpoints.get(str(document["step"])) == document["checkpoint_sha256"])


def _is_better(home: RunDirectory, staged: RunDirectory, path: Path, target: Path) -> bool:
    """Whether a file of the pack comes in the place of one that is here; both runs stand at the same commit."""
    commit = newest_commit(staged)
    inside = path.relative_to(staged.root)
    match inside.parts[0]:
        case "checkpoints" | "state":
            return atomic.file_sha256(path) != atomic.file_sha256(target)
        case "metrics.jsonl":
            return (commit is not None and not metrics_match(home, commit)) or _continues(target, path)
        case "attempts.jsonl" | "log.txt" | "system.jsonl":
            return _continues(target, path)
        case "samples" | "pictures":
            digest = commit.checkpoints.get(str(_step(path))) if commit else None
            return digest is not None and picture_damage(read_bytes(target), digest) is not None
        case "evaluations":
            return _measured_more(home, path, target)
        case "networks.json":
            return read_networks(home) is None
    return _fails(lambda: read_run_manifest(home))


def _measured_more(home: RunDirectory, path: Path, target: Path) -> bool:
    if evaluation_damage(home, target):
        return True
    ours, theirs = atomic.read_json(target), atomic.read_json(path)
    if ours["checkpoint_sha256"] != theirs["checkpoint_sha256"] or ours["values"] == theirs["values"]:
        return False
    return all(theirs["values"].get(metric, [])[: len(values)] == values for metric, values in ours["values"].items())


def _continues(before: Path, after: Path) -> bool:
    """Whether `after` begins with all of `before` and goes on; an absent file is an empty one."""
    first, second = (read_bytes(path) if is_there(path) else b"" for path in (before, after))
    return len(second) > len(first) and second.startswith(first)


def _diverged(run: RunDirectory) -> bool:
    last = next((attempt for attempt in reversed(read_attempts(run)) if attempt.work != "evaluate"), None)
    return last is not None and last.outcome == "diverged"


def _fails(read: Callable[[], object]) -> bool:
    try:
        read()
    except DamagedFileError:
        return True
    return False


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-").split("--")[0].split(".")[0])


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))
