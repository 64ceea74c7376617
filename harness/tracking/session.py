"""What the writers of one projection share, and the small steps that they take in the store."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from harness.store.atomic import sha256_of, write_bytes
from harness.tracking.content import DIRECTORY, KEY, ROLE, experiment_identity
from harness.tracking.cursor import LocalFile, UploadedFile, Uploads
from harness.tracking.reader import ExperimentView
from harness.tracking.stores import StoreAddress

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run
    from mlflow.tracking import MlflowClient

METRICS_PER_BATCH = 1000
"""MLflow's limit; with keys of at most 250 characters a batch also stays below its limit of 1 MB."""
PARAMS_PER_BATCH = 100
TAGS_PER_BATCH = 100
FILES_PER_UPLOAD = 20
"""What of them is in the store is noted after so many, so that a slow server gets there over several calls."""
_RUNS_PER_PAGE = 1000
_Item = TypeVar("_Item")

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


def log_metrics(session: Session, run_id: str, metrics: Sequence[Metric]) -> None:
    """Logs points in batches; one that is there already (same key, time, value, step) is left alone by the store."""
    for batch in _batches(metrics, METRICS_PER_BATCH):
        session.client.log_batch(run_id, metrics=batch, synchronous=True)


def log_params(session: Session, run_id: str, params: Mapping[str, str]) -> None:
    from mlflow.entities import Param

    for batch in _batches([Param(name, value) for name, value in params.items()], PARAMS_PER_BATCH):
        session.client.log_batch(run_id, params=batch, synchronous=True)


def log_tags(session: Session, run_id: str, tags: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Writes those of `tags` that were other `before`."""
    from mlflow.entities import RunTag

    changed = [RunTag(name, value) for name, value in tags.items() if before.get(name) != value]
    for batch in _batches(changed, TAGS_PER_BATCH):
        session.client.log_batch(run_id, tags=batch, synchronous=True)


def upload(session: Session, run_id: str, files: Mapping[str, LocalFile]) -> Iterator[Uploads]:
    """Uploads `files` under their names; gives, some files at a time, what each was like."""
    for batch in _batches(list(files.items()), FILES_PER_UPLOAD):
        yield {name: _upload(session, run_id, name, file) for name, file in batch}


def _upload(session: Session, run_id: str, name: str, file: LocalFile) -> UploadedFile:
    mtime_ns = file.path.stat().st_mtime_ns  # before reading: a later change shows
    content = file.content()
    folder, _, last = name.rpartition("/")
    with tempfile.TemporaryDirectory(prefix="harness-") as staging:
        write_bytes(Path(staging) / last, content)
        session.client.log_artifacts(run_id, staging, folder or None)
    return UploadedFile(len(content), mtime_ns, sha256_of(content))


def _batches(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
