"""One run written into the store: created, continued, or made anew where it does not continue what is there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.store.rundir import RunDirectory
from harness.tracking.committed import Committed, read_committed, record_metrics
from harness.tracking.comparison import continues, dataset_words, files_told, matches, merged_points, model_roles
from harness.tracking.content import FILES, ChildContent, child_content
from harness.tracking.cursor import (
    ChildCursor,
    changed_files,
    read_cursor,
    write_cursor,
)
from harness.tracking.models import LoggedModels, complete_models, make_models
from harness.tracking.reader import RunView
from harness.tracking.session import (
    Session,
    Stored,
    changed_tags,
    get_active,
    log_all,
    log_datasets,
    stored_children,
    upload,
)
from harness.tracking.step_images import with_images

if TYPE_CHECKING:
    from mlflow.entities import Metric


@dataclass(frozen=True)
class Written:
    """What projecting one run did. run_id: MLflow's; points: logged now; rebuilt: the MLflow run was made anew."""

    run_id: str
    points: int = 0
    changed: bool = False
    rebuilt: bool = False


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
    committed, samples = read_committed(directory.metrics, content.offset), read_committed(directory.system)
    placed = with_images(content, cursor.uploads if cursor else {}, committed.time_ms)
    is_new, rebuilt = False, False
    if cursor is None or not (continues(cursor, placed, committed, samples) and _is_there(session, cursor, stored)):
        rebuilt = _delete(session, content.key, cursor, stored)
        cursor, is_new, placed = _create(session, content), True, with_images(content, {}, committed.time_ms)
    intent = replace(
        cursor,
        reach=committed.size,
        reach_sha256=committed.sha256(),
        samples_reach=samples.size,
        samples_sha256=samples.sha256(),
        points=merged_points(cursor, content),
        settled=False,
    )
    write_cursor(path, intent)  # first: should this process die now, the next one knows what may be in the store
    intent = _with_files(session, intent, placed, path)
    change = _Change(session, content, committed, samples, cursor, intent, is_new)
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
    """What is being written of one run.

    samples: those of its process; before, intent: the cursor as it was found, and as it is meanwhile.
    """

    session: Session
    content: ChildContent
    committed: Committed
    samples: Committed
    before: ChildCursor
    intent: ChildCursor
    is_new: bool

    @property
    def run_id(self) -> str:
        return self.intent.run_id

    def told(self) -> dict[str, str]:
        """Tags that are not surely in the store."""
        tags = self.content.tags | {FILES: files_told(self.intent, self.content)}
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
    content, before, fresh = change.content, change.before, change.fresh_points()
    models = _models(change, fresh)
    records = record_metrics([*change.committed.after(before.offset), *change.samples.after(before.samples)])
    metrics = records + _point_metrics(change, fresh, models.by_step)
    log_all(change.session, change.run_id, metrics, {} if before.settled else content.params, change.told())
    if set(dataset_words(content)) - set(before.datasets if before.settled else ()):
        log_datasets(change.session, change.run_id, content.datasets)
    if models.by_step:
        complete_models(change.session, change.run_id, models, is_new=change.is_new)
    return len(records) + len(fresh)


def _models(change: _Change, fresh: Collection[tuple[str, int]]) -> LoggedModels:
    """The run's logged models, where anything of them is not surely in the store; else none."""
    content, before = change.content, change.before
    steps = {step for step, _ in content.models.values()}
    is_sure = before.settled and before.models == model_roles(content) and not any(step in steps for _, step in fresh)
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
        samples=intent.samples_reach,
        datasets=dataset_words(content),
        name=content.name,
        tags=content.tags,
        status=content.status,
        ended_ms=content.ended_ms,
        models=model_roles(content),
        settled=True,
        files_sha256=files_told(intent, content),
    )


def _is_there(session: Session, cursor: ChildCursor, stored: Stored | None) -> bool:
    """Whether the cursor's run is undeleted; one that is not among `stored` may bear another folder's name."""
    return (stored is not None and cursor.run_id in stored) or get_active(session, cursor.run_id) is not None


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
