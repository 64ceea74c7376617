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
    """Whether a live process holds the lock file `path` (looked at without waiting; an absent file is free)."""
    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return _is_held_read_only(path)
    lock.release()
    return False


def _is_held_read_only(path: Path) -> bool:
    """As `is_held` for a file that may not be written, as in another person's folder; held where nobody can tell."""
    if sys.platform == "win32":
        return True
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False
