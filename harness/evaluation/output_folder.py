"""The folder that results go to, tried before the work whose results they are."""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness.errors import StoreError
from harness.store import atomic


def make_writable(folder: Path) -> None:
    """Makes `folder` and its parents and writes a file there, which is gone at once; StoreError where it cannot be."""
    atomic.make_folder(folder)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StoreError(
            f"nothing can be written into this folder: {error.strerror or error}",
            where=str(folder),
            remedy=atomic.DISK_REMEDY,
        ) from error
