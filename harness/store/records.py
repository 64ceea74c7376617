"""Appended records: one JSON object a line, each with a CRC-32 over the rest of its line.

One process appends (the one that holds the run's lock); any may read. A torn or damaged line ends what counts.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import StoreError

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
    record: Record = json.loads(body + b"}")
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


def read_records(path: Path, end: int | None = None) -> list[Record]:
    """All records that hold, from the first `end` bytes (default: all); an absent file has none."""
    try:
        with path.open("rb") as file:
            content = file.read() if end is None else file.read(end)
    except FileNotFoundError:
        return []
    return [record for record, _ in scan(content)]


def append_record(path: Path, record: Record) -> None:
    """Appends one record durably, behind the last that holds (a torn tail is cut first); StoreError if it cannot."""
    line = encode(record)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b") as file:
            file.seek(0)
            end = 0
            for _, offset in scan(file.read()):
                end = offset
            file.truncate(end)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(
            f"cannot append: {error.strerror or error}",
            where=str(path),
            remedy="Free space or permission, then run the same command again.",
        ) from error
