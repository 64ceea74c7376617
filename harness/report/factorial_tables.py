"""Main effects and interactions of cells that cross factors, each with its p adjusted for all of them, as tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.multiplicity import holm
from harness.analysis.statistics import FactorEffect, Scale, factorial_effects
from harness.analysis.variance import seed_means
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content
from harness.report.factor_changes import Factorial, factorials
from harness.report.markdown import code, escape, table
from harness.report.verdicts import factor_text, interval_text, p_text, signed


@dataclass(frozen=True)
class JudgedEffect:
    """An effect with its p adjusted (Holm) for all effects of its kind, main effects or interactions, that are told of
    one column: `family` of them. p_holm: None where p is."""

    effect: FactorEffect
    p_holm: float | None
    family: int

    def is_sure(self, alpha: float) -> bool:
        """Beyond chance after the adjustment."""
        return self.p_holm is not None and self.p_holm <= alpha

    def is_hint(self, alpha: float) -> bool:
        """Beyond chance by itself, whatever the adjustment makes of it."""
        return self.effect.p is not None and self.effect.p <= alpha


@dataclass(frozen=True, eq=False)
class CrossedEffects:
    """A factorial grid with its effects in one column; none where its cells share no measured seed."""

    grid: Factorial
    judged: tuple[JudgedEffect, ...]

    @property
    def effects(self) -> tuple[FactorEffect, ...]:
        return tuple(one.effect for one in self.judged)

    def of(self, *factors: str) -> JudgedEffect | None:
        """The first effect of these factors."""
        return next((one for one in self.judged if one.effect.factors == factors), None)


def crossed_effects(content: Content, against: ColumnComparison) -> list[CrossedEffects]:
    """Of every set of cells in this column that cross factors."""
    held = set(map(id, against.cells))
    found = [grid for grid in factorials(content) if all(id(cell) in held for cell in grid.cells.values())]
    effects = [_effects(against, grid) for grid in found]
    adjusted = _adjusted([effect for of_grid in effects for effect in of_grid])
    return [
        CrossedEffects(grid, tuple(adjusted[effect] for effect in of_grid))
        for grid, of_grid in zip(found, effects, strict=True)
    ]


def _adjusted(effects: Sequence[FactorEffect]) -> dict[FactorEffect, JudgedEffect]:
    """Equal effects of two grids are one test."""
    judged: dict[FactorEffect, JudgedEffect] = {}
    for n_factors in (1, 2):
        of_kind = dict.fromkeys(effect for effect in effects if len(effect.factors) == n_factors)
        tested = [effect for effect in of_kind if effect.p is not None]
        p_holm = dict(zip(tested, holm([effect.p for effect in tested if effect.p is not None]), strict=True))
        judged |= {effect: JudgedEffect(effect, p_holm.get(effect), len(tested)) for effect in of_kind}
    return judged


def _effects(against: ColumnComparison, grid: Factorial) -> tuple[FactorEffect, ...]:
    values = {levels: against.values[cell.cell.name] for levels, cell in grid.cells.items()}
    return factorial_effects(values, grid.factors, against.comparison)


def effects_table(content: Content, against: ColumnComparison, crossed: CrossedEffects) -> str:
    """A row per main effect, then per interaction; empty without effects."""
    say, scale = content.language.say, against.comparison.scale
    headers = [
        say("Effect"), say("Ratio") if scale == "log" else say("Difference"), say("95 % interval"), "p",
        say("p (Holm)"), say("Seeds"), say("Cells"),
    ]  # fmt: skip
    rows = [[effect_name(content, crossed.grid, one.effect), *_numbers(content, one, scale)] for one in crossed.judged]
    return table(headers, rows, right=[1]) if rows else ""


def _numbers(content: Content, one: JudgedEffect, scale: Scale) -> list[str]:
    effect = one.effect
    size = factor_text(effect.estimate) if scale == "log" else signed(effect.estimate)
    interval = interval_text(content.language, effect, scale)
    return [size, interval, p_text(effect.p), p_text(one.p_holm), str(effect.seeds), str(effect.cells)]


def effect_name(content: Content, grid: Factorial, effect: FactorEffect) -> str:
    """`latent_dim` 16 → 100, mean over the others; or an interaction of two such steps."""
    steps = [
        f"{code(factor)} {escape(grid.levels[factor][0])} → {escape(level)}"
        for factor, level in zip(effect.factors, effect.levels, strict=True)
    ]
    if len(steps) == 1:
        return content.language.say("{step}, mean over the rest of the grid", step=steps[0])
    return content.language.say("Interaction: {first} with {second}", first=steps[0], second=steps[1])


def shared_seeds(against: ColumnComparison, grid: Factorial) -> list[int]:
    """Seeds that all cells of a grid have finite values of."""
    measured = (seed_means(against.values[cell.cell.name], "linear") for cell in grid.cells.values())
    return sorted(set.intersection(*map(set, measured)))


def scaled_mean(against: ColumnComparison, cell: str, seed: int) -> float:
    """A seed's mean over repeats on the analysis scale."""
    values = against.values[cell].values[seed]
    mean = sum(values) / len(values)
    return math.log(mean) if against.comparison.scale == "log" else mean
