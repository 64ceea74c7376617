"""The table of loss crossings, and the numbers of a run's training for tables of runs."""

from __future__ import annotations

from dataclasses import astuple, fields

from harness.analysis.dynamics import RunDynamics
from harness.report.content import Content, ReportCell, ReportRun, scale_of
from harness.report.markdown import number, table
from harness.report.tables import cell_name

RUN_COLUMNS = tuple(field.name for field in fields(RunDynamics))
"""Names of `run_numbers`, for a table of runs."""


def run_numbers(run: ReportRun) -> tuple[float | None, ...]:
    """What one run's curves come to, in the order of RUN_COLUMNS (`RunDynamics` says what each is)."""
    return astuple(run.numbers) if run.numbers else (None,) * len(RUN_COLUMNS)


def crossings_table(content: Content) -> str:
    """A row per cell: crossings of every seed, and their mean rate."""
    language, rows = content.language, []
    say = language.say
    for cell in content.cells:
        found = [(run.seed, run.dynamics) for run in cell.runs if run.dynamics and run.dynamics.is_counted]
        none = say("no smoothed losses") if has_comparable_losses(cell) else say("not counted: losses that do not meet")
        rates = [dynamics.per_1000_steps or 0.0 for _, dynamics in found]
        by_seed = language.listed(
            say("seed {seed}: {count}", seed=seed, count=len(dynamics.crossings)) for seed, dynamics in found
        )
        steps = sorted({round(dynamics.covered) for _, dynamics in found})
        rows.append([
            str(cell.number), cell_name(cell), by_seed or none, number(sum(rates) / len(rates)) if rates else "–",
            say("{n} of {asked}", n=len(found), asked=len(cell.runs)), _span(content, steps),
        ])  # fmt: skip
    headers = [
        "#", say("Cell"), say("Crossings"), say("Per 1000 steps, mean over seeds"), say("Seeds counted"),
        say("Steps covered by each"),
    ]  # fmt: skip
    return table(headers, rows, right=[0, 3])


def _span(content: Content, steps: list[int]) -> str:
    if not steps:
        return "–"
    low, high = steps[0], steps[-1]
    return str(low) if low == high else content.language.say("{low} to {high}", low=low, high=high)


def has_comparable_losses(cell: ReportCell) -> bool:
    """Whether crossings of this cell's losses mean anything."""
    return scale_of(cell.cell.hyperparameters).comparable
