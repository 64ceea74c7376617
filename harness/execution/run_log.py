"""A run's log.txt: free text of all its attempts, which never stands in the way of the work."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from harness.store.reading import refuse_foreign
from harness.store.rundir import RunDirectory

_log = logging.getLogger("harness")


class _Handler(logging.FileHandler):
    """Lines that the disk refuses are dropped: what matters of them is in attempts.jsonl and on the screen."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing, where the base class prints a traceback of its own to stderr."""

    def close(self) -> None:
        with suppress(OSError):  # what a full disk did not take is still in the buffer
            super().close()


@contextmanager
def log_file(run: RunDirectory) -> Iterator[None]:
    """Sends what this thread's work logs to the run's log.txt; OSError or StoreError where it cannot be opened."""
    refuse_foreign(run.log)
    handler = _Handler(run.log, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    thread = threading.get_ident()
    handler.addFilter(lambda record: record.thread == thread)
    level = _log.level
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    try:
        yield
    finally:
        _log.setLevel(level)
        _log.removeHandler(handler)
        handler.close()
