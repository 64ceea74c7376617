"""comparison.csv and runs.csv: the report's numbers for spreadsheets and further work."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence

from harness.analysis.statistics import Difference, FactorEffect
from harness.design.factors import NO_LEVEL
from harness.report.columns import Column
from harness.report.content import Content, ReportCell, ReportRun
from harness.report.crossings import RUN_COLUMNS, run_numbers
from harness.report.factor_changes import Factorial
from harness.report.factorial_tables import crossed_effects
from harness.report.floors import times_floor
from harness.report.standard_errors import cell_error

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # full-width ones, too


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


_DIFFERENCE = (
    "scale", "estimate", "standard_error", "degrees_of_freedom", "low_95", "high_95", "ratio", "ratio_low_95",
    "ratio_high_95", "p", "p_holm", "p_sign_flip", "least_p_sign_flip", "error", "seeds", "runs", "diverged",
    "smallest_effect", "within_smallest_effect", "verdict", "seeds_needed_low", "seeds_needed_high",
    "minutes_needed_low", "minutes_needed_high",
)  # fmt: skip
"""What differences.csv says of one difference. estimate and all in its unit: on the scale, `log` or `linear`; ratio:
empty on the linear one. seeds: shared ones."""


def differences_csv(content: Content) -> str:
    """A row per difference of every compared column: cells against the baseline, claims, and effects of crossed
    factors (kind `factor` or `interaction`, whose cell and against are levels)."""
    headers = ["kind", "metric", "column", "protocol_sha256", "cell", "against", "cell_step", *_DIFFERENCE]
    rows: list[list[object]] = []
    for against in content.comparisons.values():
        column = against.column
        head = [column.metric, column.name, column.protocol.sha256 if column.protocol else ""]
        claimed = {(one.cell.cell.name, one.against.cell.name) for one in against.claims}
        for one in against.comparison.differences:
            if one.cell == one.against:
                continue
            kind = "claim" if (one.cell, one.against) in claimed else "baseline"
            step = against.steps.get(one.cell, "")
            rows.append([kind, *head, one.cell, one.against, step, *_difference(one)])
        for crossed in crossed_effects(content, against):
            rows += [_effect(head, against.comparison.scale, crossed.grid, effect) for effect in crossed.effects]
    return _csv(headers, rows)


def _difference(one: Difference) -> list[object]:
    needed, is_log = one.needed, one.scale == "log"
    numbers = [one.estimate, one.se, one.freedom, one.low, one.high]
    ratios = [_exp(value) if is_log else "" for value in (one.estimate, one.low, one.high)]
    tests = [one.p, one.p_holm, one.p_sign_flip, one.least_sign_flip]
    within = "" if one.within_smallest is None else "yes" if one.within_smallest else "no"
    seeds = [needed.low, needed.high, needed.minutes_low, needed.minutes_high] if needed else [None] * 4
    return [
        one.scale, *map(_or_empty, numbers), *ratios, *map(_or_empty, tests), one.error, len(one.shared_seeds),
        one.seeds, one.diverged, _or_empty(one.smallest_effect), within, one.verdict, *map(_or_empty, seeds),
    ]  # fmt: skip


def _effect(head: Sequence[object], scale: str, grid: Factorial, effect: FactorEffect) -> list[object]:
    """An effect of crossed factors as a difference: its levels against the reference ones."""
    pairs = list(zip(effect.factors, effect.levels, strict=True))
    levels = ",".join(f"{factor}={level}" for factor, level in pairs)
    reference = ",".join(f"{factor}={grid.levels[factor][0]}" for factor, _ in pairs)
    kind = "factor" if len(pairs) == 1 else "interaction"
    numbers = [effect.estimate, effect.se, effect.freedom, effect.low, effect.high]
    ratios = [_exp(value) if scale == "log" else "" for value in (effect.estimate, effect.low, effect.high)]
    named = dict.fromkeys(_DIFFERENCE, "") | {"p": _or_empty(effect.p), "seeds": effect.seeds}
    rest = [named[name] for name in _DIFFERENCE[9:]]
    return [kind, *head, levels, reference, "", scale, *map(_or_empty, numbers), *ratios, *rest]


def _exp(value: float | None) -> float | str:
    """Empty also where it is beyond what a float holds."""
    return "" if value is None or value > 700 else math.exp(value)


def runs_csv(content: Content) -> str:
    """A row per run: where it stands, its curves as `RunDynamics`, and every column at its last measured checkpoint."""
    headers = ["cell", "label", "seed", "key", "state", "step", "attempts", "reason", *RUN_COLUMNS]
    for column in content.columns:
        name = f"{column.metric}.{column.name}"
        headers += [name, f"{name}_sd_over_repeats", f"{name}_repeats", f"{name}_step", f"{name}_checkpoint_sha256"]
    rows: list[list[object]] = []
    for cell in content.cells:
        for run in cell.runs:
            status = run.view.status
            row: list[object] = [
                cell.cell.name, cell.label, run.seed, run.key, status.state, status.step, len(status.attempts),
                status.reason, *map(_or_empty, run_numbers(run)),
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
