"""report.json against the runs: whether every number and picture still has the checkpoint, evaluation and records that
it names, and every mean is that of its values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from harness.errors import StoreError
from harness.evaluation.protocol import Protocol
from harness.report.verify_runs import Doubt, Json, TracedRun, checked
from harness.report.verify_values import ValueTracer
from harness.store.manifest import require_own_folder
from harness.store.rundir import ExperimentDirectory, RunDirectory


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
    tracer = _Tracer(document)
    doubts = [*checked(tracer.find(runs.runs())), *checked(tracer.sources()), *checked(tracer.columns())]
    values = ValueTracer(document, tracer.runs)
    doubts += [*checked(values.numbers()), *checked(values.classes()), *checked(values.crossings())]
    unlike = tuple(dict.fromkeys(doubts))
    return Traced(unlike, len(tracer.runs), values.means, values.values, tracer.checkpoints, tracer.gone)


@dataclass
class _Tracer:
    document: Json
    runs: dict[str, TracedRun] = field(default_factory=dict)
    checkpoints: int = 0
    gone: int = 0

    def find(self, folders: Mapping[str, RunDirectory]) -> Iterator[Doubt]:
        """Every run's directory, by the first letters of its key, and what it says itself."""
        for run in self.document["runs"]:
            key = str(run["key"])
            if (folder := folders.get(key[:8])) and _is_own(folder, key):
                found = self.runs[key] = TracedRun(folder, run)
                for what in found.contradictions():
                    yield Doubt(found.name, what)
            elif run["checkpoints"] or run["state"] != "pending":
                yield Doubt(f"{run['cell']}, seed {run['seed']}", "its run is not among the runs")

    def sources(self) -> Iterator[Doubt]:
        """Every object that names a run and its checkpoint, or its records, wherever it stands."""
        checkpoints: set[tuple[str, int, str]] = set()
        records: dict[str, set[tuple[int, str]]] = {}
        for entry in _objects(self.document):
            if "checkpoint_sha256" in entry and "key" in entry:
                checkpoints.add((str(entry["key"]), int(entry["step"]), str(entry["checkpoint_sha256"])))
            elif "metrics_sha256" in entry and "key" in entry:
                shown = (int(entry["records_to_step"]), str(entry["metrics_sha256"]))
                records.setdefault(str(entry["key"]), set()).add(shown)
        for run in self.document["runs"]:
            checkpoints |= {(str(run["key"]), int(step), digest) for step, digest in run["checkpoints"].items()}
        known = {str(run["key"]) for run in self.document["runs"]}
        for key in sorted({key for key, _, _ in checkpoints} | records.keys()):
            if key not in known:
                yield Doubt("report.json", f"names the run {key[:16]}, which is not among its runs")
        for key, step, digest in sorted(checkpoints):
            yield from self._checkpoint(key, step, digest)
        for key, pairs in records.items():
            if run := self.runs.get(key):
                for step, _ in sorted(pairs - run.records_among(pairs)):
                    yield Doubt(run.name, f"its records up to step {step} are not those that the report was made of")

    def _checkpoint(self, key: str, step: int, digest: str) -> Iterator[Doubt]:
        run = self.runs.get(key)
        if run is None:
            return  # told already
        if run.committed.get(str(step)) != digest:
            yield Doubt(run.name, f"its checkpoint of step {step} is not the one that the report names")
            return
        found = run.file_sha256(step)
        self.gone += found is None
        self.checkpoints += found is not None
        if found not in (None, digest):
            yield Doubt(run.name, f"the file of its checkpoint of step {step} does not match its SHA-256")

    def columns(self) -> Iterator[Doubt]:
        for column in self.document["columns"]:
            if column["protocol"] and Protocol(**column["protocol"]).sha256 != column["protocol_sha256"]:
                yield Doubt("report.json", f"the protocol of {column['title']} does not match its SHA-256")


def _is_own(folder: RunDirectory, key: str) -> bool:
    try:
        require_own_folder(folder, key)
    except StoreError:
        return False
    return True


def _objects(value: object) -> Iterator[Json]:
    """Every object in a JSON value, however deep."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item)
