"""What records say beside their curves, as arrays: those of hundreds of runs fit into memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from harness.store.record_columns import Columns
from harness.store.records import Record

_FIELDS = ("step", "n", "time", "seconds")


@dataclass(frozen=True, eq=False)
class Intervals(Sequence[Record]):
    """One run's records without their metrics: `step`, `n` (steps), `time` (s since 1970), `seconds` (of work).

    columns: [n] each, of the fields that all records have.
    """

    columns: dict[str, NDArray[Any]]

    @classmethod
    def of(cls, columns: Columns) -> Intervals:
        """Of a run's records as columns, in which a field that a record lacks is NaN."""
        return cls({name: columns[name] for name in _FIELDS if name in columns and not np.isnan(columns[name]).any()})

    def column(self, name: str) -> list[Any]:
        """One field of every record; nothing where not all have it."""
        return self.columns[name].tolist() if name in self.columns else []

    def total(self, name: str) -> float:
        """The sum of a field over all records."""
        return float(sum(self.column(name)))

    def __len__(self) -> int:
        return len(self.columns["step"]) if self.columns else 0

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> Intervals: ...

    def __getitem__(self, index: int | slice) -> Record | Intervals:
        if isinstance(index, slice):
            return Intervals({name: column[index] for name, column in self.columns.items()})
        return {name: column[index].item() for name, column in self.columns.items()}
