"""One run written into the store: created, continued, or made anew where it does not continue what is there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.store.rundir import RunDirectory
from harness.tracking.committed import Committed, read_committed, record_metrics
from harness.tracking.content import FILES, ChildContent, child_content, reported
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
from harness.tracking.models import LoggedModels, complete_models, make_models
from harness.tracking.reader import RunView
from harness.tracking.session import Session, Stored, changed_tags, get_active, log_all, stored_children, upload

if TYPE_CHECKING:
    from mlflow.entities import Metric


@dataclass(frozen=True)
class Written:
    """What projecting one run did. run_id: MLflow's; points: logged now; rebuilt: the MLflow run was made anew."""

    run_id: str
    points: int = 0
    changed: bool = False
    rebuilt: bool = False


def matches(cursor: ChildCursor, content: ChildContent) -> bool:
    """Whether the store holds all of `content`, by what the cursor says."""
    return (
        cursor.settled
        and (cursor.offset, cursor.reach) == (content.offset, content.offset)
        and (not content.offset or cursor.reach_sha256 == content.sha256)
        and (cursor.params, cursor.tags, cursor.name) == (content.params, content.tags, content.name)
        and (cursor.status, cursor.ended_ms) == (content.status, content.ended_ms)
        and cursor.models == _roles(content)
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
    session: Session, view: RunView, directory: RunDirectory, parent: str, stored: Stored | None
) -> Written:
    """Brings the MLflow run of one run directory up to date.

    stored: what the store holds, None where it was not asked and cursors are believed.
    """
    content = child_content(session.view, view, directory, parent)
    path = directory.cursor(session.address.fingerprint)
    cursor = read_cursor(ChildCursor, path, session.address)
    if cursor and _is_untouched(cursor, stored) and matches(cursor, content):
        return Written(cursor.run_id)
    committed = read_committed(directory, content.offset)
    is_new, rebuilt = False, False
    if cursor is None or not _continues(session, cursor, content, committed, stored):
        rebuilt = _delete(session, content.key, cursor, stored)
        cursor, is_new = _create(session, content), True
    intent = replace(
        cursor,
        reach=len(committed.content),
        reach_sha256=committed.sha256(),
        points=_merged_points(cursor, content),
        settled=False,
    )
    write_cursor(path, intent)  # first: should this process die now, the next one knows what may be in the store
    intent = _with_files(session, intent, content, path)
    change = _Change(session, content, committed, cursor, intent, is_new)
    count = _log(change)
    _end(change)
    write_cursor(path, _settled(intent, content))
    return Written(cursor.run_id, count, changed=True, rebuilt=rebuilt)


def _is_untouched(cursor: ChildCursor, stored: Stored | None) -> bool:
    """Whether the store, if it was asked, says what the cursor says: nobody deleted the run or changed its status."""
    if stored is None:
        return True
    found = stored.get(cursor.run_id)
    return found is not None and found.status == cursor.status


@dataclass(frozen=True)
class _Change:
    """What is being written of one run. before, intent: the cursor as it was found, and as it is meanwhile."""

    session: Session
    content: ChildContent
    committed: Committed
    before: ChildCursor
    intent: ChildCursor
    is_new: bool

    @property
    def run_id(self) -> str:
        return self.intent.run_id

    def told(self) -> dict[str, str]:
        """Tags that are not surely in the store."""
        tags = self.content.tags | {FILES: _files_told(self.intent, self.content)}
        is_sure = self.is_new or self.before.settled
        return changed_tags(tags, self.before.tags | {FILES: self.before.files_sha256}) if is_sure else tags

    def fresh_points(self) -> set[tuple[str, int]]:
        """Aggregates of evaluations that are not surely in the store, by metric and step."""
        sure = self.before.points if self.before.settled else {}
        return {
            (key, int(step))
            for key, values in self.intent.points.items()
            for step in values
            if step not in sure.get(key, {})
        }


def _with_files(session: Session, intent: ChildCursor, content: ChildContent, path: Path) -> ChildCursor:
    """Uploads the files, and notes in the cursor at `path` what is there, for whoever goes on after a death."""
    for uploads in upload(session, intent.run_id, changed_files(content.files, intent.uploads)):
        intent = replace(intent, uploads=intent.uploads | uploads)
        write_cursor(path, intent)
    return intent


def _log(change: _Change) -> int:
    """Points, parameters and tags together, with the models that points name; returns how many points were new."""
    content, fresh = change.content, change.fresh_points()
    models = _models(change, fresh)
    records = record_metrics(change.committed.after(change.before.offset))
    points = _point_metrics(change, fresh, models.by_step)
    params, tags = ({} if change.before.settled else content.params), change.told()
    log_all(change.session, change.run_id, records + points, params, tags)
    if models.by_step:
        complete_models(change.session, change.run_id, models, is_new=change.is_new)
    return len(records) + len(fresh)


def _models(change: _Change, fresh: Collection[tuple[str, int]]) -> LoggedModels:
    """The run's logged models, where anything of them is not surely in the store; else none."""
    content, before = change.content, change.before
    steps = {step for step, _ in content.models.values()}
    is_sure = before.settled and before.models == _roles(content) and not any(step in steps for _, step in fresh)
    if is_sure or not content.models:
        return LoggedModels({}, ())
    return make_models(change.session, change.run_id, content, is_new=change.is_new)


def _end(change: _Change) -> None:
    """The run's name and its status."""
    client, content, before = change.session.client, change.content, change.before
    if content.name != before.name:
        client.update_run(change.run_id, name=content.name)
    if not content.is_running:
        client.set_terminated(change.run_id, content.status, end_time=content.ended_ms)
    elif not change.is_new and (before.status != "RUNNING" or not before.settled):
        client.update_run(change.run_id, status="RUNNING")


def _settled(intent: ChildCursor, content: ChildContent) -> ChildCursor:
    """The cursor that says that all of `content` was written."""
    return replace(
        intent,
        offset=intent.reach,
        name=content.name,
        tags=content.tags,
        status=content.status,
        ended_ms=content.ended_ms,
        models=_roles(content),
        settled=True,
        files_sha256=_files_told(intent, content),
    )


def _roles(content: ChildContent) -> dict[str, str]:
    return {digest: role for digest, (_, role) in content.models.items()}


def _continues(
    session: Session, cursor: ChildCursor, content: ChildContent, committed: Committed, stored: Stored | None
) -> bool:
    """Whether what the store may hold of this run is a beginning of what it should hold."""
    if committed.sha256(cursor.reach) != cursor.reach_sha256:
        return False  # rolled back, or trained again
    if cursor.params != content.params:
        return False  # cannot be changed in MLflow
    if not content.is_running and not cursor.uploads.keys() <= content.files.keys():
        return False  # files cannot be taken back one by one
    if not content.is_running and not _extends(content.points, cursor.points):
        return False  # more repeats, or another checkpoint
    return _is_there(session, cursor, stored)


def _is_there(session: Session, cursor: ChildCursor, stored: Stored | None) -> bool:
    """Whether the cursor's run is undeleted; one that is not among `stored` may bear another folder's name."""
    return (stored is not None and cursor.run_id in stored) or get_active(session, cursor.run_id) is not None


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


def _delete(session: Session, key: str, cursor: ChildCursor | None, stored: Stored | None) -> bool:
    """Deletes whatever the store holds of a run, with its logged models; True where there was something."""
    found = stored_children(session, key) if stored is None else stored
    stale = {run_id for run_id, run in found.items() if run.key == key}
    if cursor is not None and _is_there(session, cursor, found):
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


def _point_metrics(change: _Change, fresh: Collection[tuple[str, int]], models: Mapping[int, str]) -> list[Metric]:
    """Those of evaluations that are `fresh`, and all that belong to one of `models` (id by step)."""
    from mlflow.entities import Metric

    time_ms, run_id = change.committed.time_ms, change.run_id
    return [
        Metric(key, value, time_ms(int(step)), int(step), model_id=models.get(int(step)), run_id=run_id)
        for key, values in change.intent.points.items()
        for step, value in values.items()
        if (key, int(step)) in fresh or int(step) in models
    ]
