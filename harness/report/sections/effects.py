"""Effects of the factors: every cell against the baseline, crossed factors, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

from harness.report import (
    claims,
    effect_groups,
    effect_pictures,
    effect_tables,
    factorial_tables,
    factorial_words,
    floors,
    variance_tables,
)
from harness.report.album import Album, Picture
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content
from harness.report.effect_groups import EffectGroup
from harness.report.markdown import code, escape
from harness.report.templating import rendered


@dataclass(frozen=True)
class CrossedPart:
    """One set of cells that cross factors. heading: its grid, or its factors."""

    heading: str
    table: str
    sentences: list[str]


@dataclass(frozen=True)
class EffectsPart:
    """One column's differences. note: why nothing compares; empty where something does."""

    title: str
    note: str
    counts: str
    forest: list[Picture]
    is_log: bool
    has_intervals: bool
    baseline: str
    groups: list[EffectGroup]
    differences: str
    flips: str
    shared_error: str
    crossed: list[CrossedPart]
    interactions: list[Picture]
    pool: str
    components: str
    shares: str
    at_step: str
    fingerprint: str


def body(content: Content, album: Album) -> str:
    declared = content.view.plan.experiment.claim
    differences = [one for against in content.comparisons.values() for one in against.comparison.differences]
    return rendered(
        "sections/effects.md.jinja",
        content.language,
        parts=[_part(content, album, against) for against in content.comparisons.values()],
        family=claims.family_text(content) if declared else "",
        are_judged=any(one.se is not None for one in differences),
        has_flips=any(map(effect_tables.flips_can_tell, content.comparisons.values())),
        claims=[answer.sentence for answer in claims.answers(content)] if declared else [],
    )


def _part(content: Content, album: Album, against: ColumnComparison) -> EffectsPart:
    crossed = factorial_tables.crossed_effects(content, against)
    return EffectsPart(
        title=escape(against.column.title_in(content.language)),
        note=_note(content, against),
        counts=effect_tables.verdict_counts(content, against),
        forest=effect_pictures.forest_pictures(content, album, against),
        is_log=against.comparison.scale == "log",
        has_intervals=any(one.low is not None for one in against.comparison.differences),
        baseline=effect_groups.baseline_text(content, against),
        groups=effect_groups.effect_groups(content, against),
        differences=effect_tables.differences_table(content, against),
        flips=effect_tables.flips_text(content, against),
        shared_error=variance_tables.shared_error_text(content, against),
        crossed=[_crossed(content, against, one) for one in crossed],
        interactions=effect_pictures.interaction_pictures(content, album, against, crossed),
        pool=variance_tables.pool_text(content, against) if against.has_several_seeds and against.others else "",
        components=variance_tables.components_table(content, against) if against.has_several_seeds else "",
        shares=variance_tables.shares_text(content, against),
        at_step=_at_step(content, against),
        fingerprint=floors.fingerprint(against.column, content.language),
    )


def _note(content: Content, against: ColumnComparison) -> str:
    """What keeps the cells of a column from being compared, or forbids verdicts."""
    say = content.language.say
    if len(against.cells) == 1:
        return say("There is one cell, so there is nothing to compare.")
    if against.baseline is None and not content.view.plan.experiment.include_baseline:
        return say(
            "The file leaves the baseline out (`include_baseline = false`), so that no cell is compared with it."
        )
    if against.baseline is None:
        return say("The baseline is not measured under this protocol, so that no cell is compared with it.")
    if not any(values.values for values in against.values.values()):
        return say("Nothing to show yet: no checkpoint has been measured under this protocol.")
    if not against.has_several_seeds:
        return say(
            "One seed: no verdict. Another seed may put the cells in another order, so these are numbers and no "
            "findings."
        )
    return ""


def _crossed(content: Content, against: ColumnComparison, one: factorial_tables.CrossedEffects) -> CrossedPart:
    factors = content.language.all_of([code(factor) for factor in one.grid.factors])
    heading = (
        content.language.say("Crossed: {factors} (grid {grid})", factors=factors, grid=escape(one.grid.name))
        if one.grid.name
        else content.language.say("Crossed: {factors}", factors=factors)
    )
    return CrossedPart(
        heading,
        factorial_tables.effects_table(content, against, one),
        factorial_words.effects_text(content, against, one),
    )


def _at_step(content: Content, against: ColumnComparison) -> str:
    """Which checkpoint is compared, and the cells that have no value there yet."""
    say = content.language.say
    steps = sorted(set(against.steps.values()))
    ends = {against.column.steps(cell.cell)[-1] for cell in against.cells}
    shown = content.language.one_of([str(step) for step in steps])
    if set(steps) == ends:
        return say("Compared is the last checkpoint that the file asks for: step {steps}.", steps=shown)
    return say(
        "Compared is the last checkpoint that all measured seeds of the baseline have: step {steps}. Runs are still "
        "under way, and later steps may say something else.",
        steps=shown,
    )
