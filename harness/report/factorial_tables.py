"""Main effects and interactions of cells that cross factors, as tables and sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.statistics import FactorEffect, factorial_effects
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content
from harness.report.factor_changes import Factorial, factorials
from harness.report.markdown import code, escape, table
from harness.report.verdicts import factor_text, p_equation, p_text, signed


@dataclass(frozen=True, eq=False)
class CrossedEffects:
    """A factorial grid with its effects in one column; none where its cells share no measured seed."""

    grid: Factorial
    effects: tuple[FactorEffect, ...]


def crossed_effects(content: Content, against: ColumnComparison) -> list[CrossedEffects]:
    """Of every set of cells in this column that cross factors."""
    held = set(map(id, against.cells))
    found = [grid for grid in factorials(content) if all(id(cell) in held for cell in grid.cells.values())]
    return [CrossedEffects(grid, _effects(against, grid)) for grid in found]


def _effects(against: ColumnComparison, grid: Factorial) -> tuple[FactorEffect, ...]:
    values = {levels: against.values[cell.cell.name] for levels, cell in grid.cells.items()}
    if not set.intersection(*(set(one.values) for one in values.values())):
        return ()
    return factorial_effects(values, grid.factors, against.comparison)


def effects_table(content: Content, against: ColumnComparison, crossed: CrossedEffects) -> str:
    """A row per main effect, then per interaction; empty without effects."""
    say, is_log = content.language.say, against.comparison.scale == "log"
    headers = [
        say("Effect"), say("Ratio") if is_log else say("Difference"), say("95 % interval"), "p", say("Seeds"),
        say("Cells"),
    ]  # fmt: skip
    rows = [
        [effect_name(content, crossed.grid, effect), *_numbers(content, effect, is_log)] for effect in crossed.effects
    ]
    return table(headers, rows, right=[1]) if rows else ""


def _numbers(content: Content, effect: FactorEffect, is_log: bool) -> list[str]:
    interval = "–"
    if effect.low is not None and effect.high is not None:
        low, high = _size(effect.low, is_log), _size(effect.high, is_log)
        interval = content.language.say("{low} to {high}", low=low, high=high)
    return [_size(effect.estimate, is_log), interval, p_text(effect.p), str(effect.seeds), str(effect.cells)]


def _size(value: float, is_log: bool) -> str:
    return factor_text(value) if is_log else signed(value)


def effect_name(content: Content, grid: Factorial, effect: FactorEffect) -> str:
    """`latent_dim` 16 → 100, mean over the others; or an interaction of two such steps."""
    steps = [
        f"{code(factor)} {escape(grid.levels[factor][0])} → {escape(level)}"
        for factor, level in zip(effect.factors, effect.levels, strict=True)
    ]
    if len(steps) == 1:
        return content.language.say("{step}, mean over the rest of the grid", step=steps[0])
    return content.language.say("Interaction: {first} with {second}", first=steps[0], second=steps[1])


def effects_text(content: Content, against: ColumnComparison, crossed: CrossedEffects) -> list[str]:
    """A sentence for each interaction: whether one factor's effect depends on the other's level."""
    if not crossed.effects:
        return [content.language.say("Not all of its cells are measured with one common seed yet.")]
    return [_interaction(content, against, crossed.grid, effect) for effect in _interactions(crossed.effects)]


def _interactions(effects: Sequence[FactorEffect]) -> list[FactorEffect]:
    return [effect for effect in effects if len(effect.factors) == 2]


def _interaction(content: Content, against: ColumnComparison, grid: Factorial, effect: FactorEffect) -> str:
    say = content.language.say
    first, second = effect.factors
    shown: dict[str, object] = {
        "first": code(first),
        "second": code(second),
        "step": f"{code(first)} {escape(grid.levels[first][0])} → {escape(effect.levels[0])}",
        "low_level": f"{code(second)} = {escape(grid.levels[second][0])}",
        "high_level": f"{code(second)} = {escape(effect.levels[1])}",
        "metric": escape(say(against.column.measures.title)),
    }
    low, high = _simple_effects(against, grid, effect)
    is_log = against.comparison.scale == "log"
    shown |= {"at_low": _size(low, is_log), "at_high": _size(high, is_log)}
    simple = (
        say(
            "{step} multiplies {metric} by {at_low} at {low_level} and by {at_high} at {high_level}.",
            **shown,
        )
        if is_log
        else say("{step} changes {metric} by {at_low} at {low_level} and by {at_high} at {high_level}.", **shown)
    )
    if effect.p is None:
        told = say("One seed: whether they interact cannot be told.")
    elif effect.p < against.comparison.alpha:
        told = say(
            "The two factors interact ({p}, not adjusted): what one does depends on the other's level.",
            p=p_equation(effect.p),
        )
    else:
        told = say(
            "Whether the two factors interact cannot be told from these seeds ({p}): the two numbers may be one.",
            p=p_equation(effect.p),
        )
    return content.language.paragraph(simple, told)


def _simple_effects(against: ColumnComparison, grid: Factorial, effect: FactorEffect) -> tuple[float, float]:
    """The first factor's effect at the second's reference level and at its other one, mean over shared seeds and the
    rest of the grid, on the analysis scale."""
    first, second = effect.factors
    return (
        _level_mean(against, grid, {first: effect.levels[0], second: grid.levels[second][0]})
        - _level_mean(against, grid, {first: grid.levels[first][0], second: grid.levels[second][0]}),
        _level_mean(against, grid, {first: effect.levels[0], second: effect.levels[1]})
        - _level_mean(against, grid, {first: grid.levels[first][0], second: effect.levels[1]}),
    )


def _level_mean(against: ColumnComparison, grid: Factorial, at: dict[str, str]) -> float:
    cells = [
        cell
        for levels, cell in grid.cells.items()
        if all(dict(zip(grid.factors, levels, strict=True))[factor] == level for factor, level in at.items())
    ]
    seeds = shared_seeds(against, grid)
    means = [scaled_mean(against, cell.cell.name, seed) for cell in cells for seed in seeds]
    return sum(means) / len(means)


def shared_seeds(against: ColumnComparison, grid: Factorial) -> list[int]:
    """Seeds that all cells of a grid are measured with."""
    return sorted(set.intersection(*(set(against.values[cell.cell.name].values) for cell in grid.cells.values())))


def scaled_mean(against: ColumnComparison, cell: str, seed: int) -> float:
    """A seed's mean over repeats on the analysis scale."""
    values = against.values[cell].values[seed]
    mean = sum(values) / len(values)
    return math.log(mean) if against.comparison.scale == "log" else mean
