"""The report's tables as Markdown. Every ± says of what, every mean says over how many."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.summary import Measurement
from harness.report.columns import Column
from harness.report.content import Content, ReportCell, scale_of
from harness.report.floors import REAL, floor_text, ratio_text
from harness.report.markdown import code, escape, number, spread, table
from harness.report.standard_errors import cell_error

ONE_SEED = "one seed: no comparison is possible"


def comparison_table(content: Content, column: Column) -> str:
    """A row per cell of this column, at the cell's last measured checkpoint, under the row of real images."""
    factors = content.view.plan.factors
    is_fid = column.metric == "fid"
    headers = [
        "#", "Cell", *(code(factor) for factor in factors), with_arrow(column), *(["÷ floor"] if is_fid else []),
        "SD over repeats", "Seeds", "Repeats", "Step", "Best (at step)", "Diverged", "Missing",
    ]  # fmt: skip
    rows = [_floor_row(content, column), *(_comparison_row(content, column, cell) for cell in content.cells_in(column))]
    value = 2 + len(factors)
    return table(headers, rows, right=[0, *range(value, value + 6 + is_fid)])


def with_arrow(column: Column) -> str:
    """`FID (digits) ↓`, and no arrow where neither direction is closer to the real images."""
    return f"{escape(column.title)} {column.measures.arrow}".rstrip()


def _floor_row(content: Content, column: Column) -> list[str]:
    floor = content.floors.get(column.title)
    ratio = ["1" if floor else "–"] if column.metric == "fid" else []
    levels_of = ["–"] * len(content.view.plan.factors)
    return ["–", f"*{REAL}*", *levels_of, floor_text(column, floor), *ratio, *["–"] * 7]


def _comparison_row(content: Content, column: Column, cell: ReportCell) -> list[str]:
    runs = content.runs_in(cell, column)
    asked = len(runs) * len(column.steps(cell.cell))
    missing = content.missing(cell, column)
    summary = content.summary(cell, column)
    head = [str(cell.number), cell_name(cell), *levels(content, cell)]
    tail = [f"{cell.counts.diverged} of {cell.counts.runs}", f"{missing} of {asked}" if missing else "none"]
    if summary is None:
        ratio = ["–"] if column.metric == "fid" else []
        return [*head, "not measured", *ratio, "–", f"0 of {len(runs)}", "–", "–", "–", *tail]
    last, best = summary.last, summary.best
    ratio = [ratio_text(content, column, last.mean)] if column.metric == "fid" else []
    return [
        *head,
        mean_text(content, cell, column),
        *ratio,
        spread(last.sd_repeats),
        seeds_text(last, len(runs)),
        f"{column.block.settings.repeats} together" if column.measures.pooled else repeats_text(last),
        str(last.step),
        f"{number(best.mean)} ({best.step})" if best else "–",
        *tail,
    ]


MOST_METRICS = 4
"""Metrics that one table holds; more go into a further one below it."""


def other_metrics_tables(content: Content, columns: Sequence[Column]) -> list[str]:
    """The means of several metrics of one protocol at the last checkpoint: a row per cell, a column per metric."""
    parts = -(-len(columns) // MOST_METRICS)
    size = -(-len(columns) // parts) if parts else 0
    return [_other_metrics(content, columns[at : at + size]) for at in range(0, len(columns), size or 1)]


def _other_metrics(content: Content, columns: Sequence[Column]) -> str:
    headers = ["#", "Cell", *(f"{column.measures.title} {column.measures.arrow}".rstrip() for column in columns)]
    real = [floor_text(column, content.floors.get(column.title)) for column in columns]
    rows = [["–", f"*{REAL}*", *real, "–", "–"]]
    for cell in content.cells_in(columns[0]):
        last = [summary.last for column in columns if (summary := content.summary(cell, column))]
        values = [mean_text(content, cell, column) for column in columns]
        steps = " or ".join(map(str, sorted({found.step for found in last})))
        counts = sorted({seeds_text(found, len(content.runs_in(cell, columns[0]))) for found in last})
        rows.append([str(cell.number), cell_name(cell), *values, " or ".join(counts) or "–", steps or "–"])
    return table([*headers, "Seeds", "Step"], rows, right=[0, *range(2, len(columns) + 4)])


def mean_text(content: Content, cell: ReportCell, column: Column) -> str:
    """`12.31 ± 0.40 (SE 0.11)`: the mean at the last checkpoint, ± the SD over seeds where there are several, and the
    standard error of one seed's value where the metric has one."""
    summary = content.summary(cell, column)
    if summary is None:
        return "not measured"
    last, is_count = summary.last, column.metric == "missing_classes"
    text = f"{last.mean:.1f}" if is_count else number(last.mean)
    if last.sd_seeds is not None:
        text += f" ± {last.sd_seeds:.1f}" if is_count else f" ± {spread(last.sd_seeds)}"
    error = cell_error(content, cell, column, last.step)
    return text if error is None else f"{text} (SE {spread(error)})"


def seeds_text(found: Measurement, runs: int) -> str:
    """`3`, or `2 of 3` where some are not measured."""
    return str(runs) if len(found.seeds) == runs else f"{len(found.seeds)} of {runs}"


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
