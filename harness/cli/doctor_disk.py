"""The disk under the runs: room, files and locks as runs need them, and whether other machines may see it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness.cli.doctor_request import Request
from harness.errors import StoreError
from harness.store.checkup import Fact, Finding, Found
from harness.store.file_systems import Mount, existing, free_inodes, mount_of, try_files
from harness.store.machine_cache import CACHE_VARIABLE, cache_folder

GIB = 2**30
LITTLE, FULL = 2**30, 50 * 2**20
"""Bytes free below which a person should know, and below which a run would hardly begin."""
FEW_FILES, NO_FILES = 10_000, 100


def disk(request: Request) -> Iterator[Found]:
    """The folder of the runs, or the nearest one above it that is there; nothing is left behind."""
    runs = request.runs
    if runs.exists() and not runs.is_dir():
        yield Finding("disk", "problem", f"{runs} is a file, not a folder", "Choose another folder with --runs-dir.")
        return
    folder = existing(runs)
    mount = mount_of(folder)
    yield from _room(folder, mount)
    yield from _files(folder)
    if mount is not None:
        yield from _sharing(request, mount, folder)


def _room(folder: Path, mount: Mount | None) -> Iterator[Found]:
    free = shutil.disk_usage(folder).free
    yield Fact("free disk", f"{free / GIB:.0f} GiB")
    kind = f" ({mount.kind})" if mount and mount.kind else ""
    text = f"{size(free)} free for runs at {folder}{kind}"
    remedy = "Make room, or choose another folder with --runs-dir."
    if free < FULL:
        yield Finding("disk", "problem", text, remedy)
    elif free < LITTLE:
        yield Finding("disk", "note", text, remedy)
    else:
        yield Finding("disk", "ok", text)
    files = free_inodes(folder)
    if files is not None and files < FEW_FILES:
        yield Finding(
            "disk",
            "problem" if files < NO_FILES else "note",
            f"only {files:,} more files can be made at {folder}, however much room there is",
            "Remove files that nobody needs (`harness prune FILE` removes runs that the file no longer names), or "
            "choose another folder with --runs-dir.",
        )


def _files(folder: Path) -> Iterator[Finding]:
    try:
        try_files(folder)
    except StoreError as error:
        yield Finding("disk", "problem", f"{error.where}: {error.what}" if error.where else error.what, error.remedy)
    else:
        yield Finding("disk", "ok", "files are written whole there, and locks hold")


def _sharing(request: Request, mount: Mount, folder: Path) -> Iterator[Finding]:
    if not mount.is_network:
        if request.wants_other_machines:
            yield Finding(
                "storage",
                "note",
                f"{folder} lies on a disk of this machine ({mount.kind}), and runs would train on others",
                "Choose a folder that all of them see under the same path (--runs-dir), unless this machine is the "
                "only one or shares that disk itself.",
            )
        return
    if mount.local_locks:
        yield Finding(
            "storage",
            "problem" if request.wants_other_machines else "note",
            f"{mount.point} ({mount.kind}) is mounted with {mount.local_locks}: locks there hold on this machine only, "
            "and two machines could work on one run",
            "Mount it with locks, or work with this folder from one machine at a time.",
        )
    else:
        yield Finding("storage", "ok", f"{mount.point} is shared storage ({mount.kind})")


def temporary(_request: Request) -> Iterator[Finding]:
    """The system's folder for temporary files, where copies of own source files and locks of Ray lie."""
    try:
        folder = Path(tempfile.gettempdir())
    except FileNotFoundError:
        yield Finding(
            "disk", "problem", "no folder for temporary files is writable", "Name one with the variable TMPDIR."
        )
        return
    free = shutil.disk_usage(folder).free
    if free < FULL:
        yield Finding(
            "disk",
            "note",
            f"{size(free)} free for temporary files at {folder}",
            "Make room, or name another folder with the variable TMPDIR.",
        )


def cache(_request: Request) -> Iterator[Finding]:
    """Where measurements of this machine are kept between commands."""
    remedy = f"Name a writable folder with the variable {CACHE_VARIABLE}; without one, what suits this machine is not "
    remedy += "measured, and the usual choice is made."
    try:
        folder = cache_folder()
        try_files(existing(folder))
    except RuntimeError as error:
        yield Finding("disk", "note", f"this user has no folder for caches: {error}", remedy)
    except StoreError as error:
        yield Finding("disk", "note", f"the cache folder {folder} cannot be used: {error.what}", remedy)
    else:
        yield Finding("disk", "ok", f"cache folder {folder}")


def size(count: int) -> str:
    """`70.5 GiB`, `12 MiB`."""
    return f"{count / GIB:,.1f} GiB" if count >= GIB / 10 else f"{count / 2**20:.0f} MiB"
