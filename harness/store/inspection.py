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

from harness.errors import DamagedFileError, StoreError
from harness.store import atomic
from harness.store.attempts import Attempt, read_attempts
from harness.store.commits import Commit, metrics_match, read_commit, read_commits, records_match
from harness.store.evaluations import evaluation_damage
from harness.store.findings import Finding, Kind
from harness.store.heartbeat import is_worked_on
from harness.store.left_behind import without_left
from harness.store.manifest import read_run_manifest, require_own_folder
from harness.store.many import THREADS
from harness.store.pictures import PICTURE_KINDS
from harness.store.png import picture_damage, picture_texts
from harness.store.reading import is_there, read_bytes, unreadable
from harness.store.records import damaged_lines
from harness.store.rundir import ExperimentDirectory, RunDirectory


@dataclass(frozen=True)
class _Hashed:
    """A file's SHA-256, None where it has none. trouble: what is wrong with it if that is not the expected one."""

    sha256: str | None = None
    trouble: str = "does not match its SHA-256"


def inspect_run(run: RunDirectory, key: str) -> tuple[Finding, ...]:
    """Everything in one run's folder that working on it needs and that does not hold. key: of the run it is for.

    For who holds the run's lock; StoreError where a file cannot be read that nothing makes again.
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

    experiment.json is looked at by who reads it, which is every command. Nothing is raised: who needs a file that
    cannot be read says so.
    """
    findings = [*_documents(directory.cursors, "cursor"), *_document(directory.reports, "report")]
    try:
        findings += _real_images(directory)
        cached = _files(directory.cache)
    except StoreError as error:
        return (*findings, _barred(error))
    with _pool() as pool:
        for found in pool.map(_array, cached):
            findings += found
    for path in cached:
        if path.suffix == ".json":
            findings += _document(path, "cache")
    return tuple(findings)


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
        if is_worked_on(run):
            return ()
        before = _trace(run)
        findings = (*_inspect_run(run, key, pool), *_documents(run.cursors, "cursor"))
        return findings if findings and not is_worked_on(run) and _trace(run) == before else ()
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
            *without_left(run, newest, _states(run, commits, states)),
            *_metrics(run, commits),
            *without_left(run, newest, _checkpoints(run, checkpoints, weights)),
            *_pictures(run, checkpoints),
            *_evaluations(run),
            *_manifest(run, newest),
            *_document(run.networks, "networks"),
            *_attempts(run),
        )
    except OSError as error:
        where = str(error.filename or run.root)
        raise StoreError(f"cannot be read: {error.strerror or error}", where=where) from error


def _states(run: RunDirectory, commits: Sequence[Commit], hashes: Iterator[_Hashed]) -> Iterator[Finding]:
    """States and commits that do not hold; older ones than a state that holds are spare."""
    found = dict(zip((commit.step for commit in commits), hashes, strict=True))
    whole = [commit.step for commit in commits if found[commit.step].sha256 == commit.state_sha256]
    for step in run.committed_steps():
        is_spare = any(step < newer for newer in whole)
        try:
            commit = read_commit(run, step)
        except DamagedFileError as error:
            yield Finding(run.commit(step), "spare" if is_spare else "commit", error.what, step)
            continue
        except FileNotFoundError:
            continue
        hashed = found.get(step) or _digest(run.state(step))
        if hashed.sha256 != commit.state_sha256:
            yield Finding(run.state(step), "spare" if is_spare else "state", f"the state {hashed.trouble}", step)


def _metrics(run: RunDirectory, commits: Sequence[Commit]) -> Iterator[Finding]:
    broken = [commit.step for commit in commits if not metrics_match(run, commit)]
    if broken:
        what = f"the records up to step {broken[-1]} do not match their SHA-256"
        yield Finding(run.metrics, "metrics", what, broken[-1])
        return
    seen = _divergence(read_attempts(run), commits[0] if commits else None)
    if seen and not records_match(run, seen.metrics_offset or 0, seen.metrics_sha256):
        step = seen.end_step or 0
        what = f"the records up to the divergence at step {step} do not match their SHA-256"
        yield Finding(run.metrics, "divergence", what, step)


def _divergence(attempts: Sequence[Attempt], newest: Commit | None) -> Attempt | None:
    """The last attempt that trained, where it diverged behind the newest commit and counted its records, else None."""
    last = next((attempt for attempt in reversed(attempts) if attempt.work != "evaluate"), None)
    if last is None or last.outcome != "diverged" or last.metrics_offset is None:
        return None
    return None if newest and newest.step >= (last.end_step or 0) else last


def _checkpoints(run: RunDirectory, noted: dict[int, str], hashes: Iterator[_Hashed]) -> Iterator[Finding]:
    for (step, expected), hashed in zip(noted.items(), hashes, strict=True):
        path = run.checkpoint(step)
        if hashed.sha256 != expected:
            yield Finding(path, "checkpoint", f"the checkpoint {hashed.trouble}", step)
        elif _read(atomic.note_of(path)) != atomic.note_text(path, expected):
            yield Finding(atomic.note_of(path), "note", "the note does not hold the checkpoint's SHA-256", step)


def _pictures(run: RunDirectory, noted: dict[int, str]) -> Iterator[Finding]:
    for step, digest in noted.items():
        content = _read(run.samples(step))
        what = "the picture is missing" if content is None else picture_damage(content, digest)
        if what:
            yield Finding(run.samples(step), "picture", what, step)
        for kind in PICTURE_KINDS:
            content = _read(run.picture(step, kind))
            if content is not None and (what := picture_damage(content, digest)):
                yield Finding(run.picture(step, kind), "picture", what, step)


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
    try:
        paths = _files(folder)
    except StoreError as error:
        yield _barred(error)
        return
    for path in paths:
        if path.suffix == ".json":
            yield from _document(path, kind)


def _document(path: Path, kind: Kind) -> Iterator[Finding]:
    try:
        atomic.read_json(path)
    except FileNotFoundError:
        return
    except DamagedFileError as error:
        yield Finding(path, kind, error.what)
    except StoreError as error:
        yield _barred(error)


def _array(path: Path) -> tuple[Finding, ...]:
    """What is wrong with a cached file that has a note of its SHA-256 beside it."""
    note = atomic.note_of(path)
    try:
        if not is_there(note):
            return ()
        hashed = _digest(path)
        if hashed.sha256 is not None and _read(note) == atomic.note_text(path, hashed.sha256):
            return ()
    except StoreError as error:
        return (_barred(error),)
    return (Finding(path, "cache" if hashed.sha256 else "barred", f"the file {hashed.trouble}"),)


def _real_images(directory: ExperimentDirectory) -> Iterator[Finding]:
    for path in _files(directory.pictures):
        if path.suffix == ".png" and picture_texts(_read(path) or b"") is None:
            yield Finding(path, "real images", "the picture is not whole")


def _barred(error: StoreError) -> Finding:
    """A shared file that cannot be read, which is nobody's damage to mend."""
    return Finding(Path(error.where), "barred", error.what)


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


def _digest(path: Path) -> _Hashed:
    """StoreError where something else than a file lies there, or nobody may read it."""
    try:
        return _Hashed(atomic.file_sha256(path))
    except FileNotFoundError:
        return _Hashed(trouble="is missing")
    except OSError as error:  # of the disk, at that place: what is made again lies elsewhere
        return _Hashed(trouble=f"cannot be read: {error.strerror or error}")
