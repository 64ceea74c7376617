"""What crossed factors do, in sentences: each factor's main effect, and whether it depends on the other factor."""

from __future__ import annotations

from harness.analysis.statistics import FactorEffect
from harness.analysis.variance import seed_means
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content
from harness.report.crossed_seeds import basis_text, more_seeds_text
from harness.report.factorial_tables import CrossedEffects, JudgedEffect, crossed_effects
from harness.report.markdown import code, escape
from harness.report.verdicts import interval_text, p_equation, sized_value


def effects_text(content: Content, against: ColumnComparison, crossed: CrossedEffects) -> list[str]:
    """A sentence for every main effect and interaction, after what is missing."""
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
    told = [_told(content, against, crossed, one) for one in crossed.judged]
    return [sentence for sentence in (lacks, basis_text(content, against, crossed), *told) if sentence]


def crossed_summary(content: Content, against: ColumnComparison) -> list[str]:
    """A paragraph for each grid that crosses factors: its main effects, and interactions that there are or may be.

    Of cells that cross factors without a grid's name, what is sure alone.
    """
    paragraphs = []
    for crossed in crossed_effects(content, against):
        shown = [
            one
            for one in crossed.judged
            if (one.is_sure(against.comparison.alpha) or crossed.grid.name)
            and (len(one.effect.factors) == 1 or one.is_hint(against.comparison.alpha))
        ]
        told = [_told(content, against, crossed, one) for one in shown]
        basis = basis_text(content, against, crossed) if told else ""
        paragraphs.append(content.language.paragraph(basis, *told))
    return [paragraph for paragraph in dict.fromkeys(paragraphs) if paragraph]


def _told(content: Content, against: ColumnComparison, crossed: CrossedEffects, one: JudgedEffect) -> str:
    if len(one.effect.factors) == 1:
        more = more_seeds_text(content, against, crossed, one.effect)
        return content.language.paragraph(_main_effect(content, against, crossed, one), more)
    return _interaction(content, against, crossed, one)


def _main_effect(content: Content, against: ColumnComparison, crossed: CrossedEffects, one: JudgedEffect) -> str:
    language, effect = content.language, one.effect
    shown: dict[str, object] = {
        "step": step_text(crossed, effect, 0),
        "metric": escape(language.say(against.column.measures.title)),
        "change": sized_value(effect.estimate, against.comparison.scale),
        "rest": _rest(content, crossed, effect),
        "seeds": effect.seeds,
        "interval": interval_text(language, effect, against.comparison.scale),
    }
    if effect.seeds == 1:
        return language.say("{step}: {metric} {change}, averaged over {rest}. One seed: no verdict.", **shown)
    if one.p_holm is None or effect.low is None:
        return language.say(
            "{step}: {metric} {change}, averaged over {rest}; nothing varies, so there is no interval.", **shown
        )
    shown["p"] = p_equation(one.p_holm)
    if not one.is_sure(against.comparison.alpha):
        return language.plural(
            "Averaged over {rest}, no effect of {step} on {metric} is shown: {change} (95 % interval {interval}; "
            "{seeds} seeds; {p}).",
            "Averaged over {rest}, no effect of {step} on {metric} is shown: {change} (95 % interval {interval}; "
            "{seeds} seeds; {p} after adjustment for {n} main effects).",
            one.family,
            **shown,
        )
    if effect.estimate < 0:
        return language.plural(
            "Averaged over {rest}, {step} lowers {metric}: **{change}** (95 % interval {interval}; {seeds} seeds; "
            "{p}).",
            "Averaged over {rest}, {step} lowers {metric}: **{change}** (95 % interval {interval}; {seeds} seeds; "
            "{p} after adjustment for {n} main effects).",
            one.family,
            **shown,
        )
    return language.plural(
        "Averaged over {rest}, {step} raises {metric}: **{change}** (95 % interval {interval}; {seeds} seeds; {p}).",
        "Averaged over {rest}, {step} raises {metric}: **{change}** (95 % interval {interval}; {seeds} seeds; {p} "
        "after adjustment for {n} main effects).",
        one.family,
        **shown,
    )


def step_text(crossed: CrossedEffects, effect: FactorEffect, place: int) -> str:
    """`latent_dim` 16 → 100, of the effect's factor at `place`."""
    factor = effect.factors[place]
    return f"{code(factor)} {escape(crossed.grid.levels[factor][0])} → {escape(effect.levels[place])}"


def _rest(content: Content, crossed: CrossedEffects, effect: FactorEffect) -> str:
    """`hidden_dim` 16 and 100: the other factors' levels; where not all of their cells went in, in so many words."""
    language, grid = content.language, crossed.grid
    others = [factor for factor in grid.factors if factor not in effect.factors]
    whole = 2
    for factor in others:
        whole *= len(grid.levels[factor])
    if effect.cells != whole:
        return language.say("those cells of the grid that have values")
    levels = ((code(factor), [escape(level) for level in grid.levels[factor]]) for factor in others)
    return language.all_of(
        [language.say("{factor} {levels}", factor=name, levels=language.all_of(of)) for name, of in levels]
    )


def _interaction(content: Content, against: ColumnComparison, crossed: CrossedEffects, one: JudgedEffect) -> str:
    """Whether the first factor's step does the same at both levels of the second: seen, a hint, or not to be told."""
    language, effect, scale = content.language, one.effect, against.comparison.scale
    say, second = language.say, effect.factors[1]
    low, high = effect.at_levels or (0.0, 0.0)
    shown: dict[str, object] = {
        "step": step_text(crossed, effect, 0),
        "other": code(second),
        "metric": escape(say(against.column.measures.title)),
        "at_low": sized_value(low, scale),
        "at_high": sized_value(high, scale),
        "low": escape(crossed.grid.levels[second][0]),
        "high": escape(effect.levels[1]),
        "change": sized_value(effect.estimate, scale),
        "interval": interval_text(language, effect, scale),
    }
    if effect.seeds == 1:
        return say(
            "{step}: {metric} {at_low} at {other} = {low}, {at_high} at {other} = {high}. One seed: whether the two "
            "factors interact cannot be told.",
            **shown,
        )
    if effect.p is None or one.p_holm is None or effect.low is None:
        return say(
            "{step}: {metric} {at_low} at {other} = {low}, {at_high} at {other} = {high}. Nothing varies, so whether "
            "the two factors interact cannot be told.",
            **shown,
        )
    return _tested(content, one, against.comparison.alpha, shown)


def _tested(content: Content, one: JudgedEffect, alpha: float, shown: dict[str, object]) -> str:
    """Of an interaction with an interval. shown: the values of its sentence but for p."""
    language = content.language
    shown = shown | {"p": p_equation(one.p_holm or 0.0), "alone": p_equation(one.effect.p or 0.0)}
    if one.is_sure(alpha):
        return language.plural(
            "What {step} does depends on {other}: {metric} {at_low} at {other} = {low}, {at_high} at {other} = {high} "
            "(interaction {change}, 95 % interval {interval}; {p}).",
            "What {step} does depends on {other}: {metric} {at_low} at {other} = {low}, {at_high} at {other} = {high} "
            "(interaction {change}, 95 % interval {interval}; {p} after adjustment for {n} interactions).",
            one.family,
            **shown,
        )
    if one.is_hint(alpha):
        return language.say(
            "A hint, not more: {step} may act differently at another level of {other}: {metric} {at_low} at {other} = "
            "{low}, {at_high} at {other} = {high} (interaction {change}, 95 % interval {interval}; {alone} by "
            "itself, {p} after adjustment for {n} interactions).",
            n=one.family,
            **shown,
        )
    return language.say(
        "Whether what {step} does depends on {other} cannot be told: {metric} {at_low} at {other} = {low}, {at_high} "
        "at {other} = {high} (interaction {change}, 95 % interval {interval}; {alone}).",
        **shown,
    )


def interaction_title(content: Content, against: ColumnComparison, one: JudgedEffect | None) -> str:
    """The interaction in few words, for a picture; empty where there is none, or no interval of it."""
    say = content.figure_language.say
    if one is None:
        return ""
    change = sized_value(one.effect.estimate, against.comparison.scale)
    if one.effect.p is None or one.effect.low is None:
        return say("interaction {change} (no interval)", change=change)
    return say(
        "interaction {change} ({interval}), {p}",
        change=change,
        interval=interval_text(content.figure_language, one.effect, against.comparison.scale),
        p=p_equation(one.effect.p),
    )
