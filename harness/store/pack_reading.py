"""A pack from another machine, or from a stranger: opened, checked against its manifest, and laid out in a new folder.

Nothing of it is believed. Names, kinds, sizes and the free disk are looked at before a byte is unpacked; every file is
then counted and hashed while it is written, so that no entry gives more than its manifest says. Nothing is executed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from harness.errors import StoreError
from harness.store import atomic
from harness.store.pack_layout import MANIFEST, collisions, trouble_with_name
from harness.store.pack_manifest import COPY_AGAIN, MAX_BYTES, PackedFile, PackManifest, read_manifest
from harness.store.pack_pieces import CHUNK_BYTES
from harness.store.reading import open_file

MAX_RATIO = 100
"""Bytes unpacked for one packed; runs and reports come to about five."""
ALWAYS_ALLOWED_BYTES = 64 << 20
KEPT_FREE_BYTES = 64 << 20
"""Disk that unpacking leaves free."""

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError, KeyError)
"""What zipfile raises for files that are no whole zip: each stands for another damage."""


@dataclass(frozen=True)
class Pack:
    """A pack whose manifest and names were checked, open for `unpacked_into`."""

    path: Path
    archive: zipfile.ZipFile
    manifest: PackManifest


@contextmanager
def opened_pack(path: Path) -> Iterator[Pack]:
    """StoreError where `path` is no whole pack of this version, or holds what no pack holds."""
    where = str(path)
    try:
        file = open_file(path)
    except FileNotFoundError:
        raise StoreError("no such file", where=where) from None
    with file, _opened(file, where) as archive:
        yield Pack(path, archive, _checked_manifest(archive, where, os.fstat(file.fileno()).st_size))


def _opened(file: BinaryIO, where: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file)
    except OSError as error:
        raise _unreadable(where, error) from error
    except _BROKEN as error:
        raise _broken(where, error) from error


def _checked_manifest(archive: zipfile.ZipFile, where: str, size: int) -> PackManifest:
    try:
        manifest = _read_manifest(archive, where)
        _check_entries(archive.infolist(), manifest, where, size)
    except OSError as error:
        raise _unreadable(where, error) from error
    except _BROKEN as error:
        raise _broken(where, error) from error
    return manifest


def unpacked_into(pack: Pack, folder: Path) -> None:
    """Writes every file of the pack below `folder`, which is empty; StoreError where a byte is not as it should be.

    Small on the whole: one piece of one file in memory.
    """
    _require_room(pack, folder)
    for name, expected in pack.manifest.files.items():
        target = folder.joinpath(*name.split("/"))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                for chunk in _checked(pack, name, expected):
                    file.write(chunk)
        except OSError as error:
            raise StoreError(
                f"cannot write: {error.strerror or error}", where=str(target), remedy=atomic.DISK_REMEDY
            ) from error
    if os.name != "nt":
        os.sync()  # one for all files: what lands after this is on the disk


def _checked(pack: Pack, name: str, expected: PackedFile) -> Iterator[bytes]:
    """The content of one file, piece by piece; StoreError instead of a byte too many, or where it is another."""
    where, digest, left = f"{pack.path}: {name}", hashlib.sha256(), expected.size
    try:
        with pack.archive.open(name) as entry:
            while chunk := entry.read(min(CHUNK_BYTES, left + 1)):
                left -= len(chunk)
                if left < 0:
                    raise StoreError("holds more than its manifest says", where=where, remedy=COPY_AGAIN)
                digest.update(chunk)
                yield chunk
    except OSError as error:
        raise _unreadable(where, error) from error
    except _BROKEN as error:
        raise _broken(where, error) from error
    if left or digest.hexdigest() != expected.sha256:
        raise StoreError("does not match the SHA-256 in its manifest", where=where, remedy=COPY_AGAIN)


def _read_manifest(archive: zipfile.ZipFile, where: str) -> PackManifest:
    try:
        info = archive.getinfo(MANIFEST)
    except KeyError:
        raise StoreError(
            "the zip is none of `harness pack`: it has no manifest.json", where=where, remedy="Name another file."
        ) from None
    if info.file_size > MAX_BYTES or _is_bomb(info.file_size, info.compress_size):
        raise StoreError("its manifest.json is too large", where=where, remedy=COPY_AGAIN)
    _check_kind(info, where)
    with archive.open(info) as entry:
        content = entry.read(info.file_size + 1)
    return read_manifest(content, where)


def _check_entries(entries: Sequence[zipfile.ZipInfo], manifest: PackManifest, where: str, size: int) -> None:
    """StoreError for the first entry that no pack has, and where entries and manifest are not the same files."""
    if _is_bomb(manifest.size, size):
        raise StoreError(
            f"it would grow from {size} to {manifest.size} bytes, as no runs do", where=where, remedy=COPY_AGAIN
        )
    found: set[str] = set()
    for info in entries:
        name = info.filename
        if name in found:
            raise StoreError("holds a file twice", where=f"{where}: {name}", remedy=COPY_AGAIN)
        found.add(name)
        if name == MANIFEST:
            continue
        if what := trouble_with_name(name, manifest.experiment):
            raise StoreError(f"nothing was unpacked: {what}", where=f"{where}: {name}", remedy="Do not trust this zip.")
        _check_kind(info, where)
        declared = manifest.files.get(name)
        if declared is None or declared.size != info.file_size:
            what = "is not in its manifest" if declared is None else "is not as large as its manifest says"
            raise StoreError(what, where=f"{where}: {name}", remedy=COPY_AGAIN)
    if missing := [name for name in manifest.files if name not in found]:
        raise StoreError(f"{missing[0]} is missing in it", where=where, remedy=COPY_AGAIN)
    if clashing := collisions(manifest.files):
        raise StoreError("has the name of another file on some systems", where=f"{where}: {clashing[0]}")


def _check_kind(info: zipfile.ZipInfo, where: str) -> None:
    """StoreError for folders, links, devices, what is encrypted, and compression that no pack uses."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.is_dir() or kind not in (0, stat.S_IFREG) or info.filename != info.orig_filename:
        raise StoreError("is no ordinary file", where=f"{where}: {info.filename}", remedy="Do not trust this zip.")
    if info.flag_bits & 0x1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise StoreError("is encrypted, or compressed as no pack is", where=f"{where}: {info.filename}")


def _is_bomb(unpacked: int, packed: int) -> bool:
    return unpacked > ALWAYS_ALLOWED_BYTES + MAX_RATIO * packed


def _require_room(pack: Pack, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if pack.manifest.size + KEPT_FREE_BYTES > free:
        raise StoreError(
            f"unpacked it takes {pack.manifest.size / 2**20:.0f} MiB, and {free / 2**20:.0f} MiB are free",
            where=str(folder.parent),
            remedy="Free space, or choose another folder with --runs-dir.",
        )


def _unreadable(where: str, error: OSError) -> StoreError:
    return StoreError(f"cannot be read: {error.strerror or error}", where=where, remedy=COPY_AGAIN)


def _broken(where: str, error: Exception) -> StoreError:
    said = str(error).strip() or type(error).__name__
    return StoreError(f"the zip is not whole: {said:.200}", where=where, remedy=COPY_AGAIN)
