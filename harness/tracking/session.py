"""What the writers of one projection share, and the small steps that they take in the store."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from harness.store.atomic import sha256_of
from harness.tracking.content import DIRECTORY, KEY, PARENT_RUN, ROLE, experiment_identity
from harness.tracking.cursor import LocalFile, UploadedFile, Uploads
from harness.tracking.data_entries import DataEntry
from harness.tracking.reader import ExperimentView
from harness.tracking.stores import StoreAddress

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run
    from mlflow.tracking import MlflowClient

ENTITIES_PER_BATCH = 1000
"""MLflow's limit for points, parameters and tags together; with keys of at most 250 characters a batch also stays below
its limit of 1 MB."""
PARAMS_PER_BATCH = 100
TAGS_PER_BATCH = 100
FILES_PER_UPLOAD = 500
FILES_PER_UPLOAD_TO_A_SERVER = 10
"""A server takes them one by one. What it has is noted after so many, so that a slow one gets there at last."""
BYTES_PER_UPLOAD = 64 << 20
_RUNS_PER_PAGE = 1000

Asking = Callable[[], AbstractContextManager[None]]
"""Makes the block that stands around each single question to the store: who waits knows what the store owes."""


@dataclass(frozen=True)
class Session:
    """One projection of one experiment into one store, under the store's lock.

    client: each call of it is one question; experiment_id: MLflow's; asking: for what is asked past the client;
    directory: the tag that marks what comes from this runs folder.
    """

    client: MlflowClient
    address: StoreAddress
    view: ExperimentView
    experiment_id: str
    asking: Asking

    @property
    def directory(self) -> str:
        return experiment_identity(self.view.directory)

    @property
    def any_running(self) -> bool:
        return any(view.status.state == "running" for view in self.view.runs)


class _Watched:
    """An MlflowClient each call of which stands in a block of its own."""

    def __init__(self, client: MlflowClient, asking: Asking) -> None:
        self._client = client
        self._asking = asking

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call: Callable[..., Any] = getattr(self._client, name)

        @wraps(call)
        def ask(*arguments: Any, **options: Any) -> Any:
            with self._asking():
                return call(*arguments, **options)

        return ask


def watched(client: MlflowClient, asking: Asking) -> MlflowClient:
    """`client`, with every call inside a block that `asking` makes."""
    return cast("MlflowClient", _Watched(client, asking))


def active_runs(session: Session, role: str, key: str | None = None) -> list[Run]:
    """Undeleted MLflow runs of this runs folder, oldest first."""
    wanted = [f"tags.`{ROLE}` = '{role}'"] + ([f"tags.`{KEY}` = '{key}'"] if key else [])
    found: list[Run] = []
    token: str | None = None
    while True:
        page = session.client.search_runs(
            [session.experiment_id], " and ".join(wanted), max_results=_RUNS_PER_PAGE, page_token=token
        )
        found += page
        token = page.token
        if not token:
            break
    # The tag with a path is compared here: quotes in a folder's name are no matter for a query.
    ours = [run for run in found if run.data.tags.get(DIRECTORY) == session.directory]
    return sorted(ours, key=lambda run: (run.info.start_time, run.info.run_id))


@dataclass(frozen=True)
class StoredRun:
    """What a store says of an undeleted child run. key: of the run; parent: MLflow's id of its parent run."""

    status: str
    key: str
    parent: str


Stored = Mapping[str, StoredRun]
"""All undeleted child runs of this runs folder, oldest first, by MLflow's id."""


def stored_children(session: Session, key: str | None = None) -> Stored:
    """Asks the store for its child runs, of one run's key or of all."""
    return {
        run.info.run_id: StoredRun(run.info.status, run.data.tags.get(KEY, ""), run.data.tags.get(PARENT_RUN, ""))
        for run in active_runs(session, "child", key)
    }


def get_active(session: Session, run_id: str) -> Run | None:
    """The run with this id in this experiment, None where it is gone or deleted."""
    from mlflow.exceptions import MlflowException

    try:
        run = session.client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        run = None
    if run is None:
        return None
    same = run.info.experiment_id == session.experiment_id
    return run if same and run.info.lifecycle_stage == "active" else None


def log_all(
    session: Session,
    run_id: str,
    metrics: Sequence[Metric] = (),
    params: Mapping[str, str] = MappingProxyType({}),
    tags: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Logs all of it in as few calls as MLflow's limits allow.

    A point that is there already (same key, time, value, step) is left alone by the store, and so is a parameter.
    """
    from mlflow.entities import Param, RunTag

    points, pairs = list(metrics), [Param(name, value) for name, value in params.items()]
    told = [RunTag(name, value) for name, value in tags.items()]
    while points or pairs or told:
        some = pairs[:PARAMS_PER_BATCH], told[:TAGS_PER_BATCH]
        room = ENTITIES_PER_BATCH - len(some[0]) - len(some[1])
        session.client.log_batch(run_id, metrics=points[:room], params=some[0], tags=some[1], synchronous=True)
        points, pairs, told = points[room:], pairs[PARAMS_PER_BATCH:], told[TAGS_PER_BATCH:]


def log_datasets(session: Session, run_id: str, entries: Iterable[DataEntry]) -> None:
    """One call for all; an entry that the run has already is left alone by the store."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = [
        DatasetInput(
            Dataset(entry.name, entry.digest, "local", entry.source, profile=entry.profile),
            tags=[InputTag("mlflow.data.context", entry.context)],
        )
        for entry in entries
    ]
    if inputs:
        session.client.log_inputs(run_id, inputs)


def changed_tags(tags: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """Those of `tags` that were other `before`."""
    return {name: value for name, value in tags.items() if before.get(name) != value}


def upload(session: Session, run_id: str, files: Mapping[str, LocalFile]) -> Iterator[Uploads]:
    """Uploads `files` under their names, a tree of several in each call; gives what each of them was like."""
    is_local = (session.address.artifacts or "").startswith("file:")
    most = FILES_PER_UPLOAD if is_local else FILES_PER_UPLOAD_TO_A_SERVER
    waiting = list(files.items())
    while waiting:
        with tempfile.TemporaryDirectory(prefix="harness-") as staging:
            uploads: Uploads = {}
            size = 0
            while waiting and len(uploads) < most and size < BYTES_PER_UPLOAD:
                name, file = waiting.pop(0)
                uploads[name] = _staged(Path(staging), name, file)
                size += uploads[name].size
            session.client.log_artifacts(run_id, staging)
        yield uploads


def _staged(staging: Path, name: str, file: LocalFile) -> UploadedFile:
    mtime_ns = file.path.stat().st_mtime_ns  # before reading: a later change shows
    content = file.content()
    for place, part in {name: content, **file.beside(name, content)}.items():
        (staging / place).parent.mkdir(parents=True, exist_ok=True)
        (staging / place).write_bytes(part)
    return UploadedFile(len(content), mtime_ns, sha256_of(content))
