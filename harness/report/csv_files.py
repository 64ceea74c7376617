"""comparison.csv and runs.csv: the report's numbers for spreadsheets and further work."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from harness.design.factors import NO_LEVEL
from harness.report.columns import Column
from harness.report.content import Content, ReportCell, ReportRun
from harness.report.floors import times_floor
from harness.report.standard_errors import cell_error

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


_NUMBERS = (
    "metric", "column", "protocol_sha256", "step", "is_last", "mean", "sd_over_seeds", "sd_over_repeats", "seeds",
    "fewest_repeats", "most_repeats", "standard_error_of_a_seed", "floor", "floor_sd_over_splits", "floor_splits",
    "floor_metric", "floor_samples", "floor_reference", "mean_over_floor",
)  # fmt: skip
"""What comparison.csv says of one cell, column and checkpoint. standard_error_of_a_seed: of one seed's value, from
its repeats (the root mean square over seeds). floor_metric: what the floor is of, which is FID for pooled metrics."""


def comparison_csv(content: Content) -> str:
    """Every cell, column and checkpoint asked for; the fields of what is not measured are empty."""
    factors = content.view.plan.factors
    rows: list[list[object]] = []
    for cell in content.cells:
        start = [cell.number, cell.cell.name, cell.label, *content.levels(cell).values()]
        states = [cell.counts.runs, cell.counts.complete, cell.counts.diverged, cell.counts.failed]
        columns = [column for column in content.columns if cell in content.cells_in(column)]
        rows += [[*start, *values, *states] for column in columns for values in _steps_of(content, column, cell)]
        if not columns:
            rows.append([*start, *[""] * len(_NUMBERS), *states])
    headers = ["number", "cell", "label", *factors, *_NUMBERS, "runs", "complete", "diverged", "failed"]
    return _csv(headers, rows)


def _steps_of(content: Content, column: Column, cell: ReportCell) -> Iterable[list[object]]:
    found = {measurement.step: measurement for measurement in content.of_cell(cell, column)}
    fingerprint = column.protocol.sha256 if column.protocol else ""
    floor = content.floors.get(column.title)
    of_floor: list[object] = [""] * 6
    if floor:
        numbers = [floor.samples, floor.reference]
        of_floor = [floor.mean, _or_empty(floor.sd), len(floor.values), column.floor_metric, *numbers]
    for step in column.steps(cell.cell):
        head = [column.metric, column.name, fingerprint, step]
        if step not in found:
            yield [*head, "", "", "", "", 0, "", "", "", *of_floor, ""]
            continue
        at = found[step]
        is_last = "yes" if step == max(found) else "no"
        yield [
            *head, is_last, at.mean, _or_empty(at.sd_seeds), _or_empty(at.sd_repeats), len(at.seeds), *at.repeats,
            _or_empty(cell_error(content, cell, column, step)), *of_floor,
            _or_empty(times_floor(content, column, at.mean)),
        ]  # fmt: skip


def runs_csv(content: Content) -> str:
    """A row per run: where it stands, its loss crossings, and every column at its last measured checkpoint."""
    headers = ["cell", "label", "seed", "key", "state", "step", "attempts", "reason", "crossings", "crossings_per_1000"]
    for column in content.columns:
        name = f"{column.metric}.{column.name}"
        headers += [name, f"{name}_sd_over_repeats", f"{name}_repeats", f"{name}_step", f"{name}_checkpoint_sha256"]
    rows: list[list[object]] = []
    for cell in content.cells:
        for run in cell.runs:
            status, dynamics = run.view.status, run.dynamics
            counted = dynamics if dynamics and dynamics.is_counted else None
            row: list[object] = [
                cell.cell.name, cell.label, run.seed, run.key, status.state, status.step, len(status.attempts),
                status.reason, len(counted.crossings) if counted else "",
                _or_empty(counted.per_1000_steps) if counted else "",
            ]  # fmt: skip
            for column in content.columns:
                row += _last_of(content, column, cell, run)
            rows.append(row)
    return _csv(headers, rows)


def _last_of(content: Content, column: Column, cell: ReportCell, run: ReportRun) -> list[object]:
    found = content.run_values(run, column)
    if not found:
        return [""] * 5
    step = max(found)
    values = found[step]
    evaluation = content.sources[column.name, run.key, step]
    mean = sum(values) / len(values)
    spread = (sum((value - mean) ** 2 for value in values) / (len(values) - 1)) ** 0.5 if len(values) > 1 else ""
    return [mean, spread, len(values), step, evaluation.checkpoint_sha256]


def _or_empty(value: float | None) -> float | str:
    return "" if value is None else value


def _csv(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([_harmless(header) for header in headers])
    writer.writerows([_harmless(field) for field in row] for row in rows)
    return buffer.getvalue()


def _harmless(field: object) -> object:
    """Text that a spreadsheet would take for a formula gets an apostrophe in front; numbers and a lone `-` stay.

    As OWASP advises, https://owasp.org/www-community/attacks/CSV_Injection
    """
    if not isinstance(field, str) or field == NO_LEVEL or not field.startswith(_FORMULA_STARTS):
        return field
    try:
        float(field)
    except ValueError:
        return f"'{field}"
    return field
