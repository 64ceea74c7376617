"""Projection beside the training: whatever the store does, it is told once, and the end of a command is not held up."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tracking_data import Laboratory, assert_mirrors, database

from harness.cli import tracker as tracking
from harness.cli.tracker import Tracker
from harness.errors import StoreError
from harness.tracking import parent, probes, projection, session
from harness.tracking.reader import ExperimentView
from harness.tracking.session import Asking
from harness.tracking.stores import StoreAddress, resolve_address

pytest_plugins = ["tracking_fixtures"]
WARNING = "warning: MLflow is not up to date"


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A store that never answers a question until the event is set; then it does what it should."""
    awake = threading.Event()
    real = tracking._finish

    def falls_silent(view: ExperimentView, address: StoreAddress, report: Path | None, asking: Asking) -> None:
        with asking():
            awake.wait()
        real(view, address, report, asking)

    monkeypatch.setattr(tracking, "_finish", falls_silent)
    monkeypatch.setattr(tracking, "SILENCE_S", 0.5)
    return awake


def test_a_store_that_falls_silent_is_given_up_and_told_once(
    lab: Laboratory, address: StoreAddress, silent: threading.Event, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.complete(0)
    tracker = Tracker(address)
    assert tracker.finish(lab.view(), None) == "failed"
    told = capsys.readouterr().err
    assert told.count(WARNING) == 1
    assert "the store has not answered for" in told and "harness sync FILE" in told
    assert tracker.finish(lab.view(), None) == "failed"  # the first try still holds the store's lock
    silent.set()
    assert _eventually(lambda: tracker.finish(lab.view(), None) == "current")
    assert_mirrors(lab)


def test_a_server_that_answers_too_slowly_is_given_up(
    lab: Laboratory, silent: threading.Event, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.complete(0)
    monkeypatch.setattr(tracking, "SILENCE_S", 60.0)
    monkeypatch.setattr(tracking, "SERVER_SHARE_S", 0.5)
    assert Tracker(resolve_address("http://127.0.0.1:9", lab.runs_dir)).finish(lab.view(), None) == "failed"
    assert "the store answers too slowly" in capsys.readouterr().err
    silent.set()


def test_a_locked_file_is_told_and_brought_up_to_date_later(
    lab: Laboratory, address: StoreAddress, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    lab.complete(0)
    monkeypatch.setattr(probes, "SQLITE_PATIENCE_S", 0.3)
    with closing(sqlite3.connect(database(lab), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert Tracker(address).finish(lab.view(), None) == "failed"
        told = capfd.readouterr().err
        assert told.count(WARNING) == told.count("\n") - 1 == 1
        assert "kept the SQLite file locked" in told
        other.execute("ROLLBACK")
    assert Tracker(address).finish(lab.view(), None) == "projected"
    assert Tracker(address).finish(lab.view(), None) == "current"
    assert_mirrors(lab)


def test_what_is_no_error_of_a_store_is_told_too(
    lab: Laboratory, address: StoreAddress, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.complete(0)

    def breaks(*_: object) -> None:
        raise KeyError("what a server of another kind leaves out")

    monkeypatch.setattr(tracking, "_finish", breaks)
    assert Tracker(address).finish(lab.view(), None) == "failed"
    assert "MLflow: KeyError" in capsys.readouterr().err


def test_beside_the_training_a_failure_is_noted_once_until_it_is_over(
    lab: Laboratory, address: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.complete(0)
    monkeypatch.setattr(tracking, "INTERVAL_S", 0.05)
    reasons = ["one", "two", "three"]
    tries = 0

    def read() -> ExperimentView:
        nonlocal tries
        tries += 1
        if reasons:
            raise StoreError(reasons.pop(0))
        return lab.view()

    tracker = Tracker(address)
    notes = set()
    with tracker.background(read, hurried=lambda: False):
        end = time.monotonic() + 60
        while not (tries > 4 and not tracker.note()) and time.monotonic() < end:
            notes.add(tracker.note())
            time.sleep(0.01)
    assert notes - {""} == {"MLflow is not up to date: one; training goes on, and it is tried again"}
    assert_mirrors(lab)


def test_a_command_that_is_asked_to_stop_while_it_waits_leaves_soon(
    lab: Laboratory, address: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "INTERVAL_S", 0.01)
    monkeypatch.setattr(tracking, "HURRIED_S", 0.4)
    begun, awake, asked = threading.Event(), threading.Event(), threading.Event()

    def read() -> ExperimentView:
        begun.set()
        awake.wait()
        return lab.view()

    with Tracker(address).background(read, asked.is_set):
        assert begun.wait(10)
        threading.Timer(0.5, asked.set).start()
        started = time.monotonic()
    try:
        assert 0.5 <= time.monotonic() - started < 5
    finally:
        awake.set()


@pytest.mark.faults
def test_our_own_work_is_no_silence_of_the_store(
    lab: Laboratory, address: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.complete(0)
    real = parent.parent_tags

    def slow(view: ExperimentView, summary: str = "") -> dict[str, str]:
        time.sleep(3.0)
        return real(view, summary)

    monkeypatch.setattr(parent, "parent_tags", slow)
    monkeypatch.setattr(tracking, "SILENCE_S", 2.0)
    tracker = Tracker(address)
    assert tracker.finish(lab.view(), None) == "projected"


def test_a_file_that_vanishes_meanwhile_ends_nothing(
    lab: Laboratory, address: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.complete(0)

    def vanished(*_: object) -> bool:
        raise FileNotFoundError(2, "No such file or directory", "samples/8.png")

    with monkeypatch.context() as patched:
        patched.setattr(projection, "is_up_to_date", vanished)
        assert Tracker(address).finish(lab.view(), None) == "projected"
    assert_mirrors(lab)


def test_files_that_were_uploaded_are_not_uploaded_again_by_the_next_call(
    lab: Laboratory, address: StoreAddress, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.complete(0)
    monkeypatch.setattr(session, "FILES_PER_UPLOAD", 1)
    real = session._staged
    names: list[str] = []

    def third_fails(*arguments: object) -> object:
        if len(names) == 2:
            names.append("refused")
            raise OSError("the server went away")
        names.append(str(arguments[1]))
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(session, "_staged", third_fails)
    assert Tracker(address).finish(lab.view(), None) == "failed"
    assert "the server went away" in capsys.readouterr().err
    assert Tracker(address).finish(lab.view(), None) == "projected"
    assert len(names) > 3 and len(set(names)) == len(names)
    assert_mirrors(lab)


def _eventually(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True
