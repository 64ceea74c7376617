"""report.json against the runs: whether every number and picture still has the checkpoint, evaluation and records that
it names, and every mean is that of its values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from statistics import fmean
from typing import Any

from harness.analysis.frame import RunEvaluations, evaluation_frame
from harness.analysis.summary import measurements
from harness.errors import HarnessError, StoreError
from harness.evaluation.protocol import Protocol
from harness.store import atomic
from harness.store.attempts import read_attempts
from harness.store.commits import newest_commit
from harness.store.evaluations import Evaluation, read_evaluation
from harness.store.manifest import require_own_folder
from harness.store.reading import read_bytes
from harness.store.records import scan
from harness.store.rundir import ExperimentDirectory, RunDirectory

Json = dict[str, Any]


@dataclass(frozen=True)
class Doubt:
    """Something in a report that does not hold. file: of the report, or of a run."""

    file: str
    what: str


@dataclass(frozen=True)
class Traced:
    """numbers: means that were worked out again; values: measured values compared with their evaluations; checkpoints:
    files compared with their hash; gone: checkpoint files that do not lie there any more; runs: that were looked at."""

    doubts: tuple[Doubt, ...]
    runs: int
    numbers: int
    values: int
    checkpoints: int
    gone: int


def traced(document: Json, runs: ExperimentDirectory) -> Traced:
    """Looks up everything that report.json names in the run directories; reads every checkpoint that it names whole."""
    folders = runs.runs()
    tracer = _Tracer(document, {})
    doubts: list[Doubt] = []
    for found_in in (tracer.find(folders), tracer.sources(), tracer.columns(), tracer.numbers()):
        doubts += checked(found_in)
    unlike = tuple(dict.fromkeys(doubts))
    return Traced(unlike, len(tracer.runs), tracer.means, tracer.values, tracer.checkpoints, tracer.gone)


def checked(doubts: Iterator[Doubt]) -> list[Doubt]:
    """All `doubts`, and one more where looking for them met a report.json of another form."""
    found: list[Doubt] = []
    try:
        for doubt in doubts:
            found.append(doubt)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as error:
        found.append(Doubt("report.json", f"has another form than a report's: {type(error).__name__} {error}"))
    except HarnessError as error:
        found.append(Doubt("report.json", f"has another form than a report's: {error.what}"))
    return found


def _is_own(folder: RunDirectory, key: str) -> bool:
    try:
        require_own_folder(folder, key)
    except StoreError:
        return False
    return True


@dataclass
class _Run:
    """One run's directory and what of it was read."""

    directory: RunDirectory
    cell: str
    seed: int
    hashes: dict[int, str | None] = field(default_factory=dict)

    @cached_property
    def committed(self) -> dict[str, str]:
        commit = newest_commit(self.directory)
        return commit.checkpoints if commit else {}

    @cached_property
    def records(self) -> set[tuple[int, str]]:
        """(last step, SHA-256) of every beginning of the records, and of all that count."""
        try:
            content = read_bytes(self.directory.metrics)
        except FileNotFoundError:
            return set()
        ends = [(int(record["step"]), end) for record, end in scan(content)]
        commit = newest_commit(self.directory)
        whole = [commit.metrics_offset] if commit else []
        whole += [attempt.metrics_offset for attempt in read_attempts(self.directory) if attempt.metrics_offset]
        return _beginnings(content, ends, whole)

    def file_sha256(self, step: int) -> str | None:
        """Of the checkpoint's bytes, None where its file is gone."""
        if step not in self.hashes:
            try:
                self.hashes[step] = atomic.file_sha256(self.directory.checkpoint(step))
            except FileNotFoundError:
                self.hashes[step] = None
        return self.hashes[step]


def _beginnings(content: bytes, ends: list[tuple[int, int]], whole: list[int]) -> set[tuple[int, str]]:
    """A report names the last step that it shows and the hash of all records that counted when it was made."""
    running, offset, found = hashlib.sha256(), 0, set()
    totals = {}
    for step, end in ends:
        running.update(content[offset:end])
        offset = end
        found.add((step, running.hexdigest()))
        if end in whole:
            totals[end] = running.hexdigest()
    found |= {(step, digest) for digest in totals.values() for step, _ in ends}
    return found


@dataclass
class _Tracer:
    document: Json
    runs: dict[str, _Run]
    means: int = 0
    values: int = 0
    checkpoints: int = 0
    gone: int = 0

    def find(self, folders: Mapping[str, RunDirectory]) -> Iterator[Doubt]:
        """Every run's directory, by the first letters of its key."""
        for run in self.document.get("runs", []):
            key = str(run["key"])
            if (folder := folders.get(key[:8])) and _is_own(folder, key):
                self.runs[key] = _Run(folder, str(run["cell"]), int(run["seed"]))
            elif run["checkpoints"] or run["state"] != "pending":
                yield Doubt(f"{run['cell']}, seed {run['seed']}", "its run is not among the runs")

    def sources(self) -> Iterator[Doubt]:
        """Every object that names a run and its checkpoint, or its records, wherever it stands."""
        checkpoints: set[tuple[str, int, str]] = set()
        records: set[tuple[str, int, str]] = set()
        for entry in _objects(self.document):
            if "checkpoint_sha256" in entry and "key" in entry:
                checkpoints.add((str(entry["key"]), int(entry["step"]), str(entry["checkpoint_sha256"])))
            elif "metrics_sha256" in entry and "key" in entry:
                records.add((str(entry["key"]), int(entry["records_to_step"]), str(entry["metrics_sha256"])))
        for run in self.document.get("runs", []):
            checkpoints |= {(str(run["key"]), int(step), digest) for step, digest in run["checkpoints"].items()}
        for key, step, digest in sorted(checkpoints):
            yield from self._checkpoint(key, step, digest)
        for key, step, digest in sorted(records):
            if key not in self._keys:
                yield Doubt("report.json", f"names the run {key[:16]}, which is not among its runs")
            elif key in self.runs and (step, digest) not in self.runs[key].records:
                yield Doubt(self._name(key), f"its records up to step {step} are not those that the report was made of")

    @cached_property
    def _keys(self) -> set[str]:
        return {str(run["key"]) for run in self.document.get("runs", [])}

    def _name(self, key: str) -> str:
        return f"{self.runs[key].cell}, seed {self.runs[key].seed}"

    def _checkpoint(self, key: str, step: int, digest: str) -> Iterator[Doubt]:
        run = self.runs.get(key)
        if key not in self._keys:
            yield Doubt("report.json", f"names the run {key[:16]}, which is not among its runs")
        if run is None:
            return
        if run.committed.get(str(step)) != digest:
            yield Doubt(self._name(key), f"its checkpoint of step {step} is not the one that the report names")
            return
        found = run.file_sha256(step)
        self.gone += found is None
        self.checkpoints += found is not None
        if found not in (None, digest):
            yield Doubt(self._name(key), f"the file of its checkpoint of step {step} does not match its SHA-256")

    def columns(self) -> Iterator[Doubt]:
        for column in self.document["columns"]:
            if column["protocol"] and Protocol(**column["protocol"]).sha256 != column["protocol_sha256"]:
                yield Doubt("report.json", f"the protocol of {column['title']} does not match its SHA-256")

    def numbers(self) -> Iterator[Doubt]:
        """Every value beside its evaluation, every mean and spread worked out again, and the floors."""
        columns = {column["title"]: column for column in self.document["columns"]}
        floors: dict[str, list[list[float]]] = {title: [] for title in columns}
        for number in self.document["numbers"]:
            column = columns[number["column"]]
            where = f"{number['column']} of {number['cell']} at step {number['step']}"
            self.means += 1
            for source in number["sources"]:
                yield from self._values(column, source, where, floors[column["title"]])
            if not _follows(number, column):
                yield Doubt("report.json", f"{where}: the mean or a spread is not that of its values")
        for column in columns.values():
            floor = column["floor"]
            if floor and (floor["mean"] != fmean(floor["values"]) or floor["values"] not in floors[column["title"]]):
                yield Doubt("report.json", f"the floor of {column['title']} is not one that was measured")

    def _values(self, column: Json, source: Json, where: str, floors: list[list[float]]) -> Iterator[Doubt]:
        """floors: gets those that the evaluations hold."""
        run = self.runs.get(str(source["key"]))
        if run is None:
            return  # told already
        at = f"{where}, seed {run.seed}"
        if source["protocol_sha256"] != column["protocol_sha256"]:
            yield Doubt("report.json", f"{at}: measured under another protocol than its column's")
        evaluation = _evaluation(run, source)
        if evaluation is None:
            yield Doubt(at, "its evaluation is missing, damaged, or of another checkpoint")
            return
        values = evaluation.series(column["metric"], column["repeats"])[: len(source["values"])]
        self.values += len(values)
        if values != source["values"]:
            yield Doubt("report.json", f"{at}: the values are not those that were measured")
        floor = column["floor"]
        if floor and evaluation.floor:
            floors.append(evaluation.floor.values.get(floor["metric"], []))


def _objects(value: object) -> Iterator[Json]:
    """Every object in a JSON value, however deep."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item)


def _evaluation(run: _Run, source: Json) -> Evaluation | None:
    try:
        digest = str(source["checkpoint_sha256"])
        return read_evaluation(run.directory, int(source["step"]), str(source["protocol_sha256"]), digest)
    except StoreError:
        return None


def _follows(number: Json, column: Json) -> bool:
    """Whether a number's mean and spreads are those of its sources' values."""
    runs = [
        RunEvaluations(
            number["cell"],
            source["seed"],
            source["key"],
            {column["block"]: {number["step"]: {column["metric"]: source["values"]}}},
        )
        for source in number["sources"]
    ]
    found = measurements(evaluation_frame(runs))
    if len(found) != 1:
        return False
    told = (number["mean_over_seeds"], number["sd_over_seeds"], number["sd_over_repeats"])
    return told == (found[0].mean, found[0].sd_seeds, found[0].sd_repeats)
