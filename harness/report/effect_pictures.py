"""The pictures of differences: the forest plot against the baseline, and interactions of crossed factors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

from harness.analysis.statistics import Verdict
from harness.report.album import Album, Picture
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content, ReportCell
from harness.report.factor_changes import Factorial
from harness.report.factorial_tables import CrossedEffects, scaled_mean, shared_seeds
from harness.report.factorial_words import interaction_title
from harness.report.figures.effects import ForestLabels, ForestRow, InteractionPanel, forest, interactions
from harness.report.language import Language
from harness.report.pictures import fingerprint_of, slug
from harness.report.rounding import rounded
from harness.report.sheets import checkpoint
from harness.report.verdicts import change_text


def forest_pictures(content: Content, album: Album, against: ColumnComparison) -> list[Picture]:
    """Each cell's difference to the baseline, the closest to the real images first, under the baseline itself; none
    where no cell was measured beside it."""
    rows = sorted((_row(content, against, cell) for cell in against.others), key=lambda row: _order(against, row))
    if not any(row.estimate is not None for row in rows):
        return []
    if against.baseline is not None:
        rows = [_reference_row(content, against, against.baseline), *rows]
    say, column = content.figure_language.say, against.column
    is_log = against.comparison.scale == "log"
    title = column.title_in(content.figure_language)
    axis = (
        say("{metric} divided by the baseline's (log scale)", metric=title)
        if is_log
        else say("{metric} minus the baseline's", metric=title)
    )
    labels = ForestLabels(axis, say("the baseline"), _legend(content.figure_language))
    return album.add(
        f"{slug(column)}-differences",
        content.language.say("{metric}: differences to the baseline", metric=column.title_in(content.language)),
        forest(rows, labels, is_log=is_log),
        sources(content, against, against.cells),
    )


def _order(against: ColumnComparison, row: ForestRow) -> tuple[bool, float]:
    """Sorts rows by effect, those without a value last; equal ones keep the file's order."""
    if row.estimate is None:
        return True, 0.0
    return False, -row.estimate if against.comparison.better == "higher" else row.estimate


def _reference_row(content: Content, against: ColumnComparison, baseline: ReportCell) -> ForestRow:
    values = against.values[baseline.cell.name].values.values()
    means = [fmean(repeats) for repeats in values if all(map(math.isfinite, repeats))]
    metric = content.figure_language.say(against.column.measures.title)
    text = f"{metric} {rounded(fmean(means), stdev(means) if len(means) > 1 else None)}" if means else "–"
    return ForestRow(baseline.label, baseline.mark, "baseline", 0.0, None, None, text)


def _legend(language: Language) -> dict[Verdict, str]:
    say = language.say
    return {
        "helps": say("helps"),
        "hurts": say("hurts"),
        "differs": say("differs"),
        "inconclusive": say("inconclusive"),
        "not asked": say("not tested"),
        "one seed": say("one seed: no interval"),
    }


def _row(content: Content, against: ColumnComparison, cell: ReportCell) -> ForestRow:
    difference, language = against.of(cell), content.figure_language
    if difference is None or difference.estimate is None:
        verdict: Verdict = "not measured" if difference is None else difference.verdict
        return ForestRow(cell.label, cell.mark, verdict, None, None, None, "–", _note(content, against, cell))
    text = change_text(language, difference)
    if difference.diverged:
        text = language.say("{text}, {n} of {runs} diverged", text=text, n=difference.diverged, runs=difference.seeds)
    verdict = difference.verdict
    return ForestRow(cell.label, cell.mark, verdict, difference.estimate, difference.low, difference.high, text)


def _note(content: Content, against: ColumnComparison, cell: ReportCell) -> str:
    say, values = content.figure_language.say, against.values[cell.cell.name]
    if values.diverged:
        return say("{n} of {runs} runs diverged, no value to compare", n=values.diverged, runs=values.seeds)
    return say("not measured at step {step}", step=against.steps[cell.cell.name])


def sources(content: Content, against: ColumnComparison, cells: Sequence[ReportCell]) -> list[dict[str, Any]]:
    """The checkpoints that a column's differences are of, and its protocol."""
    return [
        checkpoint(run, against.steps[cell.cell.name]) | {"protocol_sha256": fingerprint_of(against.column)}
        for cell in cells
        for run in content.runs_in(cell, against.column)
        if run.seed in against.values[cell.cell.name].values
    ]


def interaction_pictures(
    content: Content, album: Album, against: ColumnComparison, crossed: Sequence[CrossedEffects]
) -> list[Picture]:
    """A panel for each pair of crossed factors."""
    measured = [one for one in crossed if one.effects and shared_seeds(against, one.grid)]
    panels = [
        _panel(content, against, one, pair) for one in measured for pair in itertools.combinations(one.grid.factors, 2)
    ]
    if not panels:
        return []
    column, say = against.column, content.figure_language.say
    cells = list({id(cell): cell for one in measured for cell in one.grid.cells.values()}.values())
    is_log = against.comparison.scale == "log"
    title = column.title_in(content.figure_language)
    ylabel = say("{metric}, log scale", metric=title) if is_log else title
    title = content.language.say("{metric}: crossed factors", metric=column.title_in(content.language))
    figures = interactions(panels, ylabel, is_log=is_log)
    return album.add(f"{slug(column)}-interactions", title, figures, sources(content, against, cells))


def _panel(
    content: Content, against: ColumnComparison, crossed: CrossedEffects, pair: tuple[str, str]
) -> InteractionPanel:
    (first, second), grid = pair, crossed.grid
    lines = {}
    points = {}
    for level in grid.levels[second]:
        by_place = [_at(against, grid, {first: at, second: level}) for at in grid.levels[first]]
        name = f"{second} = {level}"
        points[name] = by_place
        lines[name] = [_mean(against, values) for values in by_place]
    title = content.figure_language.say("{first} and {second}", first=first, second=second)
    has_one = len(grid.levels[first]) == len(grid.levels[second]) == 2
    note = interaction_title(content, against, crossed.of(first, second)) if has_one else ""
    return InteractionPanel(title, first, grid.levels[first], lines, points, note)


def _at(against: ColumnComparison, grid: Factorial, levels: dict[str, str]) -> list[float]:
    """A value per seed: over the rest of the grid the mean on the analysis scale, in the metric's unit."""
    cells = [
        cell
        for at, cell in grid.cells.items()
        if all(dict(zip(grid.factors, at, strict=True))[name] == level for name, level in levels.items())
    ]
    seeds = shared_seeds(against, grid)
    means = [sum(scaled_mean(against, cell.cell.name, seed) for cell in cells) / len(cells) for seed in seeds]
    return [math.exp(mean) for mean in means] if against.comparison.scale == "log" else means


def _mean(against: ColumnComparison, values: Sequence[float]) -> float:
    """Of seeds' values, as differences take it."""
    if against.comparison.scale == "log":
        return math.exp(sum(math.log(value) for value in values) / len(values))
    return sum(values) / len(values)
