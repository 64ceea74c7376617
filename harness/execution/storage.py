"""Whether another machine sees this experiment's folder: a mark that one leaves there and the other reads."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from harness.store import atomic
from harness.store.rundir import ExperimentDirectory


@dataclass(frozen=True)
class StorageMark:
    """A file in the experiment's cache folder with a content that nobody can guess."""

    directory: ExperimentDirectory
    word: str


@contextmanager
def storage_mark(directory: ExperimentDirectory) -> Iterator[StorageMark]:
    """Leaves a mark for the time of the block."""
    mark = StorageMark(directory, secrets.token_hex(8))
    path = directory.storage_mark(mark.word)
    atomic.write_bytes(path, mark.word.encode())
    try:
        yield mark
    finally:
        path.unlink(missing_ok=True)
