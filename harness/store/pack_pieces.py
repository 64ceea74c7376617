"""What of a run goes into a pack: all that its newest commit counts, each file compared with what was committed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from harness.errors import DamagedFileError, StoreError
from harness.store import atomic
from harness.store.commits import Commit
from harness.store.evaluations import evaluation_damage
from harness.store.manifest import read_run_manifest, require_own_folder
from harness.store.networks import read_networks
from harness.store.pictures import PICTURE_KINDS
from harness.store.png import picture_damage
from harness.store.reading import is_there, open_file, read_bytes
from harness.store.records import damaged_lines
from harness.store.rundir import RunDirectory
from harness.store.status import RunStatus, stored_status

CHUNK_BYTES = 1 << 20
_LOOKS = 5
_UNREACHED = 1 << 62
"""Steps at which no run stands: what an attempt says of its divergence counts then."""
_MEND = "`harness run FILE` mends it; then pack again."


@dataclass(frozen=True)
class Piece:
    """One file of a pack. content: its bytes where it is small, else None: the first `size` bytes of `path`."""

    path: Path
    size: int
    sha256: str
    content: bytes | None = None

    @classmethod
    def of_bytes(cls, path: Path, content: bytes) -> Piece:
        return cls(path, len(content), atomic.sha256_of(content), content)

    @classmethod
    def of_file(cls, path: Path, expected: str | None = None) -> Piece:
        """A file as long as it is now; DamagedFileError where its SHA-256 is not the `expected` one."""
        with open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256()
            for chunk in chunks(file, size):
                digest.update(chunk)
        if expected is not None and digest.hexdigest() != expected:
            raise DamagedFileError("does not match its SHA-256", where=str(path), remedy=_MEND)
        return cls(path, size, digest.hexdigest())


@dataclass(frozen=True)
class RunPieces:
    """pieces: by their path in the run's folder; has_state, has_checkpoints: whether those that there are, are in."""

    pieces: dict[str, Piece]
    status: RunStatus
    has_state: bool
    has_checkpoints: bool


def chunks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The first `size` bytes of a file, as far as they are there, piece by piece."""
    left = size
    while left > 0 and (chunk := file.read(min(CHUNK_BYTES, left))):
        left -= len(chunk)
        yield chunk


def run_pieces(run: RunDirectory, key: str, *, states: bool, checkpoints: bool) -> RunPieces:
    """Everything of the run `key` as its newest commit counts it; StoreError where something does not hold.

    states, checkpoints: whether these are wanted. Of a run that a process works on, what is committed now.
    """
    for _ in range(_LOOKS - 1):
        try:
            return _pieces(run, key, states=states, checkpoints=checkpoints)
        except (StoreError, OSError):
            continue  # a live process commits, or rolls back, between two looks; damage stays
    try:
        return _pieces(run, key, states=states, checkpoints=checkpoints)
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror or error}", where=str(error.filename or run.root)) from error


def _pieces(run: RunDirectory, key: str, *, states: bool, checkpoints: bool) -> RunPieces:
    require_own_folder(run, key)
    if read_run_manifest(run) is None:
        raise DamagedFileError("the file is missing", where=str(run.run_json), remedy=_MEND)
    status = stored_status(run, _UNREACHED, None)
    commit = status.commit
    _require_whole(run, status, states=states)
    pieces = {run.run_json: Piece.of_bytes(run.run_json, read_bytes(run.run_json))}
    pieces |= _appended(run, status)
    if read_networks(run) is not None:
        pieces[run.networks] = Piece.of_bytes(run.networks, read_bytes(run.networks))
    has_state = False
    if commit is not None:
        path = run.commit(commit.step)
        pieces[path] = Piece.of_bytes(path, read_bytes(path))
        pieces |= dict(_pictures(run, commit))
        pieces |= dict(_evaluations(run, commit))
        pieces |= dict(_checkpoints(run, commit)) if checkpoints else {}
        if states and is_there(run.state(commit.step)):
            has_state = True
            pieces[run.state(commit.step)] = Piece.of_file(run.state(commit.step), commit.state_sha256)
    named = {path.relative_to(run.root).as_posix(): piece for path, piece in pieces.items()}
    has_checkpoints = commit is not None and any(run.checkpoint(int(step)) in pieces for step in commit.checkpoints)
    return RunPieces(dict(sorted(named.items())), status, has_state, has_checkpoints)


def _require_whole(run: RunDirectory, status: RunStatus, *, states: bool) -> None:
    """DamagedFileError for damage that `harness run` would mend; a state that nobody wants may be gone."""
    unwanted = str(run.state(status.commit.step)) if status.commit and not states else ""
    damage = [path for path in (*status.broken_commits, *status.damage) if path != unwanted]
    if damage:
        raise DamagedFileError("the file does not hold, or is missing", where=damage[0], remedy=_MEND)


def _appended(run: RunDirectory, status: RunStatus) -> dict[Path, Piece]:
    """Attempts and samples of the machine up to their last whole line, the log, records up to where they count."""
    found = {}
    if is_there(run.attempts):
        content = read_bytes(run.attempts)
        whole = content[: content.rfind(b"\n") + 1]
        if damaged_lines(whole):
            raise DamagedFileError("lines of it do not hold", where=str(run.attempts), remedy=_MEND)
        found[run.attempts] = Piece.of_bytes(run.attempts, whole)
    if is_there(run.log):
        found[run.log] = Piece.of_file(run.log)
    if is_there(run.system):
        content = read_bytes(run.system)
        found[run.system] = Piece.of_bytes(run.system, content[: content.rfind(b"\n") + 1])
    if status.metrics_offset:
        found[run.metrics] = Piece(run.metrics, status.metrics_offset, status.metrics_sha256)
    return found


def _checkpoints(run: RunDirectory, commit: Commit) -> Iterator[tuple[Path, Piece]]:
    """Those that lie here; all are left out of a run whose checkpoints were left elsewhere."""
    for step, digest in commit.checkpoints.items():
        path = run.checkpoint(int(step))
        if is_there(path):
            yield path, Piece.of_file(path, digest)
            yield atomic.note_of(path), Piece.of_bytes(atomic.note_of(path), atomic.note_text(path, digest))


def _pictures(run: RunDirectory, commit: Commit) -> Iterator[tuple[Path, Piece]]:
    for step, digest in commit.checkpoints.items():
        for path in (run.samples(int(step)), *(run.picture(int(step), kind) for kind in PICTURE_KINDS)):
            if is_there(path):
                content = read_bytes(path)
                if what := picture_damage(content, digest):
                    raise DamagedFileError(what, where=str(path), remedy=_MEND)
                yield path, Piece.of_bytes(path, content)


def _evaluations(run: RunDirectory, commit: Commit) -> Iterator[tuple[Path, Piece]]:
    """Evaluations of committed checkpoints, whatever protocol they are of."""
    try:
        entries = sorted(Path(entry.path) for entry in os.scandir(run.evaluations))
    except FileNotFoundError:
        return
    steps = {f"{run.evaluation(int(step), '').stem}" for step in commit.checkpoints}
    for path in entries:
        if path.suffix != ".json" or not any(path.stem.startswith(step) for step in steps):
            continue
        if what := evaluation_damage(run, path):
            raise DamagedFileError(what, where=str(path), remedy=_MEND)
        yield path, Piece.of_bytes(path, read_bytes(path))
