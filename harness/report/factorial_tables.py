"""Main effects and interactions of cells that cross factors, as tables and sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.multiplicity import holm
from harness.analysis.statistics import FactorEffect, factorial_effects
from harness.analysis.variance import seed_means
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
    language, cells = content.language, crossed.grid.cells.values()
    missing = [cell for cell in cells if not seed_means(against.values[cell.cell.name], "linear")]
    lacks = ""
    if not crossed.effects:
        lacks = language.say("Its cells share no measured seed, so that no effect can be told.")
    elif missing:
        lacks = language.say(
            "Without a value, and left out of every effect with their counterparts: {cells}.",
            cells=language.shortened([escape(cell.label) for cell in missing]),
        )
    told = [_interaction(content, against, crossed.grid, effect) for effect in interactions(crossed.effects)]
    return [lacks, *told] if lacks else told


def interactions(effects: Sequence[FactorEffect]) -> list[FactorEffect]:
    return [effect for effect in effects if len(effect.factors) == 2]


def interactions_summary(content: Content, against: ColumnComparison) -> str:
    """Pairs of crossed factors of which one's effect depends on the other's level, adjusted for all such pairs."""
    found = [
        effect
        for crossed in crossed_effects(content, against)
        for effect in interactions(crossed.effects)
        if effect.p is not None
    ]
    adjusted = holm([effect.p for effect in found if effect.p is not None])
    sentences = []
    for effect, p in zip(found, adjusted, strict=True):
        if p > against.comparison.alpha:
            continue
        first, second = (code(factor) for factor in effect.factors)
        sentences.append(
            content.language.plural(
                "What {first} does depends on {second}: the two interact ({p}; the one interaction of this report).",
                "What {first} does depends on {second}: the two interact ({p} after adjustment for {n} interactions).",
                len(found),
                first=first,
                second=second,
                p=p_equation(p),
            )
        )
    return content.language.paragraph(*dict.fromkeys(sentences))


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
    low, high = effect.at_levels or (0.0, 0.0)
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
    if effect.seeds == 1:
        told = say("One seed: whether they interact cannot be told.")
    elif effect.p is None:
        told = say("Whether they interact cannot be told.")
    elif effect.p < against.comparison.alpha:
        told = say(
            "The two factors may interact, so that what one does depends on the other's level ({p}, not adjusted for "
            "other interactions).",
            p=p_equation(effect.p),
        )
    else:
        told = say(
            "Whether the two factors interact cannot be told from these seeds ({p}): the two numbers may be one.",
            p=p_equation(effect.p),
        )
    return content.language.paragraph(simple, told)


def shared_seeds(against: ColumnComparison, grid: Factorial) -> list[int]:
    """Seeds that all cells of a grid have finite values of."""
    measured = (seed_means(against.values[cell.cell.name], "linear") for cell in grid.cells.values())
    return sorted(set.intersection(*map(set, measured)))


def scaled_mean(against: ColumnComparison, cell: str, seed: int) -> float:
    """A seed's mean over repeats on the analysis scale."""
    values = against.values[cell].values[seed]
    mean = sum(values) / len(values)
    return math.log(mean) if against.comparison.scale == "log" else mean
