"""Projection into MLflow beside the training: in a thread, so that a slow or absent server stops nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from harness.cli.console import say
from harness.errors import HarnessError, TrackingError
from harness.tracking.reader import ExperimentView
from harness.tracking.stores import StoreAddress, resolve_address

INTERVAL_S = 20.0
JOIN_S = 60.0
HURRIED_JOIN_S = 2.0


class Tracker:
    """address None: `--tracking-uri none`. Failures are told once and never stop training."""

    def __init__(self, address: StoreAddress | None) -> None:
        self._address = address
        self._told = ""
        self._lock = threading.Lock()

    @classmethod
    def of(cls, tracking_uri: str | None, runs_dir: Path) -> Tracker:
        return cls(None if tracking_uri == "none" else resolve_address(tracking_uri, runs_dir))

    def note(self) -> str:
        """What the display should tell about tracking; empty when all is well."""
        return self._told

    def project(self, view: ExperimentView) -> bool:
        """Brings the store up to date; True when it worked."""
        if self._address is None:
            return True
        from harness.tracking.projection import project

        with self._lock:
            try:
                project(view, self._address)
            except TrackingError as error:
                self._told = f"MLflow: {error.what}; `harness sync` brings it up to date later"
                return False
            self._told = ""
            return True

    @contextmanager
    def background(self, read: Callable[[], ExperimentView], hurried: Callable[[], bool]) -> Iterator[None]:
        """Projects what `read` gives every INTERVAL_S while the block runs.

        hurried: whether the command was asked to stop, so that the end of a projection is not waited for long; what it
        leaves undone, the next one does.
        """
        if self._address is None:
            yield
            return
        ended = threading.Event()

        def loop() -> None:
            while not ended.wait(INTERVAL_S):
                try:
                    self.project(read())
                except HarnessError as error:  # a file that changes under the reader; the next look succeeds
                    self._told = f"MLflow: not projected: {error.what}"

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=HURRIED_JOIN_S if hurried() else JOIN_S)

    def finish(self, view: ExperimentView, report_dir: Path | None) -> Literal["current", "projected", "failed"]:
        """Projects the rest, attaches the report, ends the parent run. A failure is told, and is nobody's fault."""
        if self._address is None:
            return "current"
        from harness.tracking.projection import is_up_to_date

        if is_up_to_date(view, self._address, report_dir):
            return "current"
        from harness.tracking.projection import finish, project

        try:
            project(view, self._address)
            finish(view, self._address, report_dir)
        except TrackingError as error:
            say(f"warning: {error}")
            return "failed"
        return "projected"
