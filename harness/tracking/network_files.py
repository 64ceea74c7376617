"""Folders on network file systems, where SQLite is not safe: many machines share them, and locks there often lie."""

from __future__ import annotations

import os
from pathlib import Path


def network_file_system(folder: Path) -> str:
    """The kind of network file system that `folder` is on, such as `nfs4`; empty on a local disk."""
    from harness.store.file_systems import mount_of

    mount = mount_of(folder)
    return mount.kind if mount and mount.is_network else ""


def why_no_default_store(tracking_uri: str | None, runs_dir: Path) -> str:
    """Why the default SQLite store beside the runs is left out; empty where it is not, or another store is named."""
    if tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"):
        return ""
    runs = runs_dir.resolve()
    kind = network_file_system(runs)
    return f"{runs} is on a network file system ({kind}), where SQLite is not safe" if kind else ""
