"""Folders on network file systems, where SQLite is not safe: many machines share them, and locks there often lie."""

from __future__ import annotations

import os
from pathlib import Path

_NETWORK_FILE_SYSTEMS = ("nfs", "cifs", "smb", "lustre", "gpfs", "afs", "9p", "fuse.sshfs", "beegfs", "ceph")


def network_file_system(folder: Path) -> str:
    """The kind of network file system that `folder` is on, such as `nfs4`; empty on a local disk."""
    import psutil

    mounts = {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}
    kind = next((mounts[parent] for parent in (folder, *folder.parents) if parent in mounts), "")
    return kind if kind.startswith(_NETWORK_FILE_SYSTEMS) else ""


def why_no_default_store(tracking_uri: str | None, runs_dir: Path) -> str:
    """Why the default SQLite store beside the runs is left out; empty where it is not, or another store is named."""
    if tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"):
        return ""
    runs = runs_dir.resolve()
    kind = network_file_system(runs)
    return f"{runs} is on a network file system ({kind}), where SQLite is not safe" if kind else ""
