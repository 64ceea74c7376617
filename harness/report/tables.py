"""The report's tables as Markdown and CSV. Every ± says of what, every mean says over how many."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from harness.analysis.summary import Measurement
from harness.design.factors import NO_LEVEL
from harness.report.content import Column, Content, ReportCell, ReportRun, scale_of
from harness.report.markdown import code, escape, number, spread, table

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
ONE_SEED = "one seed: no comparison is possible"


def comparison_table(content: Content, column: Column) -> str:
    """A row per cell of this column, at the cell's last measured checkpoint."""
    factors = content.view.plan.factors
    headers = [
        "#", "Cell", *(code(factor) for factor in factors), f"{escape(column.title)} ↓", "SD over repeats", "Seeds",
        "Repeats", "Step", "Lowest (at step)", "Diverged", "Missing",
    ]  # fmt: skip
    rows = [_comparison_row(content, column, cell) for cell in content.cells_in(column)]
    value = 2 + len(factors)
    return table(headers, rows, right=[0, *range(value, value + 6)])


def _comparison_row(content: Content, column: Column, cell: ReportCell) -> list[str]:
    runs = content.runs_in(cell, column)
    asked = len(runs) * len(column.steps(cell.cell))
    missing = content.missing(cell, column)
    summary = content.summary(cell, column)
    head = [str(cell.number), cell_name(cell), *levels(content, cell)]
    tail = [f"{cell.counts.diverged} of {cell.counts.runs}", f"{missing} of {asked}" if missing else "none"]
    if summary is None:
        return [*head, "not measured", "–", f"0 of {len(runs)}", "–", "–", "–", *tail]
    last, best = summary.last, summary.best
    return [
        *head,
        mean_and_spread(last),
        spread(last.sd_repeats),
        str(len(last.seeds)) if len(last.seeds) == len(runs) else f"{len(last.seeds)} of {len(runs)}",
        repeats_text(last),
        str(last.step),
        f"{number(best.mean)} ({best.step})",
        *tail,
    ]


def mean_and_spread(found: Measurement) -> str:
    """`12.31 ± 0.40`, the SD over seeds; with one seed the mean alone, and that it is one."""
    if found.sd_seeds is None:
        return f"{number(found.mean)} (one seed)"
    return f"{number(found.mean)} ± {spread(found.sd_seeds)}"


def repeats_text(found: Measurement) -> str:
    low, high = found.repeats
    return str(low) if low == high else f"{low} to {high}"


def states_table(content: Content) -> str:
    """A row per cell: its levels and how its runs stand."""
    levels_of = [code(factor) for factor in content.view.plan.factors]
    headers = ["#", "Cell", *levels_of, "Runs", "Complete", "Diverged", "Failed", "Unfinished"]
    rows = [[str(cell.number), cell_name(cell), *levels(content, cell), *_states(cell)] for cell in content.cells]
    return table(headers, rows, right=[0])


def _states(cell: ReportCell) -> list[str]:
    counts = cell.counts
    some = (counts.complete, counts.diverged, counts.failed, counts.unfinished)
    return [str(counts.runs), *(f"{count} of {counts.runs}" for count in some)]


def crossings_table(content: Content) -> str:
    """A row per cell: crossings of every seed, and their mean rate."""
    rows = []
    for cell in content.cells:
        counted = [(run.seed, run.dynamics) for run in cell.runs if run.dynamics and run.dynamics.is_counted]
        none = "no smoothed losses" if has_comparable_losses(cell) else "not counted: losses that do not meet"
        rates = [dynamics.per_1000_steps or 0.0 for _, dynamics in counted]
        by_seed = ", ".join(f"seed {seed}: {len(dynamics.crossings)}" for seed, dynamics in counted)
        steps = sorted({round(dynamics.covered) for _, dynamics in counted})
        rows.append([
            str(cell.number), cell_name(cell), by_seed or none,
            number(sum(rates) / len(rates)) if rates else "–", f"{len(counted)} of {len(cell.runs)}",
            " to ".join(str(end) for end in dict.fromkeys([steps[0], steps[-1]])) if steps else "–",
        ])  # fmt: skip
    headers = ["#", "Cell", "Crossings", "Per 1000 steps, mean over seeds", "Seeds counted", "Steps covered by each"]
    return table(headers, rows, right=[0, 3])


def has_comparable_losses(cell: ReportCell) -> bool:
    """Whether crossings of this cell's losses mean anything."""
    return scale_of(cell.cell.hyperparameters).comparable


def cell_name(cell: ReportCell) -> str:
    """The cell's label; the baseline's stands out."""
    return f"**{escape(cell.label)}**" if cell.cell.is_baseline else escape(cell.label)


def levels(content: Content, cell: ReportCell) -> list[str]:
    """The cell's level of every factor that varies; those that differ from the baseline stand out."""
    return [
        f"**{escape(level)}**" if factor in cell.cell.varied else escape(level)
        for factor, level in content.levels(cell).items()
    ]


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
            rows.append([*start, *[""] * 11, *states])
    headers = [
        "number", "cell", "label", *factors, "metric", "column", "protocol_sha256", "step", "is_last", "mean",
        "sd_over_seeds", "sd_over_repeats", "seeds", "fewest_repeats", "most_repeats",
        "runs", "complete", "diverged", "failed",
    ]  # fmt: skip
    return _csv(headers, rows)


def _steps_of(content: Content, column: Column, cell: ReportCell) -> Iterable[list[object]]:
    found = {measurement.step: measurement for measurement in content.of_cell(cell, column)}
    fingerprint = column.protocol.sha256 if column.protocol else ""
    for step in column.steps(cell.cell):
        head = [column.metric, column.name, fingerprint, step]
        if step not in found:
            yield [*head, "", "", "", "", 0, "", ""]
            continue
        at = found[step]
        is_last = "yes" if step == max(found) else "no"
        yield [*head, is_last, at.mean, _or_empty(at.sd_seeds), _or_empty(at.sd_repeats), len(at.seeds), *at.repeats]


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
