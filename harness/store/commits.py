"""Commits: the small JSON beside a state whose writing makes everything before it count.

Written by the process that trains the run; read by resuming, by status and by projection. Order of writing:
checkpoint and pictures, metrics records, state, commit.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field

from harness.errors import DamagedFileError
from harness.store import atomic
from harness.store.looks import look_at
from harness.store.reading import read_bytes
from harness.store.rundir import RunDirectory

KEPT_STATES = 2


@dataclass(frozen=True)
class Commit:
    """Where a run stands.

    step: the last step trained; state_sha256: of the state file; metrics_*: the part of metrics.jsonl that counts;
    checkpoints: step (as text, for JSON) -> SHA-256 of every checkpoint that was written up to here.
    """

    step: int
    state_sha256: str
    metrics_offset: int
    metrics_sha256: str
    checkpoints: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """TypeError for what no process of this version commits, though its checksum may have been made to fit."""
        numbers, texts = (self.step, self.metrics_offset), (self.state_sha256, self.metrics_sha256)
        if not all(type(number) is int and number >= 0 for number in numbers):
            raise TypeError("step and metrics_offset are whole numbers")
        if not all(isinstance(text, str) for text in (*texts, *self.checkpoints.values())):
            raise TypeError("hashes are text")
        if not all(step.isdecimal() for step in self.checkpoints):
            raise TypeError("checkpoints are named by their steps")


def write_commit(run: RunDirectory, commit: Commit) -> None:
    """Makes `commit` the newest, then removes states older than the newest two."""
    atomic.write_json(run.commit(commit.step), asdict(commit))
    for step in [step for step in run.committed_steps() if step <= commit.step][KEPT_STATES:]:
        run.commit(step).unlink(missing_ok=True)
        run.state(step).unlink(missing_ok=True)


def discard_commit(run: RunDirectory, step: int) -> None:
    """Removes a commit and its state, the commit first."""
    run.commit(step).unlink(missing_ok=True)
    run.state(step).unlink(missing_ok=True)


@dataclass(frozen=True)
class Committed:
    """What one look at the state folder finds. whole: newest first; broken: steps whose commit file is not whole."""

    whole: tuple[Commit, ...]
    broken: tuple[int, ...]


def look_at_commits(run: RunDirectory) -> Committed:
    """The folder is listed once, so that what a live process commits or removes meanwhile is neither."""
    whole, broken = [], []
    for step in run.committed_steps():
        try:
            whole.append(read_commit(run, step))
        except DamagedFileError:
            broken.append(step)  # the commit before takes over
        except FileNotFoundError:
            continue
    return Committed(tuple(whole), tuple(broken))


def read_commits(run: RunDirectory) -> list[Commit]:
    """All commits that are whole, newest first. Whether their state is whole is checked by who loads it."""
    return list(look_at_commits(run).whole)


def read_commit(run: RunDirectory, step: int) -> Commit:
    """The commit of one step; DamagedFileError where its file holds no such commit, FileNotFoundError without one."""
    path = run.commit(step)
    try:
        commit = Commit(**atomic.read_json(path))
    except (TypeError, AttributeError) as error:
        raise DamagedFileError(f"not a commit: {error}", where=str(path)) from error
    if commit.step != step:
        raise DamagedFileError(f"the commit is of step {commit.step}", where=str(path))
    return commit


def newest_commit(run: RunDirectory) -> Commit | None:
    commits = read_commits(run)
    return commits[0] if commits else None


def metrics_match(run: RunDirectory, commit: Commit) -> bool:
    """Whether metrics.jsonl still begins with the records that `commit` counted."""
    return records_match(run, commit.metrics_offset, commit.metrics_sha256)


def records_match(run: RunDirectory, offset: int, sha256: str) -> bool:
    """Whether the first `offset` bytes of metrics.jsonl are there and have this SHA-256; an absent file has none."""

    def look() -> bool:
        try:
            prefix = read_bytes(run.metrics, offset)
        except FileNotFoundError:
            prefix = b""
        return len(prefix) == offset and hashlib.sha256(prefix).hexdigest() == sha256

    return look_at(run.looks, run.metrics, (offset, sha256), look)
