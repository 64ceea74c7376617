"""On which seeds crossed factors rest, where single cells of theirs have more of them, in sentences."""

from __future__ import annotations

from statistics import fmean

from harness.analysis.statistics import FactorEffect
from harness.analysis.variance import seed_means
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content
from harness.report.factorial_tables import CrossedEffects, scaled_mean, shared_seeds
from harness.report.markdown import code, escape
from harness.report.verdicts import interval_text, sized, sized_value


def basis_text(content: Content, against: ColumnComparison, crossed: CrossedEffects) -> str:
    """Which seeds all cells of a grid have; empty where no cell has more, or where they share none."""
    cells, seeds = crossed.grid.cells.values(), shared_seeds(against, crossed.grid)
    most = max(len(seed_means(against.values[cell.cell.name], "linear")) for cell in cells)
    if not seeds or len(seeds) == most:
        return ""
    language = content.language
    return language.plural(
        "What is said of {factors} crossed rests on seed {seeds}, the only one that all {cells} cells have.",
        "What is said of {factors} crossed rests on seeds {seeds}, the only ones that all {cells} cells have.",
        len(seeds),
        factors=language.all_of([code(factor) for factor in crossed.grid.factors]),
        seeds=language.all_of([str(seed) for seed in seeds]),
        cells=len(cells),
    )


def more_seeds_text(content: Content, against: ColumnComparison, crossed: CrossedEffects, effect: FactorEffect) -> str:
    """What a factor does alone over all seeds of its cell, where the grid has fewer; empty where it has not.

    effect: a main effect.
    """
    grid, language, seeds = crossed.grid, content.language, shared_seeds(against, crossed.grid)
    factor = effect.factors[0]
    levels = {name: of[0] for name, of in grid.levels.items()}
    reference = grid.cells[tuple(levels[name] for name in grid.factors)]
    cell = grid.cells[tuple((levels | {factor: effect.levels[0]})[name] for name in grid.factors)]
    found = against.of(cell, reference)
    if not seeds or found is None or found.low is None or not set(seeds) < set(found.shared_seeds):
        return ""
    few = fmean(
        scaled_mean(against, cell.cell.name, seed) - scaled_mean(against, reference.cell.name, seed) for seed in seeds
    )
    rest = [f"{code(name)} = {escape(level)}" for name, level in levels.items() if name != factor]
    return language.plural(
        "At {rest} alone it is {change} ({interval}; {of} seeds); seed {seeds} alone gives {few}.",
        "At {rest} alone it is {change} ({interval}; {of} seeds); seeds {seeds} alone give {few}.",
        len(seeds),
        rest=language.all_of(rest),
        change=sized(found),
        interval=interval_text(language, found),
        of=len(found.shared_seeds),
        seeds=language.all_of([str(seed) for seed in seeds]),
        few=sized_value(few, against.comparison.scale),
    )
