"""What kind of file system a folder lies on, and whether files can be written and locked there as runs need it."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.errors import StoreError
from harness.store import atomic, locks

NETWORK_KINDS = (
    "nfs", "cifs", "smb", "lustre", "gpfs", "afs", "9p", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "beegfs", "ceph",
    "fuse.ceph", "glusterfs", "fuse.glusterfs", "davfs", "fuse.juicefs", "orangefs", "wekafs",
)  # fmt: skip
"""How the names of file systems begin that other machines may share."""

LOCAL_LOCKS = ("nolock", "local_lock=all", "local_lock=flock", "localflock", "noflock", "nobrl")
"""Options under which a lock counts on one machine only, or is none."""

_PROBE_BYTES = 2**18


@dataclass(frozen=True)
class Mount:
    """kind: as the system names it, such as ext4 or nfs4."""

    point: Path
    kind: str
    options: frozenset[str]

    @property
    def is_network(self) -> bool:
        return self.kind.startswith(NETWORK_KINDS)

    @property
    def local_locks(self) -> str:
        """The option that keeps locks from other machines; empty where there is none."""
        return next((option for option in LOCAL_LOCKS if option in self.options), "")


def mount_of(folder: Path) -> Mount | None:
    """The file system of `folder`, by the system's own list; None where that does not name it."""
    absolute = folder.resolve()
    mounts = {Path(mount.mountpoint): mount for mount in psutil.disk_partitions(all=True)}
    for parent in (absolute, *absolute.parents):
        if parent in mounts:
            return Mount(parent, mounts[parent].fstype, frozenset(mounts[parent].opts.split(",")))
    return None


def existing(folder: Path) -> Path:
    """`folder`, or the nearest one above it that is there."""
    absolute = folder.absolute()
    return next(path for path in (absolute, *absolute.parents) if path.is_dir())


def free_inodes(folder: Path) -> int | None:
    """How many files may still be made; None where the file system does not count them."""
    if not hasattr(os, "statvfs"):
        return None
    found = os.statvfs(folder)
    return found.f_favail if found.f_files else None


def try_files(folder: Path) -> None:
    """Writes a file whole, replaces it and locks one, in a folder of its own that is gone afterwards.

    Raises StoreError for the first that does not work.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=".harness-doctor-", dir=folder) as own:
            _try_in(Path(own), folder)
    except OSError as error:
        raise StoreError(
            f"no file can be written: {error.strerror or error}",
            where=str(folder),
            remedy="Make room or make it writable, or choose another folder with --runs-dir.",
        ) from error


def _try_in(own: Path, folder: Path) -> None:
    path, lock = own / "file", own / "lock"
    atomic.write_bytes(path, bytes(_PROBE_BYTES))
    atomic.write_bytes(path, b"whole")
    if path.read_bytes() != b"whole":
        raise StoreError(
            "a file that was written anew still reads as before", where=str(folder), remedy="Use another folder."
        )
    with locks.held(lock, timeout_s=1.0):
        if not locks.is_held(lock):
            raise StoreError(
                "the file system gives one lock to two, and two processes could work on one run",
                where=str(folder),
                remedy="Choose a folder on a local disk, or on NFS with locks, with --runs-dir.",
            )
