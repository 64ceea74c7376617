"""Locks between processes. A lock is held by a live process or by nobody: the system frees it when its holder dies."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import StoreError

if sys.platform != "win32":
    import fcntl

WAIT_FOR_EVER = -1.0


@contextmanager
def held(path: Path, *, timeout_s: float) -> Iterator[bool]:
    """Holds the lock file `path` inside the block; yields False where another process kept it for `timeout_s`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        lock.acquire(timeout=timeout_s)
    except Timeout:
        yield False
        return
    except OSError as error:
        raise StoreError(
            f"cannot lock: {error.strerror or error}", where=str(path), remedy="Is the folder writable?"
        ) from error
    try:
        yield True
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether a live process holds the lock file `path`, without waiting; an absent file is free.

    Looks with a shared lock, so that two who look never take each other for a holder. Where nobody can tell: held.
    """
    if sys.platform == "win32":
        return _is_held_windows(path)
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return False


def _is_held_windows(path: Path) -> bool:
    """Windows has no shared locks: who looks holds the file for a moment."""
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return True
    lock.release()
    return False
