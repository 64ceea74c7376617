"""A thorough look at the files of a run and of its experiment: all that counts is read and compared with its checksum.

What a killed process leaves is no damage: a torn record behind the part of metrics.jsonl that counts, temporary files,
a state without its commit, a checkpoint that no commit names. Nothing is written here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.errors import DamagedFileError, StoreError
from harness.store import atomic
from harness.store.attempts import Attempt, Work, read_attempts
from harness.store.commits import Commit, metrics_match, read_commit, read_commits
from harness.store.evaluations import evaluation_damage
from harness.store.locks import is_held
from harness.store.manifest import read_run_manifest, require_own_folder
from harness.store.png import picture_damage
from harness.store.reading import read_bytes, unreadable
from harness.store.records import damaged_lines
from harness.store.rundir import ExperimentDirectory, RunDirectory

THREADS = min(8, 2 * (os.cpu_count() or 1))
"""Files hashed at once: hashing lets other threads go on, and one may wait for the disk meanwhile."""

Kind = Literal[
    "commit", "state", "spare", "metrics", "divergence", "checkpoint", "note",
    "evaluation", "picture", "manifest", "attempts", "unreadable", "cursor", "cache", "report",
]  # fmt: skip

TRAINING_KINDS = frozenset({"commit", "state", "metrics", "divergence", "checkpoint"})
"""Damage that only training mends."""

SHARED_KINDS = frozenset({"cursor", "cache", "report"})
"""Damage that whoever uses the file next mends; no run has to be worked on for it."""

_MENDING: dict[Kind, str] = {
    "commit": "the state before takes over",
    "state": "the state before takes over",
    "spare": "it is removed, as a newer state is whole",
    "metrics": "the state before takes over",
    "divergence": "the run is trained to its divergence again",
    "checkpoint": "it is made again",
    "note": "the checkpoint is whole; the note is written again",
    "evaluation": "it is measured again where the file asks for it",
    "picture": "it is drawn again",
    "manifest": "it is written again",
    "attempts": "the lines that hold are kept",
    "unreadable": "the run fails as long as this is so",
    "cursor": "what it speaks of is projected again",
    "cache": "it is made again when it is next used",
    "report": "the report is made again",
}


@dataclass(frozen=True)
class Finding:
    """A damaged file. what: is wrong with it; step: of the state, commit or checkpoint, 0 for others."""

    path: Path
    kind: Kind
    what: str
    step: int = 0

    def __str__(self) -> str:
        return f"{self.path}: {self.what}; {_MENDING[self.kind]}"


def mended_by_work(findings: Sequence[Finding], work: Work) -> tuple[Finding, ...]:
    """Those that working on their run mends; `evaluate` trains nothing and leaves alone what only training mends."""
    left = SHARED_KINDS | TRAINING_KINDS if work == "evaluate" else SHARED_KINDS
    return tuple(finding for finding in findings if finding.kind not in left)


def inspect_run(run: RunDirectory, key: str) -> tuple[Finding, ...]:
    """Everything in one run's folder that does not hold. key: of the run that the folder is for.

    For who holds the run's lock; StoreError where a file cannot be read.
    """
    with _pool() as pool:
        return _inspect_run(run, key, pool)


def inspect_free_runs(runs: Sequence[tuple[RunDirectory, str]]) -> dict[str, tuple[Finding, ...]]:
    """Findings by key, of the runs (with their keys) that no process holds; those without any are left out.

    Nothing is locked, so that nobody is turned away: where a process began to work on a run meanwhile, what was seen
    says nothing, and that process looks for itself.
    """
    found = {}
    with _pool() as pool:
        for run, key in runs:
            findings = _inspect_or_tell(run, key, pool)
            if findings:
                found[key] = findings
    return found


def inspect_shared(directory: ExperimentDirectory) -> tuple[Finding, ...]:
    """What the runs of an experiment share: cursors of tracking, the note of reports, caches.

    experiment.json is looked at by who reads it, which is every command.
    """
    findings = [*_documents(directory.cursors, "cursor")]
    findings += _document(directory.reports, "report")
    arrays = [path for path in _files(directory.cache) if atomic.note_of(path).exists()]
    with _pool() as pool:
        digests = pool.map(_digest, arrays)
        for path, digest in zip(arrays, digests, strict=True):
            if digest is not None and _read(atomic.note_of(path)) != atomic.note_text(path, digest):
                findings.append(Finding(path, "cache", "it does not match the SHA-256 beside it"))
    return (*findings, *_documents(directory.cache, "cache"))


@contextmanager
def _pool() -> Iterator[Executor]:
    """Threads that, when the person breaks off, finish only the files that they are at."""
    pool = ThreadPoolExecutor(THREADS)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _inspect_or_tell(run: RunDirectory, key: str, pool: Executor) -> tuple[Finding, ...]:
    """What is seen of a run that nobody holds. One that cannot be read says nothing about the others."""
    try:
        if is_held(run.lock):
            return ()
        before = _trace(run)
        findings = _inspect_run(run, key, pool)
        return findings if findings and not is_held(run.lock) and _trace(run) == before else ()
    except StoreError as error:
        return (Finding(Path(error.where), "unreadable", error.what),)


def _inspect_run(run: RunDirectory, key: str, pool: Executor) -> tuple[Finding, ...]:
    try:
        require_own_folder(run, key)
        commits = read_commits(run)
        newest = commits[0] if commits else None
        states = pool.map(_digest, [run.state(commit.step) for commit in commits])
        checkpoints = {int(step): digest for step, digest in (newest.checkpoints if newest else {}).items()}
        weights = pool.map(_digest, [run.checkpoint(step) for step in checkpoints])
        return (
            *_states(run, commits, states),
            *_metrics(run, commits),
            *_checkpoints(run, checkpoints, weights),
            *_pictures(run, checkpoints),
            *_evaluations(run),
            *_manifest(run, newest),
            *_attempts(run),
            *_documents(run.cursors, "cursor"),
        )
    except OSError as error:
        where = str(error.filename or run.root)
        raise StoreError(f"cannot be read: {error.strerror or error}", where=where) from error


def _states(run: RunDirectory, commits: Sequence[Commit], digests: Iterator[str | None]) -> Iterator[Finding]:
    """States and commits that do not hold; older ones than a state that holds are spare."""
    found = dict(zip((commit.step for commit in commits), digests, strict=True))
    holding = max((commit.step for commit in commits if found[commit.step] == commit.state_sha256), default=-1)
    for step in run.committed_steps():
        try:
            commit = read_commit(run, step)
        except DamagedFileError as error:
            yield Finding(run.commit(step), "spare" if step < holding else "commit", error.what, step)
            continue
        except FileNotFoundError:
            continue
        digest = found.get(step)
        if digest != commit.state_sha256:
            what = "the state is missing" if digest is None else "the state does not match its SHA-256"
            yield Finding(run.state(step), "spare" if step < holding else "state", what, step)


def _metrics(run: RunDirectory, commits: Sequence[Commit]) -> Iterator[Finding]:
    broken = [commit.step for commit in commits if not metrics_match(run, commit)]
    if broken:
        what = f"the records up to step {broken[-1]} do not match their SHA-256"
        yield Finding(run.metrics, "metrics", what, broken[-1])
        return
    seen = divergence(read_attempts(run), commits[0] if commits else None)
    if seen and not metrics_match(run, seen):
        what = f"the records up to the divergence at step {seen.step} do not match their SHA-256"
        yield Finding(run.metrics, "divergence", what, seen.step)


def divergence(attempts: Sequence[Attempt], newest: Commit | None) -> Commit | None:
    """The part of metrics.jsonl that the last attempt counted when it diverged behind the newest commit, else None."""
    last = next((attempt for attempt in reversed(attempts) if attempt.work != "evaluate"), None)
    if last is None or last.outcome != "diverged" or last.metrics_offset is None:
        return None
    step = last.end_step or 0
    if newest and newest.step >= step:
        return None
    return Commit(step, "", last.metrics_offset, last.metrics_sha256)


def _checkpoints(run: RunDirectory, noted: dict[int, str], digests: Iterator[str | None]) -> Iterator[Finding]:
    for (step, expected), digest in zip(noted.items(), digests, strict=True):
        path = run.checkpoint(step)
        if digest != expected:
            what = "the checkpoint is missing" if digest is None else "the checkpoint does not match its SHA-256"
            yield Finding(path, "checkpoint", what, step)
        elif _read(atomic.note_of(path)) != atomic.note_text(path, expected):
            yield Finding(atomic.note_of(path), "note", "the note does not hold the checkpoint's SHA-256", step)


def _pictures(run: RunDirectory, noted: dict[int, str]) -> Iterator[Finding]:
    for step, digest in noted.items():
        content = _read(run.samples(step))
        what = "the picture is missing" if content is None else picture_damage(content, digest)
        if what:
            yield Finding(run.samples(step), "picture", what, step)


def _evaluations(run: RunDirectory) -> Iterator[Finding]:
    for path in _files(run.evaluations):
        if path.suffix == ".json" and (what := evaluation_damage(run, path)):
            yield Finding(path, "evaluation", what)


def _manifest(run: RunDirectory, newest: Commit | None) -> Iterator[Finding]:
    try:
        manifest = read_run_manifest(run)
    except DamagedFileError as error:
        yield Finding(run.run_json, "manifest", error.what)
        return
    if manifest is None and newest:
        yield Finding(run.run_json, "manifest", "the file is missing")


def _attempts(run: RunDirectory) -> Iterator[Finding]:
    damaged = damaged_lines(_read(run.attempts) or b"")
    if damaged:
        lines = ", ".join(map(str, damaged[:5])) + (f" and {len(damaged) - 5} more" if len(damaged) > 5 else "")
        yield Finding(run.attempts, "attempts", f"line {lines} does not hold")


def _documents(folder: Path, kind: Kind) -> Iterator[Finding]:
    for path in _files(folder):
        if path.suffix == ".json":
            yield from _document(path, kind)


def _document(path: Path, kind: Kind) -> Iterator[Finding]:
    try:
        atomic.read_json(path)
    except FileNotFoundError:
        return
    except DamagedFileError as error:
        yield Finding(path, kind, error.what)


def _trace(run: RunDirectory) -> tuple[int, int] | None:
    """Changes whenever a process begins to work on the run: its attempt is the first thing that it writes."""
    try:
        stat = run.attempts.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(run.attempts, error) from error
    return stat.st_size, stat.st_mtime_ns


def _files(folder: Path) -> list[Path]:
    """Files in `folder` by name, without temporary ones."""
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder) if entry.name[0] != "." and entry.is_file())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unreadable(folder, error) from error


def _read(path: Path) -> bytes | None:
    try:
        return read_bytes(path)
    except FileNotFoundError:
        return None


def _digest(path: Path) -> str | None:
    try:
        return atomic.file_sha256(path)
    except FileNotFoundError:
        return None
