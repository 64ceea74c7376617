"""Cursors: how far a run, and the experiment as a whole, was projected into one store.

Written by the process that holds the store's tracking lock. A cursor that is missing, damaged or of another form says
nothing: what it spoke of is projected anew.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from harness.errors import StoreError
from harness.store import atomic
from harness.store.reading import read_bytes
from harness.tracking.stores import StoreAddress

CURSOR_FORMAT = 2
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?(?:e[+-]?[0-9]{1,2})?")
"""A number as JSON and the report's tables spell it."""

Points = dict[str, dict[str, float]]
"""Values by metric key and step (as text, for JSON)."""


@dataclass(frozen=True)
class LocalFile:
    """A file that belongs into the store; end: only its first bytes count (the committed part of the records)."""

    path: Path
    end: int | None = None

    def content(self) -> bytes:
        return read_bytes(self.path, self.end)

    def size(self) -> int:
        """Bytes of `content`."""
        size = self.path.stat().st_size
        return size if self.end is None else min(self.end, size)

    def beside(self, _name: str, _content: bytes) -> Mapping[str, bytes]:
        """What goes into the store together with the file of this name and content, by its path there."""
        return {}


@dataclass(frozen=True)
class TableFile(LocalFile):
    """A CSV file as a table of MLflow's pages: what `MlflowClient.log_table` makes of a frame, with the same bytes each
    time."""

    def content(self) -> bytes:
        header, *rows = csv.reader(io.StringIO(super().content().decode()))
        columns = [_values(column) for column in zip(*rows, strict=True)]
        table = {"columns": header, "data": list(zip(*columns, strict=True))}
        return (json.dumps(table, ensure_ascii=False, allow_nan=False) + "\n").encode()

    def size(self) -> int:
        return len(self.content())


def _values(column: Sequence[str]) -> list[str | float | None]:
    """The fields of one column: numbers where all are, and None for empty ones."""
    are_numbers = all(_NUMBER.fullmatch(text) for text in column if text)
    return [None if not text else json.loads(text) if are_numbers else text for text in column]


@dataclass(frozen=True)
class UploadedFile:
    """What a file was like when it was uploaded. size in bytes of the part that counts."""

    size: int
    mtime_ns: int
    sha256: str

    def is_still(self, file: LocalFile) -> bool:
        """Whether `file` has the uploaded content; read only where its size or time of change differ."""
        if file.size() != self.size:
            return False
        return (
            file.path.stat().st_mtime_ns == self.mtime_ns or hashlib.sha256(file.content()).hexdigest() == self.sha256
        )


Uploads = dict[str, UploadedFile]
"""Uploaded files by their path in the store."""


@dataclass(frozen=True)
class ChildCursor:
    """How far one run was projected.

    offset: bytes of metrics.jsonl that are surely in the store; reach, reach_sha256: bytes that may be there, and
    their hash; points: aggregates of evaluations that may be there; settled: everything said here was written,
    status and files too (False: a projection is under way, or died); models: role of each logged model by the
    SHA-256 of its checkpoint; files_sha256: what the tag `FILES` says, empty where it says nothing; datasets: the words
    of entries that are there; samples, samples_reach, samples_sha256: of system.jsonl as offset, reach, reach_sha256 of
    metrics.jsonl.
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
    files_sha256: str = ""
    datasets: tuple[str, ...] = ()
    samples: int = 0
    samples_reach: int = 0
    samples_sha256: str = atomic.sha256_of(b"")
    format: int = CURSOR_FORMAT


@dataclass(frozen=True)
class ParentCursor:
    """The parent run of an experiment.

    files_sha256: as a `ChildCursor`'s, of the files that all runs share; tables: the tag that names the tables.
    report_of: fingerprint of the runs that the attached report is of; report_is: the tag that says if they changed.
    summary: the beginning of that report; experiment_tags: of the MLflow experiment itself, as they were written last.
    """

    address: str
    fingerprint: str
    experiment_id: str
    run_id: str
    status: str = "RUNNING"
    tags: dict[str, str] = field(default_factory=dict)
    uploads: Uploads = field(default_factory=dict)
    files_sha256: str = ""
    tables: str = ""
    report_of: str = ""
    report_is: str = ""
    summary: str = ""
    experiment_tags: dict[str, str] = field(default_factory=dict)
    format: int = CURSOR_FORMAT


_Cursor = TypeVar("_Cursor", ChildCursor, ParentCursor)


def read_cursor(kind: type[_Cursor], path: Path, address: StoreAddress) -> _Cursor | None:
    """The cursor at `path` if it is whole, of this form, and speaks of the store at `address`."""
    try:
        document = atomic.read_json(path)
        if document.get("format") != CURSOR_FORMAT or document.get("fingerprint") != address.fingerprint:
            return None
        document["uploads"] = {name: UploadedFile(**entry) for name, entry in document["uploads"].items()}
        if "datasets" in document:
            document["datasets"] = tuple(document["datasets"])
        return kind(**document)
    except (StoreError, FileNotFoundError, TypeError, KeyError):  # what cannot be read is told by who writes it
        return None


def files_sha256(hashes: Mapping[str, str]) -> str:
    """One hash for files by their path in the store and their SHA-256: whether a download has all of them."""
    return atomic.sha256_of(atomic.canonical_json(dict(hashes)))


def hashes_of(uploads: Uploads, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of those of `uploads` that are called so."""
    return {name: uploads[name].sha256 for name in names if name in uploads}


def write_cursor(path: Path, cursor: ChildCursor | ParentCursor) -> None:
    atomic.write_json(path, asdict(cursor))


def same_uploads(files: Mapping[str, LocalFile], uploads: Uploads) -> bool:
    """Whether the store holds exactly `files` as they are now."""
    return files.keys() == uploads.keys() and all(uploads[name].is_still(file) for name, file in files.items())


def changed_files(files: Mapping[str, LocalFile], uploads: Uploads) -> dict[str, LocalFile]:
    """Those of `files` that the store lacks or holds in another form."""
    return {name: file for name, file in files.items() if name not in uploads or not uploads[name].is_still(file)}
