"""Projection into MLflow beside the training: in a thread, so that a slow or absent server stops nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.cli.console import say
from harness.errors import HarnessError, TrackingError
from harness.tracking.network_files import why_no_default_store
from harness.tracking.reader import ExperimentView
from harness.tracking.refusals import REMEDY
from harness.tracking.stores import StoreAddress, resolve_address

if TYPE_CHECKING:
    from harness.tracking.projection import Projected
    from harness.tracking.session import Asking

INTERVAL_S = 20.0
SILENCE_S = 15.0
"""How long the end of a command waits for a store that answers nothing."""
SERVER_SHARE_S = 60.0
"""How long the end of a command waits for a server that does answer; a file of its own gets the time that it needs."""
HURRIED_S = 2.0
"""How long a command that was asked to stop waits in all."""
_LOOK_S = 0.2


class Tracker:
    """address None: `--tracking-uri none`. Failures are told once, never stop training, and never hold up its end."""

    def __init__(self, address: StoreAddress | None) -> None:
        self._address = address
        self._told = ""
        self._questions = _Questions()
        self._share_left_s = SERVER_SHARE_S
        self._left: threading.Thread | None = None

    @classmethod
    def of(cls, tracking_uri: str | None, runs_dir: Path) -> Tracker:
        """The default store is left out, and that is told, where it would be SQLite on a network file system."""
        if tracking_uri == "none":
            return cls(None)
        if reason := why_no_default_store(tracking_uri, runs_dir):
            say(f"MLflow is left out: {reason}; `harness sync FILE --tracking-uri URI` brings the results into a store")
            return cls(None)
        return cls(resolve_address(tracking_uri, runs_dir))

    def note(self) -> str:
        """What the display should tell about tracking; empty when all is well."""
        return self._told

    @contextmanager
    def background(self, read: Callable[[], ExperimentView], hurried: Callable[[], bool]) -> Iterator[None]:
        """Projects what `read` gives every INTERVAL_S while the block runs.

        hurried: whether the command was asked to stop, so that the end of a projection is not waited for long; what it
        leaves undone, the next one does.
        """
        address = self._address
        if address is None:
            yield
            return
        ended = threading.Event()

        def loop() -> None:
            while not ended.wait(INTERVAL_S):
                self._note(self._attempt(address, lambda: _project(read(), address, self._questions)))

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
        # Not after an error or a second Ctrl-C: what is half-done then, the next projection does.
        self._await(thread, address, hurried)

    def finish(self, view: ExperimentView, report_dir: Path | None) -> Literal["current", "projected", "failed"]:
        """Projects the rest, attaches the report, ends the parent run. A failure is told, and is nobody's fault.

        A store that does not answer is given up after SILENCE_S, a slow server after SERVER_SHARE_S; what is left
        undone, the next call does.
        """
        address = self._address
        if address is None:
            return "current"
        if _is_up_to_date(view, address, report_dir):
            return "current"
        error = self._finish(view, address, report_dir)
        if error is None:
            self._told = ""
            return "projected"
        say(f"warning: MLflow is not up to date: {error}")
        return "failed"

    def _finish(self, view: ExperimentView, address: StoreAddress, report_dir: Path | None) -> HarnessError | None:
        failures: list[HarnessError | None] = []

        def work() -> None:
            failures.append(self._attempt(address, lambda: _finish(view, address, report_dir, self._questions)))

        if self._left and (error := self._await(self._left, address)):
            return error  # as long as it lives, it holds the store's lock
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return self._await(thread, address) or failures[0]

    def _attempt(self, address: StoreAddress, work: Callable[[], None]) -> HarnessError | None:
        """Does `work`; returns why it failed."""
        try:
            work()
        except HarnessError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever MLflow's libraries raise, training and its end go on
            text = address.scrub(f"{type(error).__name__}: {error}").splitlines()[0][:300]
            return TrackingError(f"MLflow: {text}", where=address.shown, remedy=REMEDY)
        return None

    def _note(self, error: HarnessError | None) -> None:
        """Keeps the first reason until the store is up to date, so that it is told once and not at every try."""
        if error is None:
            self._told = ""
        elif not self._told:
            self._told = f"MLflow is not up to date: {error.what}; training goes on, and it is tried again"

    def _await(
        self, thread: threading.Thread, address: StoreAddress, hurried: Callable[[], bool] = lambda: False
    ) -> TrackingError | None:
        """Waits for `thread` as long as is fair; returns why it is left to itself, until the process ends."""
        hurry_left_s = HURRIED_S
        while thread.is_alive():
            thread.join(timeout=_LOOK_S)
            self._share_left_s -= _LOOK_S
            hurry_left_s -= _LOOK_S if hurried() else 0.0
            if not thread.is_alive():
                break
            if hurry_left_s <= 0:
                what = "the command was asked to stop"
            elif self._questions.silent_s() > SILENCE_S:
                what = f"the store has not answered for {SILENCE_S:.0f} s"
            elif self._share_left_s <= 0 and address.sqlite_path is None:
                what = f"the store answers too slowly: not done {SERVER_SHARE_S:.0f} s after the last run"
            else:
                continue
            self._left = thread
            return TrackingError(what, where=address.shown, remedy=REMEDY)
        return None


class _Questions:
    """Since when the store owes an answer; written by the thread that projects, read by the one that waits.

    What is done between two questions, loading mlflow, reading runs, waiting for a lock, is no silence of the store.
    """

    def __init__(self) -> None:
        self._since: float | None = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self._since = time.monotonic()
        try:
            yield
        finally:
            self._since = None

    def silent_s(self) -> float:
        since = self._since
        return 0.0 if since is None else time.monotonic() - since


def _is_up_to_date(view: ExperimentView, address: StoreAddress, report_dir: Path | None) -> bool:
    from harness.tracking.projection import is_up_to_date

    try:
        return is_up_to_date(view, address, report_dir)
    except Exception:  # noqa: BLE001 - a file was removed meanwhile, or worse: projecting tells it, and ends nothing
        return False


def _project(view: ExperimentView, address: StoreAddress, asking: Asking) -> None:
    from harness.tracking.projection import project

    _tell(project(view, address, asking))


def _finish(view: ExperimentView, address: StoreAddress, report_dir: Path | None, asking: Asking) -> None:
    from harness.tracking.projection import project_and_finish

    _tell(project_and_finish(view, address, report_dir, asking))


def _tell(projected: Projected) -> None:
    """Raises the first of what was refused, once everything else is done."""
    for error in projected.refused.values():
        raise error
