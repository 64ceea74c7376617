"""Cursors: how far a run, and the experiment as a whole, was projected into one store.

Written by the process that holds the store's tracking lock. A cursor that is missing, damaged or of another form says
nothing: what it spoke of is projected anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from harness.errors import StoreError
from harness.store import atomic
from harness.store.reading import read_bytes
from harness.tracking.stores import StoreAddress

CURSOR_FORMAT = 1

Points = dict[str, dict[str, float]]
"""Values by metric key and step (as text, for JSON)."""


@dataclass(frozen=True)
class LocalFile:
    """A file that belongs into the store; end: only its first bytes count (the committed part of the records)."""

    path: Path
    end: int | None = None

    def content(self) -> bytes:
        return read_bytes(self.path, self.end)


@dataclass(frozen=True)
class UploadedFile:
    """What a file was like when it was uploaded. size in bytes of the part that counts."""

    size: int
    mtime_ns: int
    sha256: str

    def is_still(self, file: LocalFile) -> bool:
        """Whether `file` has the uploaded content; read only where its size or time of change differ."""
        stat = file.path.stat()
        size = stat.st_size if file.end is None else min(file.end, stat.st_size)
        if size != self.size:
            return False
        return stat.st_mtime_ns == self.mtime_ns or hashlib.sha256(file.content()).hexdigest() == self.sha256


Uploads = dict[str, UploadedFile]
"""Uploaded files by their path in the store."""


@dataclass(frozen=True)
class ChildCursor:
    """How far one run was projected.

    offset: bytes of metrics.jsonl that are surely in the store; reach, reach_sha256: bytes that may be there, and
    their hash; points: aggregates of evaluations that may be there; settled: everything said here was written,
    status and files too (False: a projection is under way, or died); models: role of each logged model by the
    SHA-256 of its checkpoint.
    """

    address: str
    fingerprint: str
    experiment_id: str
    run_id: str
    name: str
    tags: dict[str, str]
    params: dict[str, str]
    offset: int = 0
    reach: int = 0
    reach_sha256: str = atomic.sha256_of(b"")
    points: Points = field(default_factory=dict)
    status: str = "RUNNING"
    ended_ms: int | None = None
    uploads: Uploads = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    settled: bool = False
    format: int = CURSOR_FORMAT


@dataclass(frozen=True)
class ParentCursor:
    """The parent run of an experiment."""

    address: str
    fingerprint: str
    experiment_id: str
    run_id: str
    status: str = "RUNNING"
    tags: dict[str, str] = field(default_factory=dict)
    uploads: Uploads = field(default_factory=dict)
    format: int = CURSOR_FORMAT


_Cursor = TypeVar("_Cursor", ChildCursor, ParentCursor)


def read_cursor(kind: type[_Cursor], path: Path, address: StoreAddress) -> _Cursor | None:
    """The cursor at `path` if it is whole, of this form, and speaks of the store at `address`."""
    try:
        document = atomic.read_json(path)
        if document.get("format") != CURSOR_FORMAT or document.get("fingerprint") != address.fingerprint:
            return None
        document["uploads"] = {name: UploadedFile(**entry) for name, entry in document["uploads"].items()}
        return kind(**document)
    except (StoreError, FileNotFoundError, TypeError, KeyError):  # what cannot be read is told by who writes it
        return None


def write_cursor(path: Path, cursor: ChildCursor | ParentCursor) -> None:
    atomic.write_json(path, asdict(cursor))


def same_uploads(files: Mapping[str, LocalFile], uploads: Uploads) -> bool:
    """Whether the store holds exactly `files` as they are now."""
    return files.keys() == uploads.keys() and all(uploads[name].is_still(file) for name, file in files.items())


def changed_files(files: Mapping[str, LocalFile], uploads: Uploads) -> dict[str, LocalFile]:
    """Those of `files` that the store lacks or holds in another form."""
    return {name: file for name, file in files.items() if name not in uploads or not uploads[name].is_still(file)}
