"""Appended records: one JSON object a line, each with a CRC-32 over the rest of its line.

One process appends (the one that holds the run's lock); any may read. Where records belong together, as those of
training do, a torn or damaged line ends what counts (`read_records`); where each stands for itself, the others stay
(`read_intact`).
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.store import atomic, reading

Record = dict[str, Any]
_TAIL = len(b',"crc":"00000000"}')


def encode(record: Record) -> bytes:
    """One line: the record's JSON with `crc` as its last field. Non-finite numbers are refused."""
    if not record or "crc" in record:
        raise ValueError("a record has at least one field and none called crc")
    text = json.dumps(record, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    body = text.encode("utf-8", "surrogatepass")[:-1]  # file names that are no UTF-8 come as lone surrogates
    return body + b',"crc":"%08x"}\n' % zlib.crc32(body)


def decode(line: bytes) -> Record | None:
    """The record of one whole line, without `crc`; None when the line is torn or damaged."""
    body, tail = line[: -_TAIL - 1], line[-_TAIL - 1 :]
    if not body or tail != b',"crc":"%08x"}\n' % zlib.crc32(body):
        return None
    try:
        record: Record = json.loads(body + b"}")
    except (ValueError, RecursionError):  # a checksum that was made to fit
        return None
    return record


def scan(content: bytes) -> Iterator[tuple[Record, int]]:
    """The records of a file's content and the offset in bytes behind each, up to the first line that does not hold."""
    offset = 0
    for line in content.splitlines(keepends=True):
        record = decode(line)
        if record is None:
            return
        offset += len(line)
        yield record, offset


def whole(content: bytes) -> list[Record]:
    """The records of a content whose SHA-256 was compared, read at once: half of the time of looking at each line.

    Where it is no sequence of records for all that, those up to the first line that does not hold.
    """
    try:
        records = json.loads(b"[" + content.rstrip(b"\n").replace(b"\n", b",") + b"]")
        for record in records:
            del record["crc"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return [record for record, _ in scan(content)]
    return list(records)


def read_records(path: Path, end: int | None = None) -> list[Record]:
    """All records that hold, from the first `end` bytes (default: all); an absent file has none."""
    try:
        content = reading.read_bytes(path, end)
    except FileNotFoundError:
        return []
    return [record for record, _ in scan(content)]


def intact_lines(content: bytes) -> Iterator[tuple[Record, bytes]]:
    """Every record that holds and its line, wherever damaged lines lie between them."""
    for line in content.splitlines(keepends=True):
        record = decode(line)
        if record is not None:
            yield record, line


def damaged_lines(content: bytes) -> list[int]:
    """Numbers of the lines that do not hold, from 1."""
    return [number for number, line in enumerate(content.splitlines(keepends=True), start=1) if decode(line) is None]


def keep_intact(path: Path) -> None:
    """Rewrites a file of records without its damaged lines; StoreError where the disk refuses."""
    atomic.write_bytes(path, b"".join(line for _, line in intact_lines(reading.read_bytes(path))))


def read_intact(path: Path) -> list[Record]:
    """All records that hold, also behind damaged ones; an absent file has none."""
    try:
        content = reading.read_bytes(path)
    except FileNotFoundError:
        return []
    return [record for record, _ in intact_lines(content)]


def append_record(path: Path, record: Record) -> None:
    """Appends one record durably, behind the last that holds (a torn tail is cut first).

    StoreError if it cannot, and where its folder is gone.
    """
    line = encode(record)
    reading.refuse_foreign(path)
    try:
        with path.open("a+b") as file:
            file.seek(0)
            file.truncate(_end_of_last(file.read()))
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(
            f"cannot append: {error.strerror or error}",
            where=str(path),
            remedy=atomic.DISK_REMEDY,
        ) from error


def _end_of_last(content: bytes) -> int:
    """The offset behind the last record that holds."""
    end = offset = 0
    for line in content.splitlines(keepends=True):
        offset += len(line)
        if decode(line) is not None:
            end = offset
    return end
