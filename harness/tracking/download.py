"""An experiment out of a tracking store: the files that a report is made of, laid out as run directories.

The other way round than `projection`. Weights stay where they were trained; their hashes come with the commits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.design.expansion import Plan, Run
from harness.errors import DamagedFileError, TrackingError
from harness.store import atomic
from harness.store.rundir import ExperimentDirectory, RunDirectory, experiment_directory
from harness.tracking.connection import connected
from harness.tracking.content import COMMIT, DIRECTORY, FILES, IMAGES, KEY, LOG, PARENT_RUN, ROLE, experiment_identity
from harness.tracking.cursor import files_sha256
from harness.tracking.parent import REPORT, TABLES
from harness.tracking.stores import StoreAddress

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun
    from mlflow.tracking import MlflowClient

_SYNC = "`harness sync FILE`, where the runs lie, brings the store up to date."
_AT_ONCE = 8
_RUNS_PER_PAGE = 1000
_NO_PART_OF_IT = frozenset({LOG, IMAGES, REPORT, TABLES})
"""Artifacts that no report is made of."""


@contextmanager
def downloaded(plan: Plan, address: StoreAddress, meant: ExperimentDirectory) -> Iterator[Path]:
    """A runs folder with what the store at `address` holds of `plan`'s runs, for as long as the block lasts.

    Runs that the store does not know are left out, as runs that have not started. meant: whose runs are taken where the
    store has them of several folders. TrackingError where the store is away, does not know the experiment, or holds
    only a part of a run's files: while it is worked on, or since a projection was cut short.
    """
    with tempfile.TemporaryDirectory(prefix="harness-") as temporary:
        with _reading(address) as client:
            _download(client, address, plan, (meant, Path(temporary)))
        yield Path(temporary)


@contextmanager
def _reading(address: StoreAddress) -> Iterator[MlflowClient]:
    """A client of a store that is there; nothing is created."""
    path = address.sqlite_path
    if path is not None and not (path.is_file() and path.stat().st_size):
        raise TrackingError("there is no MLflow store", where=address.shown, remedy=_SYNC)
    with connected(address) as client:
        yield client


def _download(
    client: MlflowClient, address: StoreAddress, plan: Plan, folders: tuple[ExperimentDirectory, Path]
) -> None:
    """folders: the experiment's own one, and the runs folder that is filled."""
    meant, runs_dir = folders
    name = plan.experiment.name
    experiment = client.get_experiment_by_name(name)
    if experiment is None or experiment.lifecycle_stage != "active":
        raise TrackingError(f"MLflow holds no experiment {name!r}", where=address.shown, remedy=_SYNC)
    parent = _parent(_search(client, experiment.experiment_id, {ROLE: "parent"}), address, meant)
    target = experiment_directory(runs_dir, name, has_weights=False)
    _fetch(client, parent, target.root, f"the experiment {name!r}")
    children = _search(client, experiment.experiment_id, {ROLE: "child", PARENT_RUN: parent.info.run_id})
    by_key = {child.data.tags.get(KEY): child for child in children}

    def fetch(run: Run) -> None:
        if child := by_key.get(run.key):
            directory = target.new_run(run.cell.name, run.seed, run.key)
            _fetch(client, child, directory.root, run.name)
            _lay_commit(directory, address, run.name)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in pool.map(fetch, plan.runs):
            pass


def _search(client: MlflowClient, experiment_id: str, tags: dict[str, str]) -> list[MlflowRun]:
    wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    found: list[MlflowRun] = []
    token: str | None = None
    while True:
        page = client.search_runs([experiment_id], wanted, max_results=_RUNS_PER_PAGE, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _parent(found: Sequence[MlflowRun], address: StoreAddress, meant: ExperimentDirectory) -> MlflowRun:
    """The parent of the runs in the folder that is meant; else the only one."""
    by_folder = {run.data.tags.get(DIRECTORY, ""): run for run in found}
    own = by_folder.get(experiment_identity(meant))
    if own is not None:
        return own
    if not found:
        raise TrackingError("MLflow holds no parent run of the experiment", where=address.shown, remedy=_SYNC)
    if len(found) > 1:
        raise TrackingError(
            f"MLflow holds this experiment from several folders: {', '.join(sorted(by_folder))}",
            where=address.shown,
            remedy="Make the report on one of these machines, with --runs-dir as it was there.",
        )
    return found[0]


def _fetch(client: MlflowClient, run: MlflowRun, folder: Path, what: str) -> None:
    """Downloads what a report needs of one MLflow run's artifacts, all of it or not at all."""
    told = run.data.tags.get(FILES, "")
    if not told:
        raise TrackingError(
            f"the files of {what} are not all in MLflow",
            where=f"MLflow run {run.info.run_id}",
            remedy=f"They come when no process works on them any more. {_SYNC}",
        )
    atomic.make_folder(folder)
    run_id = run.info.run_id
    for entry in client.list_artifacts(run_id):
        if entry.path not in _NO_PART_OF_IT:
            client.download_artifacts(run_id, entry.path, str(folder))
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    if files_sha256({name: atomic.file_sha256(folder / name) for name in names}) != told:
        raise TrackingError(
            f"the files of {what} in MLflow are not those that were put there last",
            where=f"MLflow run {run_id}",
            remedy=f"If a process works on them, wait for its end. {_SYNC}",
        )


def _lay_commit(directory: RunDirectory, address: StoreAddress, name: str) -> None:
    """The newest commit, under the name that its step gives it; a run that never reached one has none."""
    path = directory.root / COMMIT
    try:
        step = int(atomic.read_json(path)["step"])
    except FileNotFoundError:
        return
    except (DamagedFileError, KeyError, TypeError, ValueError):
        raise TrackingError(f"the commit of {name} in MLflow is damaged", where=address.shown, remedy=_SYNC) from None
    directory.states.mkdir()
    path.rename(directory.commit(step))
