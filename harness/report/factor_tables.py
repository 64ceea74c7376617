"""Every factor of an experiment: those that vary, under the names that the report has, and those that cells share."""

from __future__ import annotations

from harness.design.factors import ALIASES, NO_LEVEL, Hyperparameters, Level, canonical_level, fields_of, levels_of
from harness.design.naming import shown_levels
from harness.report.content import Content
from harness.report.language import Language
from harness.report.markdown import code, escape, table
from harness.report.rounding import plain_level

MEANINGS = {name: str(field.description) for name, field in Hyperparameters.model_fields.items() if name != "own"}
"""What each factor is, in English."""


def varying_table(content: Content) -> str:
    """A row per factor (or alias) that varies: the baseline's level, the others, and what it is; empty without one."""
    plan, say = content.view.plan, content.language.say
    baseline = shown_levels(plan.experiment.baseline, plan.factors, plan.parameters)
    cells = [content.levels(cell) for cell in content.cells]
    rows = []
    for name in plan.factors:
        first = canonical_level(baseline[name])
        seen = dict.fromkeys(cell[name] for cell in cells if cell[name] not in (NO_LEVEL, first))  # in their order
        others = content.language.listed(escape(plain_level(level)) for level in seen)
        rows.append([code(name), escape(plain_level(first)), others or "–", _meaning(name, content.language)])
    return table([say("Factor"), say("Baseline"), say("Other levels"), say("What it is")], rows) if rows else ""


def shared_table(content: Content) -> str:
    """A row per factor that is the same in all cells; those that change nothing in any of them are left out."""
    plan, say = content.view.plan, content.language.say
    varying = {field for factor in plan.factors for field in fields_of(factor)}
    baseline = plan.experiment.baseline
    names = tuple(name for name in levels_of(baseline) if name not in varying)
    levels = shown_levels(baseline, names, plan.parameters)
    rows = [
        [code(name), _level_text(levels[name]), _meaning(name, content.language)]
        for name in names
        if levels[name] != NO_LEVEL
    ]
    return table([say("Factor"), say("Level"), say("What it is")], rows)


def _level_text(level: Level) -> str:
    return escape(plain_level(canonical_level(level)))


def _meaning(name: str, language: Language) -> str:
    """In a few words; of an alias, the fields that it sets; of a factor of someone's own part, that it is one."""
    if name in MEANINGS:
        return escape(language.say(MEANINGS[name]))
    if name in ALIASES:
        return language.all_of([code(field) for field in ALIASES[name]])
    return language.say("a factor of a part of one's own")
