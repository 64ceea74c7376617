"""Folders that were there when work began, and that somebody moved or removed since.

Writers make the folders that they need, so without a look first a removed run would come back with one file in it.
"""

from __future__ import annotations

from pathlib import Path

from harness.errors import StoreError
from harness.store.rundir import ExperimentDirectory, RunDirectory


def require_run_folder(run: RunDirectory) -> None:
    """Before a piece of work on a run is written; StoreError where its folder is gone."""
    if not run.root.is_dir():
        raise folder_gone(run.root, "run")


def require_experiment_folder(directory: ExperimentDirectory) -> None:
    """Before work goes on in an experiment that was prepared; StoreError where its folder is gone."""
    if not directory.root.is_dir():
        raise folder_gone(directory.root, "experiment")


def folder_gone(folder: Path, owner: str) -> StoreError:
    """owner: whose folder it is, "run" or "experiment"."""
    return StoreError(
        f"the {owner}'s folder is gone: was it moved or removed while harness worked on it?",
        where=str(folder),
        remedy="Bring it back, or name its new place with --runs-dir; then run the same command again.",
    )
