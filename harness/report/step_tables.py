"""A metric at every checkpoint as numbers: a row per cell, a column per step, and how it changed at the end."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import geometric_mean

from harness.analysis.summary import Measurement
from harness.analysis.unfinished import STILL
from harness.report.columns import Column
from harness.report.content import Content, ReportCell
from harness.report.language import Language
from harness.report.markdown import table
from harness.report.rounding import rounded, significant
from harness.report.strips import evenly
from harness.report.tables import cell_name
from harness.report.unfinished import unfinished_of
from harness.report.verdicts import ratio_number

MOST_STEPS = 6
"""Checkpoints that the table has columns for; of more, so many are chosen evenly, with the first and the last."""


def steps_shown(content: Content, column: Column) -> tuple[list[int], bool]:
    """The steps of the table, and whether others were left out."""
    steps = sorted({found.step for found in content.measured[column.title]})
    return evenly(steps, MOST_STEPS), len(steps) > MOST_STEPS


def step_table(content: Content, column: Column) -> str:
    """Means over seeds ± SD over seeds (SD over repeats) by step; last column: how it ended. Empty with one step."""
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
    value = rounded(found.mean, found.sd_seeds)
    return value if found.sd_repeats is None else f"{value} ({significant(found.sd_repeats, 2)})"


def _change(content: Content, column: Column, cell: ReportCell, improving: set[str]) -> str:
    """`× 0.73, still improving`, geometric mean over the seeds that both have; a dash where no ratio can be told."""
    measured = content.of_cell(cell, column)
    if len(measured) < 2:
        return "–"
    before, last = measured[-2:]
    former = dict(zip(before.seeds, before.seed_means, strict=True))
    pairs = [(former[seed], mean) for seed, mean in zip(last.seeds, last.seed_means, strict=True) if seed in former]
    if not pairs or any(value <= 0 for pair in pairs for value in pair):
        return "–"
    ratio = ratio_number(geometric_mean(latter / first for first, latter in pairs))
    sign = {"lower": 1, "higher": -1}.get(column.measures.better, 0)
    means = [one.mean for one in measured[-3:]]
    moves = [sign * math.log(late / early) for early, late in pairwise(means[means[0] <= 0 :])]
    return _with_trend(content.language, ratio, moves, cell.cell.name in improving)


def _with_trend(language: Language, ratio: str, moves: list[float], is_improving: bool) -> str:
    """moves: logarithms of the last one or two changes, above 0 where it went away from the real images."""
    away = -math.log(1 - STILL)
    if moves[-1] >= away:
        return language.say("× {ratio}, farther again", ratio=ratio)
    if not is_improving:
        return f"× {ratio}"
    if max(moves) >= away:
        return language.say("× {ratio}, swinging", ratio=ratio)
    return language.say("× {ratio}, still improving", ratio=ratio)
