"""Copies of own source files: what runs import instead of the user's files, so that those may be edited at any time.

A copy lies as `runs/<experiment>/source/<sha8>/...`, FILE beside the files of its folder that it imports. The parent
process writes it before anything trains; a folder's files never change but in comments and layout, which its
SHA-256 leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.design.own_parts import OwnSource
from harness.store import atomic, reading
from harness.store.rundir import ExperimentDirectory


def keep_sources(directory: ExperimentDirectory, sources: Mapping[str, OwnSource]) -> dict[str, Path]:
    """Sees to it that every source has its copy, byte for byte; returns the copied FILE by FILE.

    Absolute paths. StoreError where the disk refuses, or where something else lies in a copy's place.
    """
    return {file: _keep(directory.source(source.sha256), source) for file, source in sources.items()}


def _keep(folder: Path, source: OwnSource) -> Path:
    for name, text in source.content:
        path, content = folder / name, text.encode("utf-8")
        if not reading.is_there(path) or reading.read_bytes(path) != content:
            atomic.make_folder(path.parent)
            atomic.write_bytes(path, content)
    return folder / source.content[0][0]
