"""One run written into the store: created, continued, or made anew where it does not continue what is there."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.store.reading import read_bytes
from harness.store.records import Record, scan
from harness.store.rundir import RunDirectory
from harness.tracking.content import FILES, ChildContent, child_content, milliseconds, reported
from harness.tracking.cursor import (
    ChildCursor,
    Points,
    changed_files,
    files_sha256,
    hashes_of,
    read_cursor,
    same_uploads,
    write_cursor,
)
from harness.tracking.models import log_models
from harness.tracking.reader import RunView
from harness.tracking.session import (
    Session,
    active_runs,
    get_active,
    log_metrics,
    log_params,
    log_tags,
    upload,
)

if TYPE_CHECKING:
    from mlflow.entities import Metric


@dataclass(frozen=True)
class Written:
    """What projecting one run did. points: logged now; rebuilt: the MLflow run was deleted and made anew."""

    points: int = 0
    changed: bool = False
    rebuilt: bool = False


@dataclass(frozen=True)
class Committed:
    """The committed part of metrics.jsonl, as far as it is whole: its bytes, its records, and where each ends."""

    content: bytes
    records: tuple[Record, ...]
    ends: tuple[int, ...]

    def sha256(self, end: int | None = None) -> str:
        """Of the first `end` bytes; of less where there is less, which is no beginning that was ever logged."""
        return hashlib.sha256(self.content[:end]).hexdigest()

    def after(self, offset: int) -> tuple[Record, ...]:
        """The records behind the first `offset` bytes."""
        return self.records[bisect_right(self.ends, offset) :]

    def time_ms(self, step: int) -> int:
        """When `step` was reached: the time of the last record up to it, the same at every call; 0 before any."""
        index = bisect_right(self.records, step, key=lambda record: int(record["step"]))
        return milliseconds(self.records[index - 1]["time"]) if index else 0


def _read_committed(directory: RunDirectory, offset: int) -> Committed:
    try:
        content = read_bytes(directory.metrics, offset)
    except FileNotFoundError:
        content = b""
    found = list(scan(content))
    end = found[-1][1] if found else 0
    return Committed(content[:end], tuple(record for record, _ in found), tuple(end for _, end in found))


def matches(cursor: ChildCursor, content: ChildContent) -> bool:
    """Whether the store holds all of `content`, by what the cursor says."""
    return (
        cursor.settled
        and (cursor.offset, cursor.reach) == (content.offset, content.offset)
        and (not content.offset or cursor.reach_sha256 == content.sha256)
        and (cursor.params, cursor.tags, cursor.name) == (content.params, content.tags, content.name)
        and (cursor.status, cursor.ended_ms) == (content.status, content.ended_ms)
        and cursor.models == {digest: role for digest, (_, role) in content.models.items()}
        and _same_points(cursor, content)
        and same_files(cursor, content)
        and cursor.files_sha256 == _files_told(cursor, content)
    )


def same_files(cursor: ChildCursor, content: ChildContent) -> bool:
    """Whether the files are up to date; what a run that is worked on lacks for now stays in the store."""
    if content.is_running:
        return not changed_files(content.files, cursor.uploads)
    return same_uploads(content.files, cursor.uploads)


def _files_told(cursor: ChildCursor, content: ChildContent) -> str:
    """What the tag `FILES` has to say once all of `content` is in the store."""
    return "" if content.is_running else files_sha256(hashes_of(cursor.uploads, reported(cursor.uploads)))


def project_child(
    session: Session, view: RunView, directory: RunDirectory, parent: str, known: dict[str, str] | None
) -> Written:
    """Brings the MLflow run of one run directory up to date.

    known: status by MLflow run id of all undeleted runs, None where the store was not asked.
    """
    content = child_content(session.view, view, directory, parent)
    path = directory.cursor(session.address.fingerprint)
    cursor = read_cursor(ChildCursor, path, session.address)
    untouched = known is None or (cursor is not None and known.get(cursor.run_id) == content.status)
    if cursor and untouched and matches(cursor, content):
        return Written()
    committed = _read_committed(directory, content.offset)
    rebuilt = False
    if cursor is None or not _continues(session, cursor, content, committed):
        rebuilt = _delete(session, content.key, cursor)
        cursor = _create(session, content)
        write_cursor(path, cursor)
    points = _merged_points(cursor, content)
    intent = replace(
        cursor, reach=len(committed.content), reach_sha256=committed.sha256(), points=points, settled=False
    )
    write_cursor(path, intent)  # first: should this process die now, the next one knows what may be in the store
    metrics = _record_metrics(committed.after(cursor.offset)) + _new_points(committed, cursor, points)
    log_metrics(session, cursor.run_id, metrics)
    intent = _with_files(session, intent, content, path)
    write_cursor(path, _finished(session, intent, content, committed))
    return Written(len(metrics), changed=True, rebuilt=rebuilt)


def _with_files(session: Session, intent: ChildCursor, content: ChildContent, path: Path) -> ChildCursor:
    """Uploads the files, and notes in the cursor at `path` what is there, for whoever goes on after a death."""
    for uploads in upload(session, intent.run_id, changed_files(content.files, intent.uploads)):
        intent = replace(intent, uploads=intent.uploads | uploads)
        write_cursor(path, intent)
    return intent


def _finished(session: Session, intent: ChildCursor, content: ChildContent, committed: Committed) -> ChildCursor:
    """Writes everything but points and files; returns the cursor that says so."""
    client, run_id = session.client, intent.run_id
    log_params(session, run_id, content.params)
    log_tags(session, run_id, content.tags, intent.tags)
    if content.name != intent.name:
        client.update_run(run_id, name=content.name)
    if content.models:
        log_models(session, run_id, content, committed.time_ms)
    told = _files_told(intent, content)
    if told != intent.files_sha256:
        client.set_tag(run_id, FILES, told)
    if content.is_running:
        client.update_run(run_id, status="RUNNING")
    else:
        client.set_terminated(run_id, content.status, end_time=content.ended_ms)
    return replace(
        intent,
        offset=intent.reach,
        name=content.name,
        tags=content.tags,
        status=content.status,
        ended_ms=content.ended_ms,
        models={digest: role for digest, (_, role) in content.models.items()},
        settled=True,
        files_sha256=told,
    )


def _continues(session: Session, cursor: ChildCursor, content: ChildContent, committed: Committed) -> bool:
    """Whether what the store may hold of this run is a beginning of what it should hold."""
    if committed.sha256(cursor.reach) != cursor.reach_sha256:
        return False  # rolled back, or trained again
    if cursor.params != content.params:
        return False  # cannot be changed in MLflow
    if not content.is_running and not cursor.uploads.keys() <= content.files.keys():
        return False  # files cannot be taken back one by one
    if not content.is_running and not _extends(content.points, cursor.points):
        return False  # more repeats, or another checkpoint
    return get_active(session, cursor.run_id) is not None


def _extends(points: Points, logged: Points) -> bool:
    return all(
        points.get(key, {}).get(step) == value for key, values in logged.items() for step, value in values.items()
    )


def _same_points(cursor: ChildCursor, content: ChildContent) -> bool:
    """While a run is worked on, values that were logged stay; they are compared when it is done."""
    return _merged_points(cursor, content) == cursor.points if content.is_running else cursor.points == content.points


def _merged_points(cursor: ChildCursor, content: ChildContent) -> Points:
    """What will be in the store: what is there, and what is new."""
    keys = {**cursor.points, **content.points}
    return {key: {**content.points.get(key, {}), **cursor.points.get(key, {})} for key in keys}


def _delete(session: Session, key: str, cursor: ChildCursor | None) -> bool:
    """Deletes whatever the store holds of a run, with its logged models; True where there was something."""
    stale = {run.info.run_id for run in active_runs(session, "child", key)}
    if cursor is not None and get_active(session, cursor.run_id) is not None:
        stale.add(cursor.run_id)
    for run_id in stale:
        delete_child(session, run_id)
    return bool(stale)


def delete_child(session: Session, run_id: str) -> None:
    """Deletes a run and its logged models, the run last, so that a second try finds both."""
    source = f"source_run_id = '{run_id}'"
    for model in session.client.search_logged_models([session.experiment_id], source):
        session.client.delete_logged_model(model.model_id)
    session.client.delete_run(run_id)


def _create(session: Session, content: ChildContent) -> ChildCursor:
    run = session.client.create_run(
        session.experiment_id, start_time=content.started_ms, tags=content.tags, run_name=content.name
    )
    return ChildCursor(
        address=session.address.shown,
        fingerprint=session.address.fingerprint,
        experiment_id=session.experiment_id,
        run_id=run.info.run_id,
        name=content.name,
        tags=content.tags,
        params=content.params,
    )


def _record_metrics(fresh: Iterable[Record]) -> list[Metric]:
    """The points of training records: every field whose name has a `/`."""
    from mlflow.entities import Metric

    return [
        Metric(name, value, milliseconds(record["time"]), record["step"])
        for record in fresh
        for name, value in record.items()
        if "/" in name and value is not None
    ]


def _new_points(committed: Committed, cursor: ChildCursor, points: Points) -> list[Metric]:
    """The points of evaluations that are not surely in the store."""
    from mlflow.entities import Metric

    sure = cursor.points if cursor.settled else {}
    new = [
        (key, int(step), value)
        for key, values in points.items()
        for step, value in values.items()
        if step not in sure.get(key, {})
    ]
    return [Metric(key, value, committed.time_ms(step), step) for key, step, value in new]
