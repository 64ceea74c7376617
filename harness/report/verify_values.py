"""The numbers of report.json against the evaluations: every value, and every mean, spread and count made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import fmean, stdev

from harness.analysis.frame import RunEvaluations, evaluation_frame
from harness.analysis.summary import measurements
from harness.report.standard_errors import error_of
from harness.report.verify_runs import Doubt, Json, TracedRun
from harness.store.evaluations import Evaluation

_REPORT = "report.json"


@dataclass
class ValueTracer:
    """runs: by key, those that are at hand. means, values: that were compared. floors: by column, those that the
    evaluations hold; seen: (column, key, step) of every value in the report."""

    document: Json
    runs: Mapping[str, TracedRun]
    means: int = 0
    values: int = 0
    floors: dict[str, list[list[float]]] = field(default_factory=dict)
    seen: set[tuple[str, str, int]] = field(default_factory=set)

    def numbers(self) -> Iterator[Doubt]:
        """Every value beside its evaluation, every mean and spread worked out again, the floors, what is left out."""
        columns = {column["title"]: column for column in self.document["columns"]}
        cells = {(run["key"], run["cell"]) for run in self.document["runs"]}
        for number in self.document["numbers"]:
            column = columns[number["column"]]
            where = f"{number['column']} of {number['cell']} at step {number['step']}"
            self.means += 1
            for source in number["sources"]:
                if (source["key"], number["cell"]) not in cells or source["step"] != number["step"]:
                    yield Doubt(_REPORT, f"{where}: a value is of another cell or step")
                yield from self._value(column, source, where)
            if not _follows(number, column):
                yield Doubt(_REPORT, f"{where}: the mean or a spread is not that of its values")
        measured = [(column["metric"], column["protocol_sha256"]) for column in columns.values()]
        for column in columns.values():
            yield from self._floor(column)
            if measured.count((column["metric"], column["protocol_sha256"])) == 1:  # else another block's evaluation
                yield from self._left_out(column)

    def _value(self, column: Json, source: Json, where: str) -> Iterator[Doubt]:
        run = self.runs.get(str(source["key"]))
        if run is None:
            return  # told already
        at = f"{where}, seed {source['seed']}"
        self.seen.add((column["title"], str(source["key"]), int(source["step"])))
        if source["seed"] != run.told["seed"]:
            yield Doubt(_REPORT, f"{at}: the run is of seed {run.told['seed']}")
        if source["protocol_sha256"] != column["protocol_sha256"]:
            yield Doubt(_REPORT, f"{at}: measured under another protocol than its column's")
        evaluation = _evaluation(run, source)
        if evaluation is None:
            yield Doubt(at, "its evaluation is missing, damaged, or of another checkpoint")
            return
        values = evaluation.series(column["metric"], column["repeats"])
        if not run.is_complete:  # some repeats may have come since
            values = values[: len(source["values"])]
        self.values += len(values)
        if not values or values != source["values"]:
            yield Doubt(_REPORT, f"{at}: the values are not those that were measured")
        elif run.is_complete and source["standard_error"] != error_of(evaluation, column["metric"], column["repeats"]):
            yield Doubt(_REPORT, f"{at}: the standard error is not that of its repeats")
        if column["floor"] and evaluation.floor:
            held = evaluation.floor.values.get(column["floor"]["metric"], [])
            self.floors.setdefault(column["title"], []).append(held)

    def _floor(self, column: Json) -> Iterator[Doubt]:
        floor, held = column["floor"], self.floors.get(column["title"], [])
        if not floor or not (held or self.runs):
            return
        values = floor["values"]
        told = (floor["mean"], floor["sd_over_splits"])
        if values not in held or told != (fmean(values), stdev(values) if len(values) > 1 else None):
            yield Doubt(_REPORT, f"the floor of {column['title']} is not one that was measured")

    def _left_out(self, column: Json) -> Iterator[Doubt]:
        """The last checkpoint of every complete run stands in every column whose protocol it was measured under."""
        for key, run in self.runs.items():
            last = run.last_checkpoint
            if not run.is_complete or last is None or (column["title"], key, last[0]) in self.seen:
                continue
            evaluation = run.evaluation(last[0], str(column["protocol_sha256"]), last[1])
            if evaluation and evaluation.series(column["metric"], column["repeats"]):
                yield Doubt(_REPORT, f"{run.name}: {column['title']} was measured at step {last[0]}, and is left out")

    def classes(self) -> Iterator[Doubt]:
        """Every count of classes beside its evaluation, and their sums."""
        repeats = {column["title"]: column["repeats"] for column in self.document["columns"]}
        for entry in self.document["classes"]:
            where = f"{entry['column']} of {entry['cell']}: the counts of classes"
            counted: list[list[int]] = []
            for source in entry["sources"]:
                run = self.runs.get(str(source["key"]))
                evaluation = _evaluation(run, source) if run else None
                counted += source["class_counts"]
                if run is None or evaluation is None:
                    continue  # told already
                asked = repeats[entry["column"]] if run.is_complete else len(source["class_counts"])
                held = (evaluation.class_counts[:asked], evaluation.reference_class_counts)
                if held != (source["class_counts"], entry["reference_counts"]):
                    yield Doubt(_REPORT, f"{where} are not those that were measured")
            if entry["counts"] != [sum(of_class) for of_class in zip(*counted, strict=True)]:
                yield Doubt(_REPORT, f"{where} are not the sums over its seeds")

    def crossings(self) -> Iterator[Doubt]:
        for entry in self.document["crossings"]:
            if entry["count"] not in (None, len(entry["crossings"])):
                yield Doubt(_REPORT, f"crossings of {entry['cell']}, seed {entry['seed']}: not as many as are listed")


def _evaluation(run: TracedRun, source: Json) -> Evaluation | None:
    return run.evaluation(int(source["step"]), str(source["protocol_sha256"]), str(source["checkpoint_sha256"]))


def _follows(number: Json, column: Json) -> bool:
    """Whether a number's mean, its ratio to the floor, and its spreads are those of its sources' values."""
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
    floor = column["floor"]["mean"] if column["floor"] and column["metric"] == "fid" else 0
    told = (number["mean_over_seeds"], number["sd_over_seeds"], number["sd_over_repeats"], number["mean_over_floor"])
    return told == (found[0].mean, found[0].sd_seeds, found[0].sd_repeats, found[0].mean / floor if floor > 0 else None)
