"""The table of loss crossings, and the numbers of a run's training for tables of runs."""

from __future__ import annotations

from dataclasses import astuple, fields

from harness.analysis.dynamics import LossDynamics, RunDynamics
from harness.report.content import Content, ReportCell, ReportRun, scale_of
from harness.report.language import Language
from harness.report.markdown import number, table
from harness.report.tables import cell_name

RUN_COLUMNS = tuple(
    {"per_1000_steps": "crossings_per_1000"}.get(field.name, field.name) for field in fields(RunDynamics)
)
"""Names of `run_numbers`, for a table of runs."""
MOST_PLACES = 8
"""Crossings of one seed that are told one by one."""


def run_numbers(run: ReportRun) -> tuple[float | None, ...]:
    """What one run's curves come to, in the order of RUN_COLUMNS (`RunDynamics` says what each is)."""
    return astuple(run.numbers) if run.numbers else (None,) * len(RUN_COLUMNS)


def crossings_table(content: Content) -> str:
    """A row per cell whose losses cross: where they do in every seed, and the mean rate; empty where none do."""
    language, rows = content.language, []
    say = language.say
    for cell in content.cells:
        found = [(run.seed, run.dynamics) for run in cell.runs if run.dynamics and run.dynamics.is_counted]
        if not any(dynamics.crossings for _, dynamics in found):
            continue
        rates = [dynamics.per_1000_steps or 0.0 for _, dynamics in found]
        by_seed = language.clauses(
            say("seed {seed}: {steps}", seed=seed, steps=_places(language, dynamics)) for seed, dynamics in found
        )
        rows.append([str(cell.number), cell_name(cell), by_seed, number(sum(rates) / len(rates), 3)])
    if not rows:
        return ""
    headers = ["#", say("Cell"), say("Crossings at steps"), say("Per 1000 steps, mean over seeds")]
    return table(headers, rows, right=[0, 3])


def _places(language: Language, dynamics: LossDynamics) -> str:
    steps = [str(round(crossing.step)) for crossing in dynamics.crossings]
    return language.shortened(steps, MOST_PLACES) if steps else language.say("none")


def covered_text(content: Content) -> str:
    """Between which steps crossings are counted, and in how many runs they are not; empty where none are counted."""
    language = content.language
    counted = [run for run in content.runs if run.dynamics and run.dynamics.is_counted]
    steps = sorted({round(run.dynamics.covered) for run in counted if run.dynamics})
    if not steps:
        return ""
    span = str(steps[0]) if len(steps) == 1 else language.say("{low} to {high}", low=steps[0], high=steps[-1])
    told = language.say(
        "Counts and rates refer to the {steps} steps between the first and the last smoothed point.", steps=span
    )
    if len(counted) == len(content.runs):
        return told
    return language.paragraph(
        told,
        language.say("Counted in {n} of {asked} runs.", n=len(counted), asked=len(content.runs)),
    )


def has_comparable_losses(cell: ReportCell) -> bool:
    """Whether crossings of this cell's losses mean anything."""
    return scale_of(cell.cell.hyperparameters).comparable
