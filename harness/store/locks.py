"""Locks between processes. A lock is held by a live process or by nobody: the system frees it when its holder dies."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import StoreError
from harness.store.reading import is_there, open_file, refuse_foreign, unreadable

if sys.platform != "win32":
    import fcntl

WAIT_FOR_EVER = -1.0

_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
"""What file systems without locks answer; they differ in the word."""


@contextmanager
def held(path: Path, *, timeout_s: float) -> Iterator[bool]:
    """Holds the lock file `path` inside the block; yields False where another process kept it for `timeout_s`.

    Makes the folder of the lock and no more, so that an experiment that was moved does not come back half.
    """
    try:
        path.parent.mkdir(exist_ok=True)
        refuse_foreign(path)
        lock = FileLock(path, fallback_to_soft=False)  # a lock file that outlives a killed holder is no lock
        lock.acquire(timeout=timeout_s)
    except Timeout:
        yield False
        return
    except OSError as error:
        if error.errno in _NO_LOCKS:
            raise StoreError(
                "the file system has no locks, and without them two processes could work on one run",
                where=str(path),
                remedy="Choose a folder on a local disk, or on NFS with locks, with --runs-dir.",
            ) from error
        if isinstance(error, NotADirectoryError | FileExistsError):
            raise unreadable(path.parent, error) from error
        raise StoreError(
            f"cannot lock: {error.strerror or error}", where=str(path), remedy="Is the folder writable?"
        ) from error
    try:
        yield True
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether a live process holds the lock file `path`, without waiting; an absent file is free.

    Looks with a shared lock, so that two who look never take each other for a holder. Where the file system cannot
    tell: held. StoreError where something else lies there, or nobody may look.
    """
    if sys.platform == "win32":
        return _is_held_windows(path)
    try:
        file = open_file(path)
    except FileNotFoundError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _is_held_windows(path: Path) -> bool:
    """Windows has no shared locks: who looks holds the file for a moment."""
    if not is_there(path):
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        return True
    lock.release()
    return False
