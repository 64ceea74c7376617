"""Files written whole or not at all: temporary file, flush, fsync, os.replace, fsync of the folder.

Two forms. Binary files get `NAME.sha256` beside them, written after the file. JSON documents carry their own
SHA-256 in the field `sha256`, so that one file is the whole commit. A file without its checksum is missing.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from io import BufferedRandom
from pathlib import Path
from typing import Any

from harness.errors import DamagedFileError, StoreError
from harness.store import reading

Json = dict[str, Any]

DISK_REMEDY = "Free space or permission, then run the same command again."
"""What to do where the disk refuses a write."""

MAX_NOTE_BYTES = 4096
"""Far more than a SHA-256 and a file's name take."""


def write_bytes(path: Path, content: bytes) -> None:
    """Replaces `path` by `content` in one move; StoreError with the reason (full disk, no permission)."""
    _write_from(path, lambda file: file.write(content))


def make_folder(folder: Path) -> None:
    """Makes `folder` and its parents; StoreError where it cannot be. Only where something begins.

    Files make the one folder that they lie in and no more, so that a run that was removed does not come back half.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise reading.unreadable(folder, error) from error
    except OSError as error:
        raise StoreError(
            f"the folder cannot be made: {error.strerror or error}",
            where=str(folder),
            remedy=DISK_REMEDY,
        ) from error


def _write_from(path: Path, write: Callable[[BufferedRandom], object]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    reading.refuse_foreign(path)
    try:
        path.parent.mkdir(exist_ok=True)
        with temporary.open("w+b") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - the atomic primitive, named as what it is
        _sync_folder(path.parent)
    except FileExistsError as error:
        raise reading.unreadable(path.parent, error) from error
    except OSError as error:
        with suppress(OSError):  # the first error is the one to tell
            temporary.unlink()
        raise StoreError(
            f"cannot write: {error.strerror or error}",
            where=str(path),
            remedy=DISK_REMEDY,
        ) from error
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def write_from(path: Path, write: Callable[[BufferedRandom], object]) -> None:
    """As `write_bytes`, for content too large for memory: `write` puts it into the file that it is given.

    Whatever `write` raises leaves the old file as it was; its OSErrors are taken for those of the disk.
    """
    _write_from(path, write)


def sha256_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_hashed(path: Path, content: bytes) -> str:
    """Writes `path`, then `path.sha256`; returns the SHA-256 in hex."""
    digest = sha256_of(content)
    write_bytes(path, content)
    write_note(path, digest)
    return digest


def write_hashed_from(path: Path, write: Callable[[BufferedRandom], object]) -> str:
    """As `write_hashed`, for content too large for memory: `write` puts it into the file that it is given.

    Whatever `write` raises leaves the old file as it was; its OSErrors are taken for those of the disk.
    """
    digest = ""

    def write_and_hash(file: BufferedRandom) -> None:
        nonlocal digest
        write(file)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()

    _write_from(path, write_and_hash)
    write_note(path, digest)
    return digest


def note_of(path: Path) -> Path:
    """The file beside `path` that notes its SHA-256."""
    return path.with_name(path.name + ".sha256")


def note_text(path: Path, digest: str) -> bytes:
    """What `note_of(path)` holds, as `sha256sum --check` reads it."""
    return f"{digest}  {path.name}\n".encode()


def write_note(path: Path, digest: str) -> None:
    """Writes the SHA-256 beside a file that has it."""
    write_bytes(note_of(path), note_text(path, digest))


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes in hex, read piece by piece; raises as `reading.open_file`, or OSError."""
    with reading.open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_leftovers(path: Path) -> None:
    """Removes temporary files that killed writers of `path` left. Only for who locks its writers."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        leftover.unlink(missing_ok=True)


def read_hashed(path: Path) -> bytes:
    """The bytes of a file written by `write_hashed`; DamagedFileError when it does not match its checksum."""
    content = reading.read_bytes(path)
    if sha256_of(content) != stored_hash(path):
        raise DamagedFileError("the file does not match its SHA-256", where=str(path), remedy="It is made again.")
    return content


def stored_hash(path: Path) -> str | None:
    """The SHA-256 noted beside `path`, or None where file or note is missing; StoreError where neither is a file."""
    try:
        if not reading.is_there(path):
            return None
        words = reading.read_bytes(note_of(path), MAX_NOTE_BYTES).decode("ascii").split()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return words[0] if words and len(words[0]) == 64 else None


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Writes a JSON object with its own SHA-256 inside (over the canonical form of everything else)."""
    body: Json = json.loads(json.dumps(dict(document)))  # keys as text and tuples as lists: as it is read back
    body.pop("sha256", None)
    write_bytes(path, _render({**body, "sha256": sha256_of(canonical_json(body))}))


def read_json(path: Path) -> Json:
    """Reads what `write_json` wrote, without the checksum; DamagedFileError when it does not match.

    FileNotFoundError where it is absent, StoreError where it cannot be read.
    """
    content = reading.read_bytes(path)
    try:
        document: Json = json.loads(content)
        spelled_so = _render(document) == content
        digest = document.pop("sha256")
        matches = sha256_of(canonical_json(document)) == digest
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise DamagedFileError("the file is not whole", where=str(path)) from error
    if not (spelled_so and matches):
        raise DamagedFileError("the file does not match its SHA-256", where=str(path))
    return document


def canonical_json(document: Any) -> bytes:
    """One spelling of a JSON value, for hashing: sorted keys, no spaces, NaN refused."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass")  # file names that are no UTF-8 come as lone surrogates


def _render(document: Any) -> bytes:
    """How `write_json` spells a document; `read_json` takes no other spelling, so that every changed bit is seen."""
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows cannot open folders; os.replace is as far as it goes there
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
