"""Progress of runs, read from the ends of their files while other processes write them."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import StoreError
from harness.execution.assignment import Assignment
from harness.execution.events import Event, Observer
from harness.store.reading import open_file
from harness.store.records import Record, decode
from harness.store.rundir import RunDirectory

TAIL_BYTES = 4096


class ProgressReader:
    """Tells `observe` of every new metrics record and every new evaluation of the runs it is asked to look at."""

    def __init__(self, observe: Observer) -> None:
        self._observe = observe
        self._steps: dict[str, int] = {}
        self._measured: dict[str, int] = {}

    def poll(self, assignments: Sequence[Assignment]) -> None:
        for assignment in assignments:
            steps = assignment.training.steps
            record = last_record(assignment.directory)
            if record and record["step"] != self._steps.get(assignment.key):
                self._steps[assignment.key] = record["step"]
                self._observe(Event("progress", assignment.name, record["step"], steps, record))
            measured = count_evaluations(assignment.directory)
            if measured != self._measured.setdefault(assignment.key, measured):
                self._measured[assignment.key] = measured
                self._observe(Event("measured", assignment.name, measured, steps))


def last_record(run: RunDirectory) -> Record | None:
    """The last whole record of metrics.jsonl, committed or not."""
    try:
        with open_file(run.metrics) as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            lines = file.read().splitlines(keepends=True)
    except (OSError, StoreError):
        return None
    return next((record for line in reversed(lines) if (record := decode(line))), None)


def count_evaluations(run: RunDirectory) -> int:
    try:
        return sum(1 for path in run.evaluations.iterdir() if path.suffix == ".json" and path.name[0] != ".")
    except OSError:
        return 0
