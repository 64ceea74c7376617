"""Projection of an experiment's committed records into a tracking store. The run directories stay the truth.

Called by the parent process alone, under a lock beside the store's cursors. mlflow is imported only while projecting.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from harness.errors import StoreError, TrackingError
from harness.store.locks import held
from harness.store.presence import require_experiment_folder
from harness.tracking.children import Written, project_child
from harness.tracking.comparison import matches
from harness.tracking.connection import connected
from harness.tracking.content import child_content
from harness.tracking.cursor import ChildCursor, ParentCursor, read_cursor
from harness.tracking.parent import (
    attach,
    experiment_tags,
    is_attached,
    open_experiment,
    parent_status,
    project_parent,
    sweep,
    tags_of_parent,
)
from harness.tracking.reader import ExperimentView, read_experiment
from harness.tracking.session import Asking, Session, Stored, stored_children, watched
from harness.tracking.stores import StoreAddress

LOCK_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Projected:
    """What one call did. runs: that were projected; changed, rebuilt: runs of them; points: logged now.

    refused: why runs were left out whose files cannot be read or whose cursor cannot be written, by the runs' names.
    """

    runs: int
    changed: int
    rebuilt: int
    points: int
    refused: dict[str, StoreError]


def is_up_to_date(view: ExperimentView, address: StoreAddress, report_dir: Path | None = None) -> bool:
    """Whether `project` and `finish` would change nothing, told from files and cursors alone, without mlflow.

    An SQLite store is a file too: the runs that the cursors name are looked up in it. What a server holds is believed.
    """
    parent = read_cursor(ParentCursor, view.directory.tracking(address.fingerprint), address)
    if parent is None or (parent.status, parent.tags) != (parent_status(view), tags_of_parent(view, parent)):
        return False
    if parent.experiment_tags != experiment_tags(view, parent.experiment_id, parent.run_id):
        return False
    if not is_attached(view, parent, report_dir):
        return False
    expected = {parent.run_id: parent.status}
    for run in view.runs:
        if run.directory is None or not run.status.is_readable:
            continue  # what the store holds of a run that cannot be read stays as it is
        cursor = read_cursor(ChildCursor, run.directory.cursor(address.fingerprint), address)
        if cursor is None or not matches(cursor, child_content(view, run, run.directory, parent.run_id)):
            return False
        expected[cursor.run_id] = cursor.status
    return address.sqlite_path is None or _holds(address.sqlite_path, expected)


def project(view: ExperimentView, address: StoreAddress, asking: Asking = nullcontext) -> Projected:
    """Brings the store up to date with the committed part of every run in `view`; may be repeated at any time.

    While a run is worked on, cursors are believed; when none is, the store is asked what it holds. asking: makes the
    block around each question to the store. TrackingError where the store is away or refuses.
    """
    if not view.directory.root.is_dir():
        return Projected(0, 0, 0, 0, {})  # not prepared yet; or moved, which whoever works there says
    with _session(view, address, asking) as session:
        return _project(session, project_parent(session)).told()


def finish(
    view: ExperimentView,
    address: StoreAddress,
    report_dir: Path | None,
    asking: Asking = nullcontext,
) -> None:
    """Attaches the experiment's files and the report to the parent run, and ends whatever no live process trains."""
    with _session(view, address, asking) as session:
        parent = project_parent(session)
        sweep(session, parent, {}, None)
        attach(session, parent, report_dir)


def project_and_finish(
    view: ExperimentView,
    address: StoreAddress,
    report_dir: Path | None,
    asking: Asking = nullcontext,
) -> Projected:
    """`project` and `finish` in one, which ask the store less than one after the other."""
    if not view.directory.root.is_dir():
        return Projected(0, 0, 0, 0, {})
    with _session(view, address, asking) as session:
        parent = project_parent(session)
        done = _project(session, parent)
        changed = any(child.changed for child in done.written.values())
        sweep(session, parent, done.run_ids(), None if changed else done.stored)
        attach(session, parent, report_dir)
        return done.told()


@dataclass(frozen=True)
class _Children:
    """The children of one projection, by their keys. stored: what was in the store before, None where not asked."""

    written: dict[str, Written]
    refused: dict[str, StoreError]
    stored: Stored | None

    def run_ids(self) -> dict[str, str]:
        return {key: child.run_id for key, child in self.written.items()}

    def told(self) -> Projected:
        return Projected(
            runs=len(self.written),
            changed=sum(child.changed for child in self.written.values()),
            rebuilt=sum(child.rebuilt for child in self.written.values()),
            points=sum(child.points for child in self.written.values()),
            refused=self.refused,
        )


def _project(session: Session, parent: ParentCursor) -> _Children:
    stored = None if session.any_running else stored_children(session)
    written: dict[str, Written] = {}
    refused: dict[str, StoreError] = {}
    for run in session.view.runs:
        if run.directory is None or not run.status.is_readable:
            continue
        try:
            written[run.run.key] = project_child(session, run, run.directory, parent.run_id, stored)
        except StoreError as error:  # of this run's files; the others go on
            refused[run.run.name] = error
    return _Children(written, refused, stored)


@contextmanager
def _session(view: ExperimentView, address: StoreAddress, asking: Asking) -> Iterator[Session]:
    require_experiment_folder(view.directory)  # the lock makes its folder, and one that was moved must not come back
    lock = view.directory.tracking_lock(address.fingerprint)
    with held(lock, timeout_s=LOCK_PATIENCE_S) as mine:
        if not mine:
            raise TrackingError(
                "another process is projecting this experiment",
                where=str(lock),
                remedy="`harness sync FILE` brings the store up to date later.",
            )
        with connected(address) as client:
            client = watched(client, asking)
            place, looks = view.directory.root.parent, view.directory.looks
            fresh = read_experiment(view.plan, place, looks=looks)  # runs may have ended while we waited
            experiment_id = open_experiment(client, view.plan.experiment.name, address)
            yield Session(client, address, fresh, experiment_id, asking)


def _holds(database: Path, expected: dict[str, str]) -> bool:
    """Whether the SQLite store has all these undeleted runs (by id) in these states."""
    if not database.is_file():
        return False
    try:
        with closing(sqlite3.connect(f"file:{quote(database.as_posix())}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT run_uuid, status FROM runs WHERE lifecycle_stage = 'active'")
            found: dict[str, str] = dict(rows.fetchall())
    except sqlite3.Error:
        return False  # not MLflow's, or in use: projecting tells more
    return all(found.get(run_id) == status for run_id, status in expected.items())
