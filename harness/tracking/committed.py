"""Records of a run, as far as they count, as points of a tracking store."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.store.reading import read_bytes
from harness.store.records import Record, scan
from harness.tracking.content import milliseconds

if TYPE_CHECKING:
    from mlflow.entities import Metric


@dataclass(frozen=True)
class Committed:
    """The part of a file of records that counts, as far as it is whole: its bytes, its records, and where each ends."""

    content: bytes
    records: tuple[Record, ...]
    ends: tuple[int, ...]

    def sha256(self, end: int | None = None) -> str:
        """Of the first `end` bytes; of less where there is less, which is no beginning that was ever logged."""
        return hashlib.sha256(self.content[:end]).hexdigest()

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self.content)

    def after(self, offset: int) -> tuple[Record, ...]:
        """The records behind the first `offset` bytes."""
        return self.records[bisect_right(self.ends, offset) :]

    def time_ms(self, step: int) -> int:
        """When `step` was reached: the time of the last record up to it, the same at every call; 0 before any."""
        index = bisect_right(self.records, step, key=lambda record: int(record["step"]))
        return milliseconds(self.records[index - 1]["time"]) if index else 0


def read_committed(path: Path, end: int | None = None) -> Committed:
    """Of the first `end` bytes, of all by default; an absent file has none."""
    try:
        content = read_bytes(path, end)
    except FileNotFoundError:
        content = b""
    found = list(scan(content))
    whole = found[-1][1] if found else 0
    return Committed(content[:whole], tuple(record for record, _ in found), tuple(end for _, end in found))


def record_metrics(fresh: Iterable[Record]) -> list[Metric]:
    """The points of records: every field whose name has a `/`."""
    from mlflow.entities import Metric

    return [
        Metric(name, value, milliseconds(record["time"]), record["step"])
        for record in fresh
        for name, value in record.items()
        if "/" in name and value is not None
    ]
