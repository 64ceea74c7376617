"""How files under `runs/` are opened for reading: regular files only, whatever lies in their place.

A pipe would be waited on for ever, a device may never end, a folder has no bytes. Nothing foreign is ever read, written
over or removed: whoever put it there is told where it lies.
"""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path

from harness.errors import StoreError

AGAIN = "then run the same command again."


def open_file(path: Path) -> BufferedReader:
    """Opens a regular file; FileNotFoundError where there is nothing, StoreError where it is none or is refused."""
    if not is_there(path):
        raise FileNotFoundError(2, os.strerror(2), str(path))
    try:
        return open(path, "rb", opener=_open_at_once)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unreadable(path, error) from error


def read_bytes(path: Path, size: int | None = None) -> bytes:
    """The first `size` bytes of a regular file, None: all; raises as `open_file`."""
    with open_file(path) as file:
        try:
            return file.read(size)
        except OSError as error:
            raise unreadable(path, error) from error


def is_there(path: Path) -> bool:
    """Whether a regular file lies at `path`; False for nothing, StoreError for anything else."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    except OSError as error:
        raise unreadable(path, error) from error
    if stat.S_ISREG(mode):
        return True
    raise StoreError(f"{_kind(mode)} is where a file must be", where=str(path), remedy=f"Move it away, {AGAIN}")


def refuse_foreign(path: Path) -> None:
    """Before writing: StoreError where something lies there that is no file. What else is wrong, writing tells."""
    try:
        is_there(path)
    except StoreError as error:
        if error.__cause__ is None or isinstance(error.__cause__, NotADirectoryError):
            raise


def unreadable(path: Path, error: OSError) -> StoreError:
    """What the system refused, and what to do: some file in the way of a folder, a permission, a broken disk."""
    if isinstance(error, NotADirectoryError | FileExistsError):
        in_the_way = next((place for place in (path, *path.parents) if _is_no_folder(place)), None)
        if in_the_way is not None:
            return StoreError(
                "something else is where a folder must be", where=str(in_the_way), remedy=f"Move it away, {AGAIN}"
            )
    remedy = f"Make it readable, {AGAIN}" if isinstance(error, PermissionError) else f"Move it away, {AGAIN}"
    return StoreError(f"cannot be read: {error.strerror or error}", where=str(path), remedy=remedy)


def _open_at_once(path: str, flags: int) -> int:
    """A pipe that took the file's place a moment ago then reads as empty, instead of being waited on."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _is_no_folder(path: Path) -> bool:
    """Whether something lies at `path` that is no folder, a link to nowhere included."""
    return os.path.lexists(path) and not path.is_dir()


def _kind(mode: int) -> str:
    match stat.S_IFMT(mode):
        case stat.S_IFDIR:
            return "a folder"
        case stat.S_IFIFO:
            return "a pipe"
        case stat.S_IFSOCK:
            return "a socket"
        case stat.S_IFCHR | stat.S_IFBLK:
            return "a device"
    return "something else"
