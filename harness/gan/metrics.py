"""What training records: sums over a log interval, kept on the device, and the file of interval means."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from torch import Tensor

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.errors import StoreError
from harness.gan.losses import Loss, adversarial_loss
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
"""All that a step may record, in order; `metric_names` says what a cell's do.

loss/discriminator: as minimised, with its gradient penalty. prob/*: means of sigmoid(logit), where the loss makes it a
probability; fake_before: D of the generated images in D's update, fake_after: in the generator's first update, after
D's (the same images where the fake batch is shared). accuracy/real: share of real images on the real side of the
loss's threshold, accuracy/fake: of generated ones on the other, both before the update; for probabilities D(x) > 0.5
and D(G(z)) < 0.5. Where a step has several updates, all but fake_after are means over them."""


@dataclass(frozen=True)
class DiscriminatorUpdate:
    """What one update of D recorded: the loss, and the logits [N] before the update."""

    loss: Tensor
    real_logits: Tensor
    fake_logits: Tensor


@dataclass(frozen=True)
class GeneratorUpdate:
    """What one update of G recorded: the loss, and the logits [N] of its images."""

    loss: Tensor
    logits: Tensor


def metric_names(hp: Hyperparameters, own_code: OwnCode) -> tuple[str, ...]:
    """The METRICS that a cell records. OwnPartError where a loss of the user's own cannot be made."""
    return recorded_by(adversarial_loss(hp, own_code))


def recorded_by(loss: Loss) -> tuple[str, ...]:
    """Those of METRICS that a loss gives a meaning to."""
    recorded = {"loss": True, "prob": loss.probabilities, "accuracy": loss.threshold is not None}
    return tuple(name for name in METRICS if recorded[name.partition("/")[0]])


@torch.no_grad()
def step_metrics(
    loss: Loss, discriminator: Sequence[DiscriminatorUpdate], generator: Sequence[GeneratorUpdate]
) -> Tensor:
    """One step's values in the order of `recorded_by(loss)`. The arguments: the updates of the step, in order."""
    real = _together([update.real_logits for update in discriminator])
    before = _together([update.fake_logits for update in discriminator])
    values = [_mean([update.loss for update in generator]), _mean([update.loss for update in discriminator])]
    if loss.probabilities:
        values += [logits.sigmoid().mean() for logits in (real, before, generator[0].logits)]
    if loss.threshold is not None:
        values += [(real > loss.threshold).float().mean(), (before < loss.threshold).float().mean()]
    return torch.stack(values)


def _together(logits: list[Tensor]) -> Tensor:
    return logits[0] if len(logits) == 1 else torch.cat(logits)


def _mean(losses: list[Tensor]) -> Tensor:
    return losses[0] if len(losses) == 1 else torch.stack(losses).mean()


@dataclass
class Interval:
    """An unfinished log interval: sums of `names` over n steps on the device, and the seconds that they took."""

    names: tuple[str, ...]
    sums: Tensor
    n: int = 0
    seconds: float = 0.0

    @classmethod
    def empty(cls, names: tuple[str, ...], device: torch.device) -> Interval:
        """Sums are float64 where the device has it (Apple's MPS has not)."""
        dtype = torch.float32 if device.type == "mps" else torch.float64
        return cls(names, torch.zeros(len(names), dtype=dtype, device=device))

    def add(self, values: Tensor) -> None:
        self.sums += values
        self.n += 1

    def record(self, step: int) -> Record:
        """The interval's means as a record of `step`; `time` is seconds since the epoch."""
        means = (self.sums / self.n).tolist()
        head = {"step": step, "n": self.n, "time": round(time.time(), 3), "seconds": round(self.seconds, 6)}
        return head | dict(zip(self.names, means, strict=True))


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
