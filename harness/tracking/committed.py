"""The committed part of a run's records, as points of a tracking store."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.store.reading import read_bytes
from harness.store.records import Record, scan
from harness.store.rundir import RunDirectory
from harness.tracking.content import milliseconds

if TYPE_CHECKING:
    from mlflow.entities import Metric


@dataclass(frozen=True)
class Committed:
    """The committed part of metrics.jsonl, as far as it is whole: its bytes, its records, and where each ends."""

    content: bytes
    records: tuple[Record, ...]
    ends: tuple[int, ...]

    def sha256(self, end: int | None = None) -> str:
        """Of the first `end` bytes; of less where there is less, which is no beginning that was ever logged."""
        return hashlib.sha256(self.content[:end]).hexdigest()

    def after(self, offset: int) -> tuple[Record, ...]:
        """The records behind the first `offset` bytes."""
        return self.records[bisect_right(self.ends, offset) :]

    def time_ms(self, step: int) -> int:
        """When `step` was reached: the time of the last record up to it, the same at every call; 0 before any."""
        index = bisect_right(self.records, step, key=lambda record: int(record["step"]))
        return milliseconds(self.records[index - 1]["time"]) if index else 0


def read_committed(directory: RunDirectory, offset: int) -> Committed:
    try:
        content = read_bytes(directory.metrics, offset)
    except FileNotFoundError:
        content = b""
    found = list(scan(content))
    end = found[-1][1] if found else 0
    return Committed(content[:end], tuple(record for record, _ in found), tuple(end for _, end in found))


def record_metrics(fresh: Iterable[Record]) -> list[Metric]:
    """The points of records: every field whose name has a `/`."""
    from mlflow.entities import Metric

    return [
        Metric(name, value, milliseconds(record["time"]), record["step"])
        for record in fresh
        for name, value in record.items()
        if "/" in name and value is not None
    ]
