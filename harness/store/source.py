"""Copies of own source files: what runs import instead of the user's files, so that those may be edited at any time.

A copy lies as `runs/<experiment>/source/<sha8>/...`, FILE beside the files of its folder that it imports. The parent
process writes it before anything trains; a folder's files never change but in comments and layout, which its
SHA-256 leaves out. Modules that are not of the source are refused: they would run in place of others, seen by no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from harness.design.own_parts import OwnSource
from harness.errors import StoreError
from harness.store import atomic, reading
from harness.store.rundir import ExperimentDirectory


def keep_sources(directory: ExperimentDirectory, sources: Mapping[str, OwnSource]) -> dict[str, Path]:
    """Sees to it that every source has its copy, byte for byte; returns the copied FILE by FILE.

    Absolute paths. StoreError where the disk refuses, or where something else lies in a copy's place or beside it.
    """
    return {file: _keep(directory.source(source.sha256), source) for file, source in sources.items()}


def _keep(folder: Path, source: OwnSource) -> Path:
    for name, text in source.content:
        path, content = folder / name, text.encode("utf-8")
        if not reading.is_there(path) or reading.read_bytes(path) != content:
            atomic.make_folder(path.parent)
            atomic.write_bytes(path, content)
    _refuse_foreign_modules(folder, source)
    return folder / source.content[0][0]


def _refuse_foreign_modules(folder: Path, source: OwnSource) -> None:
    """StoreError for a module or folder that is not of the source; other files are never read."""
    files = {folder / name for name, _ in source.content}
    folders = {folder / parent for name, _ in source.content for parent in PurePosixPath(name).parents}
    for inner in folders:
        for path in sorted(inner.iterdir()):
            if path.is_dir():
                is_known = path.name == "__pycache__" or path in folders
            else:
                is_known = path in files or path.suffix.lower() != ".py"
            if not is_known:
                raise StoreError(
                    "is not of the own source that was copied here, and would be imported",
                    where=str(path),
                    remedy="Move it away, then run the same command again.",
                )
