"""What training records: sums over a log interval, kept on the device, and the file of interval means."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from harness.errors import StoreError
from harness.store import atomic
from harness.store.reading import refuse_foreign
from harness.store.records import Record, encode

METRICS = (
    "loss/generator",
    "loss/discriminator",
    "prob/real",
    "prob/fake_before",
    "prob/fake_after",
    "accuracy/real",
    "accuracy/fake",
)
"""fake_before, fake_after: D of the same fake batch before and after D's update. accuracy/real: share of
D(x) > 0.5; accuracy/fake: of D(G(z)) < 0.5; both before the update."""


@torch.no_grad()
def step_metrics(losses: tuple[Tensor, Tensor], real: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """One step's values in the order of METRICS, [7]. losses: G's and D's; the rest are logits [N].

    D > 0.5 exactly where the logit is positive.
    """
    values = [
        *(loss.detach() for loss in losses),
        *(logits.sigmoid().mean() for logits in (real, before, after)),
        (real > 0).float().mean(),
        (before < 0).float().mean(),
    ]
    return torch.stack(values)


@dataclass
class Interval:
    """An unfinished log interval: sums [7] over n steps on the device, and the seconds that they took."""

    sums: Tensor
    n: int = 0
    seconds: float = 0.0

    @classmethod
    def empty(cls, device: torch.device) -> Interval:
        """Sums are float64 where the device has it (Apple's MPS has not)."""
        dtype = torch.float32 if device.type == "mps" else torch.float64
        return cls(torch.zeros(len(METRICS), dtype=dtype, device=device))

    def add(self, values: Tensor) -> None:
        self.sums += values
        self.n += 1

    def record(self, step: int) -> Record:
        """The interval's means as a record of `step`; `time` is seconds since the epoch."""
        means = (self.sums / self.n).tolist()
        head = {"step": step, "n": self.n, "time": round(time.time(), 3), "seconds": round(self.seconds, 6)}
        return head | dict(zip(METRICS, means, strict=True))


class MetricsLog:
    """metrics.jsonl, open for appending behind the committed part; what lies beyond it is cut.

    offset, sha256: of everything appended so far; they count once a commit names them. Raises StoreError with
    the reason where the disk refuses.
    """

    def __init__(self, path: Path, offset: int) -> None:
        self._path = path
        refuse_foreign(path)
        with self._named_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
            self._file.seek(0)
            self._hash = hashlib.sha256(self._file.read(offset))
            self._file.truncate(offset)
        self.offset = offset

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def append(self, record: Record) -> None:
        """Appends one record; readers see it at once, a power cut may still lose it."""
        line = encode(record)
        with self._named_errors():
            self._file.write(line)
            self._file.flush()
        self._hash.update(line)
        self.offset += len(line)

    def sync(self) -> None:
        """Makes everything appended durable."""
        with self._named_errors():
            os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"cannot write: {error.strerror or error}",
                where=str(self._path),
                remedy=atomic.DISK_REMEDY,
            ) from error
