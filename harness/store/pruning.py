"""Run folders that an experiment no longer names: which they are, and their removal. Nothing else is ever removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from harness.errors import StoreError
from harness.store.heartbeat import is_beating
from harness.store.locks import held
from harness.store.manifest import read_run_manifest
from harness.store.rundir import RUN_NAME, ExperimentDirectory, RunDirectory


@dataclass(frozen=True)
class Leftovers:
    """runs: folders that may be removed; foreign: folders called like runs that do not say that they are one."""

    runs: tuple[RunDirectory, ...]
    foreign: tuple[Path, ...]


def find_leftovers(directory: ExperimentDirectory, name: str, keys: Collection[str]) -> Leftovers:
    """What of the folders in `directory` belongs to none of `keys` (64 hex digits each), by name.

    Only a real folder whose run.json is whole, names the experiment `name` and has the key that the folder's name ends
    with is a run. StoreError where `directory` cannot be read.
    """
    named = {key[:8] for key in keys}
    runs: list[RunDirectory] = []
    foreign: list[Path] = []
    for folder in _folders(directory.root):
        match = RUN_NAME.fullmatch(folder.name)
        if match is None or match[1] in named:
            continue
        run = RunDirectory(folder)
        if _is_run(run, name, match[1]):
            runs.append(run)
        else:
            foreign.append(folder)
    return Leftovers(tuple(runs), tuple(foreign))


def remove_run(run: RunDirectory) -> bool:
    """Removes a run's folder; False where a live process, or a job elsewhere, works on it.

    StoreError with what could not be removed.

    run.json goes last, so that a removal that was stopped in the middle is found and done by the next one.
    """
    try:
        with held(run.lock, timeout_s=0.0) as mine:
            if not mine or is_beating(run):
                return False
            for entry in list(os.scandir(run.root)):
                if entry.name not in (run.run_json.name, run.lock.name):
                    _remove(entry)
            if os.name != "nt":  # Windows removes no file that is open, as the lock is
                shutil.rmtree(run.root)
        if os.name == "nt":
            shutil.rmtree(run.root)
    except OSError as error:
        raise StoreError(
            f"cannot be removed: {error.strerror or error}",
            where=str(error.filename or run.root),
            remedy="Is the folder writable? The same command goes on from there.",
        ) from error
    return True


def _remove(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path)
    else:
        Path(entry.path).unlink()


def _folders(root: Path) -> list[Path]:
    """Folders, and links to folders, in `root`, by name."""
    try:
        return sorted(Path(entry.path) for entry in os.scandir(root) if entry.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror or error}", where=str(root)) from error


def _is_run(run: RunDirectory, experiment: str, key8: str) -> bool:
    try:
        if run.root.resolve() != run.root.parent.resolve() / run.root.name:
            return False  # a link, or a junction of Windows
        manifest = read_run_manifest(run)
    except (StoreError, OSError):
        return False
    return manifest is not None and manifest.experiment == experiment and str(manifest.key).startswith(key8)
