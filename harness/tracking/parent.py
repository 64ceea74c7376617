"""The MLflow experiment and its parent run: made once, found again, ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import StoreError
from harness.store.heartbeat import is_worked_on
from harness.store.real_images import asked_real_images
from harness.store.rundir import RunDirectory
from harness.tracking.children import delete_child
from harness.tracking.content import FILES, NOTE, PARENT_RUN, MlflowStatus, parent_tags
from harness.tracking.cursor import (
    ChildCursor,
    LocalFile,
    ParentCursor,
    TableFile,
    changed_files,
    files_sha256,
    hashes_of,
    read_cursor,
    same_uploads,
    write_cursor,
)
from harness.tracking.description import NOTE_BEGINS, experiment_note, report_summary
from harness.tracking.reader import ExperimentView
from harness.tracking.report_files import NOTES, own_files
from harness.tracking.report_files import TABLES as REPORT_TABLES
from harness.tracking.session import (
    Session,
    Stored,
    active_runs,
    changed_tags,
    get_active,
    log_all,
    stored_children,
    upload,
)
from harness.tracking.shared_view import VIEW_TAG, shared_view
from harness.tracking.stores import StoreAddress

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

REPORT = "report"
"""Where the report lies among the parent's artifacts."""
TABLES = "tables"
"""Where the report's tables lie in the form that MLflow's pages show as tables."""
REPORT_IS = "harness.report"
"""Tag: whether the report among the artifacts tells of the runs as they are in the store."""
_CURRENT = "of these runs as they are"
_OLDER = "older than these runs: `harness report FILE` and `harness sync FILE` bring it up to date"
_LOGGED_TABLES = "mlflow.loggedArtifacts"
"""The tag by which MLflow's pages know tables."""


def open_experiment(client: MlflowClient, name: str, address: StoreAddress) -> str:
    """MLflow's id of the experiment `name`, made, or brought back from MLflow's trash, where needed.

    An experiment that keeps its artifacts elsewhere (the runs folder was moved or copied) is renamed and left alone.
    """
    found = client.get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    if found is not None and address.sqlite_path and address.artifacts:
        kept = str(found.artifact_location)
        if not kept.startswith(address.artifacts):
            client.rename_experiment(found.experiment_id, f"{name} (moved, {found.experiment_id})")
            found = None
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(name, artifact_location=address.artifacts))


def parent_status(view: ExperimentView) -> MlflowStatus:
    """RUNNING while any run is; a call that ends leaves nothing else running."""
    return "RUNNING" if any(run.status.state == "running" for run in view.runs) else "FINISHED"


def shared_files(view: ExperimentView) -> dict[str, LocalFile]:
    """Files of the whole experiment by their path among the parent's artifacts."""
    directory = view.directory
    asked = asked_real_images(view.plan, view.manifest)
    paths = [directory.file_copy, directory.manifest, *(directory.real_images(grid.resolution) for grid in asked)]
    return {path.relative_to(directory.root).as_posix(): LocalFile(path) for path in paths if path.is_file()}


def report_files(report_dir: Path | None) -> dict[str, LocalFile]:
    """Files of the report by their path among the parent's artifacts: what report.json names, and a person's notes.

    What else lies in its folder is a person's own, and is not shown to whoever shares the store.
    """
    if report_dir is None:
        return {}
    notes = [f"{NOTES}/{path.name}" for path in sorted((report_dir / NOTES).glob("*.md"))]
    names = [name for name in (*own_files(report_dir), *notes) if (report_dir / name).is_file()]
    files = {f"{REPORT}/{name}": LocalFile(report_dir / name) for name in names}
    tables = [report_dir / name for name in REPORT_TABLES if name in names]
    return files | {f"{TABLES}/{path.stem}.json": TableFile(path) for path in tables}


def project_parent(session: Session) -> ParentCursor:
    """Finds the parent run by cursor or by tags, or makes it; then its tags and its status."""
    path = session.view.directory.tracking(session.address.fingerprint)
    cursor = read_cursor(ParentCursor, path, session.address)
    found = get_active(session, cursor.run_id) if cursor else None
    if cursor is None or found is None:
        cursor = _adopt_or_create(session)
        write_cursor(path, cursor)
    tags, status = tags_of_parent(session.view, cursor), parent_status(session.view)
    log_all(session, cursor.run_id, tags=changed_tags(tags, cursor.tags))
    if cursor.status != status or found is None or found.info.status != status:
        write_cursor(path, replace(cursor, status="RUNNING"))
        _set_status(session, cursor.run_id, status)
    shared = experiment_tags(session.view, session.experiment_id, cursor.run_id)
    for name, value in changed_tags(shared, cursor.experiment_tags).items():
        if name == NOTE and _is_a_persons_note(session):
            continue
        session.client.set_experiment_tag(session.experiment_id, name, value)
    cursor = replace(cursor, tags=tags, status=status, experiment_tags=shared)
    write_cursor(path, cursor)
    return cursor


def _is_a_persons_note(session: Session) -> bool:
    """Whether somebody wrote a description of the experiment, which then stays."""
    there = session.client.get_experiment(session.experiment_id).tags.get(NOTE, "")
    return bool(there) and not there.startswith(NOTE_BEGINS)


def tags_of_parent(view: ExperimentView, cursor: ParentCursor) -> dict[str, str]:
    """With the summary of the report, as long as it is of these runs as they are."""
    is_current = bool(cursor.summary) and cursor.report_of == view.fingerprint()
    return parent_tags(view, cursor.summary if is_current else "")


def experiment_tags(view: ExperimentView, experiment_id: str, run_id: str) -> dict[str, str]:
    """Tags of MLflow's experiment: a note that says where to look, and the view of its runs beside each other."""
    return {NOTE: experiment_note(view, experiment_id, run_id), VIEW_TAG: shared_view(view)}


def attach(session: Session, cursor: ParentCursor, report_dir: Path | None) -> None:
    """Uploads what changed of the experiment's files and of the report; None leaves an earlier report where it is."""
    path = session.view.directory.tracking(session.address.fingerprint)
    files = shared_files(session.view) | report_files(report_dir)
    stale = [] if report_dir is None else [name for name in cursor.uploads if name not in files]
    if stale:
        _delete_artifacts(session, cursor.run_id, stale)
    kept = {name: entry for name, entry in cursor.uploads.items() if name not in stale}
    cursor = replace(cursor, uploads=kept)
    write_cursor(path, cursor)
    for uploads in upload(session, cursor.run_id, changed_files(files, cursor.uploads)):
        cursor = replace(cursor, uploads=cursor.uploads | uploads)
        write_cursor(path, cursor)
    cursor = _with_tags_of_files(session, cursor)
    write_cursor(path, _with_age_of_report(session, cursor, report_dir))


def _with_tags_of_files(session: Session, cursor: ParentCursor) -> ParentCursor:
    """Tells, in tags, which files all runs share, and which of the report's are tables."""
    told = _told_of_files(cursor)
    before = {FILES: cursor.files_sha256, _LOGGED_TABLES: cursor.tables}
    log_all(session, cursor.run_id, tags=changed_tags(told, before))
    return replace(cursor, files_sha256=told[FILES], tables=told[_LOGGED_TABLES])


def _with_age_of_report(session: Session, cursor: ParentCursor, report_dir: Path | None) -> ParentCursor:
    """Tells, in a tag, whether the runs have changed since the report came that lies among the artifacts.

    report_dir: where a new one lies, whose beginning goes into the run's description.
    """
    if report_dir is not None:
        cursor = replace(cursor, report_of=session.view.fingerprint(), summary=report_summary(report_dir))
    told = _age_of_report(session.view, cursor)
    tags = tags_of_parent(session.view, cursor)
    changed = changed_tags(tags | {REPORT_IS: told}, cursor.tags | {REPORT_IS: cursor.report_is})
    log_all(session, cursor.run_id, tags=changed)
    return replace(cursor, report_is=told, tags=tags)


def _age_of_report(view: ExperimentView, cursor: ParentCursor) -> str:
    """Empty where no report was attached."""
    if not any(name.startswith(f"{REPORT}/") for name in cursor.uploads):
        return ""
    return _CURRENT if cursor.report_of == view.fingerprint() else _OLDER


def _told_of_files(cursor: ParentCursor) -> dict[str, str]:
    """The tags that speak of files: of those that reports are made of, and of those that are tables."""
    shared = [name for name in cursor.uploads if name.partition("/")[0] not in (REPORT, TABLES)]
    tables = [{"path": name, "type": "table"} for name in sorted(cursor.uploads) if name.startswith(f"{TABLES}/")]
    return {
        FILES: files_sha256(hashes_of(cursor.uploads, shared)),
        _LOGGED_TABLES: json.dumps(tables) if tables else "",
    }


def is_attached(view: ExperimentView, cursor: ParentCursor, report_dir: Path | None) -> bool:
    """Whether the parent holds the experiment's files, and the report where one is given."""
    files = shared_files(view) | report_files(report_dir)
    if {FILES: cursor.files_sha256, _LOGGED_TABLES: cursor.tables} != _told_of_files(cursor):
        return False
    if report_dir is None:
        return not changed_files(files, cursor.uploads) and _age_of_report(view, cursor) == cursor.report_is
    is_told = cursor.report_is == _CURRENT and cursor.report_of == view.fingerprint()
    return is_told and same_uploads(files, cursor.uploads)


def sweep(session: Session, cursor: ParentCursor, run_ids: Mapping[str, str], stored: Stored | None) -> None:
    """Removes what a death between two calls made twice, and ends what no live process trains.

    run_ids: MLflow's ids of children by their keys, as far as they are known already; stored: what the store holds,
    None where it is to be asked.
    """
    for run in active_runs(session, "parent"):
        if run.info.run_id != cursor.run_id:
            session.client.delete_run(run.info.run_id)
    expected = dict(run_ids)
    for view in session.view.runs:
        if view.directory and view.run.key not in expected and (child := _child_cursor(session, view.directory)):
            expected[view.run.key] = child.run_id
    directories = session.view.directory.runs()
    for run_id, found in (stored_children(session) if stored is None else stored).items():
        directory = directories.get(found.key[:8])
        if expected.get(found.key, run_id) != run_id:
            delete_child(session, run_id)
            continue
        if found.status == "RUNNING" and not (directory and _is_worked_on(directory)):
            session.client.set_terminated(run_id, "KILLED")
            if directory and (child := _child_cursor(session, directory)):
                write_cursor(directory.cursor(session.address.fingerprint), replace(child, settled=False))
        if found.parent != cursor.run_id:
            session.client.set_tag(run_id, PARENT_RUN, cursor.run_id)


def _child_cursor(session: Session, directory: RunDirectory) -> ChildCursor | None:
    return read_cursor(ChildCursor, directory.cursor(session.address.fingerprint), session.address)


def _is_worked_on(directory: RunDirectory) -> bool:
    try:
        return is_worked_on(directory)
    except StoreError:  # no lock lies there that anybody could hold
        return False


def _adopt_or_create(session: Session) -> ParentCursor:
    """Looked for by tags first: a create that was retried, or whose cursor was lost, made one already."""
    found = active_runs(session, "parent")
    if found:
        run_id = found[0].info.run_id
    else:
        tags = parent_tags(session.view)
        name = session.view.plan.experiment.name
        run_id = session.client.create_run(session.experiment_id, tags=tags, run_name=name).info.run_id
    return ParentCursor(session.address.shown, session.address.fingerprint, session.experiment_id, run_id)


def _set_status(session: Session, run_id: str, status: MlflowStatus) -> None:
    if status == "RUNNING":
        session.client.update_run(run_id, status=status)
    else:
        session.client.set_terminated(run_id, status)


def _delete_artifacts(session: Session, run_id: str, names: list[str]) -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    uri = session.client.get_run(run_id).info.artifact_uri
    repository = get_artifact_repository(uri, tracking_uri=session.address.uri)
    for name in names:
        with session.asking():
            repository.delete_artifacts(name)  # type: ignore[no-untyped-call]
