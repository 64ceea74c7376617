"""A metric at every checkpoint as numbers: a row per cell, a column per step, and how it changed at the end."""

from __future__ import annotations

from statistics import geometric_mean

from harness.analysis.summary import Measurement
from harness.report.columns import Column
from harness.report.content import Content, ReportCell
from harness.report.language import Language
from harness.report.markdown import table
from harness.report.rounding import rounded, significant
from harness.report.strips import evenly
from harness.report.tables import cell_name
from harness.report.unfinished import unfinished_of

MOST_STEPS = 6
"""Checkpoints that the table has columns for; of more, so many are chosen evenly, with the first and the last."""


def steps_shown(content: Content, column: Column) -> tuple[list[int], bool]:
    """The steps of the table, and whether others were left out."""
    steps = sorted({found.step for found in content.measured[column.title]})
    return evenly(steps, MOST_STEPS), len(steps) > MOST_STEPS


def step_table(content: Content, column: Column) -> str:
    """Means over seeds ± SD over seeds by step; the last column: the ratio to the checkpoint before. Empty with one."""
    steps, _ = steps_shown(content, column)
    if len(steps) < 2:
        return ""
    say = content.language.say
    improving = {one.cell for one in unfinished_of(content, column).improving}
    rows = []
    for cell in content.cells_in(column):
        found = {one.step: one for one in content.of_cell(cell, column)}
        values = [_value(found[step]) if step in found else "–" for step in steps]
        rows.append([str(cell.number), cell_name(cell), *values, _change(content, column, cell, improving)])
    headers = ["#", say("Cell"), *(say("step {step}", step=step) for step in steps), say("Since the checkpoint before")]
    return table(headers, rows, right=[0, *range(2, len(headers))])


def _value(found: Measurement) -> str:
    return rounded(found.mean, found.sd_seeds)


def _change(content: Content, column: Column, cell: ReportCell, improving: set[str]) -> str:
    """`× 0.73, still falling`, geometric mean over the seeds that both have; a dash where no ratio can be told."""
    measured = content.of_cell(cell, column)
    if len(measured) < 2:
        return "–"
    before, last = measured[-2:]
    former = dict(zip(before.seeds, before.seed_means, strict=True))
    pairs = [(former[seed], mean) for seed, mean in zip(last.seeds, last.seed_means, strict=True) if seed in former]
    if not pairs or any(value <= 0 for pair in pairs for value in pair):
        return "–"
    ratio = significant(geometric_mean(latter / first for first, latter in pairs), 2)
    return _with_trend(ratio, column, content.language) if cell.cell.name in improving else f"× {ratio}"


def _with_trend(ratio: str, column: Column, language: Language) -> str:
    if column.measures.better == "lower":
        return language.say("× {ratio}, still falling", ratio=ratio)
    return language.say("× {ratio}, still rising", ratio=ratio)
