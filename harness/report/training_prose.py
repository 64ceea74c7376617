"""Sentences about losses: what their curves show, where they meet, and what cells have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.analysis.dynamics import HYSTERESIS_NATS, default_window
from harness.design.factors import canonical_level
from harness.report.content import Content, ReportCell, scale_of
from harness.report.crossings import has_comparable_losses
from harness.report.figures.training import MOST_OTHERS, MOST_OVERLAID
from harness.report.language import Language
from harness.report.markdown import code, escape
from harness.report.rounding import plain_level

SHARED = (
    "generator", "discriminator", "latent_dim", "generator_hidden_dim", "discriminator_hidden_dim",
    "generator_normalization", "discriminator_normalization", "generator_activation", "discriminator_activation",
    "discriminator_dropout", "initialization", "loss", "real_label", "fake_label", "generator_lr", "discriminator_lr",
    "generator_betas", "discriminator_betas", "discriminator_steps", "generator_steps", "resolution", "batch_size",
)  # fmt: skip
"""Factors that a caption of training curves names where all its cells share them; the settings' table has all."""
MOST_SEEDS = 6
"""Seeds whose counts are told one by one."""


def crossings_summary(content: Content) -> str:
    """Which cells' smoothed losses cross, how often, and how many runs never do; empty where nothing is counted."""
    language = content.language
    by_cell = {
        cell: [len(run.dynamics.crossings) for run in cell.runs if run.dynamics and run.dynamics.is_counted]
        for cell in content.cells
    }
    counts = [count for of_cell in by_cell.values() for count in of_cell]
    if not counts:
        return ""
    if not any(counts):
        return language.plural(
            "The smoothed losses of G and D never cross in the one run that can be judged.",
            "The smoothed losses of G and D cross in none of {n} runs.",
            len(counts),
        )
    cells = [
        language.say(
            "{cell} ({counts})", cell=escape(cell.label), counts=language.listed(map(str, of_cell[:MOST_SEEDS]))
        )
        for cell, of_cell in by_cell.items()
        if any(of_cell)
    ]
    return language.plural(
        "The smoothed losses of G and D cross in {some} of {n} run (in brackets, how often in each seed): {cells}.",
        "The smoothed losses of G and D cross in {some} of {n} runs (in brackets, how often in each seed): {cells}.",
        len(counts),
        some=sum(count > 0 for count in counts),
        cells=language.shortened_clauses(cells),
    )


def uncounted_losses(content: Content) -> str:
    """Which cells' losses do not meet at one value, why, and that no crossing is counted; empty where all meet."""
    cells = [cell for cell in content.cells if not has_comparable_losses(cell)]
    if not cells:
        return ""
    language = content.language
    unit = language.say("The curves are shown in the losses' own units, without ln 2.")
    uncounted = (
        language.say("Crossings are not counted for any cell.")
        if len(cells) == len(content.cells)
        else language.say("Crossings are not counted for {cells}.", cells=named(language, cells))
    )
    return language.paragraph(why_losses_do_not_meet(content, cells), unit, uncounted)


def why_losses_do_not_meet(content: Content, cells: Sequence[ReportCell]) -> str:
    """Of cells whose losses have no common value at D = 1/2."""
    language = content.language
    other = dict.fromkeys(code(loss) for cell in cells if (loss := cell.cell.hyperparameters.loss) != "bce")
    labels = dict.fromkeys(_labels(language, cell) for cell in cells if cell.cell.hyperparameters.loss == "bce")
    return language.paragraph(
        language.say(
            "Only with binary cross entropy and labels that add up to 1 do both losses meet at one value when the "
            "discriminator cannot tell real from generated."
        ),
        language.say("With {losses} they have no common scale.", losses=language.listed(other)) if other else "",
        language.say(
            "With labels of {labels}, whose means do not add up to 1, the discriminator would answer something else "
            "than 1/2 then, and both losses would differ.",
            labels=language.one_of(list(labels)),
        )
        if labels
        else "",
    )


def _labels(language: Language, cell: ReportCell) -> str:
    hp = cell.cell.hyperparameters
    real, fake = canonical_level(hp.real_label), canonical_level(hp.fake_label)
    return language.say("{real} (real) and {fake} (generated)", real=real, fake=fake)


def losses_shown(content: Content) -> str:
    """What the curves of losses are, and what is marked on them where any cell's losses meet."""
    language = content.language
    text = language.paragraph(
        language.say(
            "One panel per cell, with thick lines of the seed named over it and thin ones of up to {most} other seeds; "
            "vertical scales differ between panels.",
            most=MOST_OTHERS,
        ),
        per_term(content),
        language.say(
            "Pale lines are the recorded means, the others the same smoothed over {window} (a centered moving average, "
            "left out where it would reach over either end).",
            window=windows(content),
        ),
    )
    if not any(has_comparable_losses(cell) for cell in content.cells):
        return text
    return language.paragraph(
        text,
        language.say(
            "A circle marks a crossing of the smoothed losses. It is counted only once they are apart by more than "
            "{band} nats on the other side, so that noise around equality is not counted. The dotted line is ln 2 ≈ "
            "0.693: if the discriminator could not tell real from generated images and answered 1/2 to all, both "
            "losses would be ln 2. Losses near ln 2 do not show that images are good: an undecided discriminator may "
            "also be a weak one.",
            band=HYSTERESIS_NATS,
        ),
    )


def per_term(content: Content) -> str:
    """That D's loss of two terms is shown as their mean; empty where none has two."""
    two_terms = {scale_of(cell.cell.hyperparameters).terms == 2 for cell in content.cells}
    if two_terms == {True}:
        return content.language.say(
            "The discriminator's loss adds a term for real and a term for generated images; their mean is shown beside "
            "the generator's loss."
        )
    if two_terms == {False}:
        return ""
    return content.language.say(
        "In some cells the discriminator's loss adds a term for real and a term for generated images; their mean is "
        "shown beside the generator's loss."
    )


def overlay_shown(content: Content, shown: Sequence[ReportCell], left_out: Sequence[ReportCell]) -> str:
    """What the figure of all cells over each other shows."""
    language = content.language
    many = (
        language.say(
            "With more than {most} cells, all but the baseline are gray; the numbers at the right are those of the "
            "cells in the tables, and each has a panel of its own above.",
            most=MOST_OVERLAID,
        )
        if len(shown) > MOST_OVERLAID
        else ""
    )
    without = (
        language.say("Left out, as their losses have another scale: {cells}.", cells=named(language, left_out))
        if left_out
        else ""
    )
    return language.paragraph(
        language.say("The smoothed losses of the cells above over each other, each by the same seed."), many, without
    )


def shared_settings(content: Content) -> str:
    """What all cells have in common, as far as a caption of curves goes."""
    language = content.language
    first = content.cells[0].cell
    common = [
        f"{code(name)} {escape(plain_level(canonical_level(getattr(first.hyperparameters, name))))}"
        for name in SHARED
        if len({getattr(cell.cell.hyperparameters, name) for cell in content.cells}) == 1
    ]
    return language.paragraph(
        language.say("All cells share: {settings}.", settings=language.listed(common)) if common else "",
        language.say("Every factor is in the table of settings."),
    )


def cell_settings(content: Content, cell: ReportCell) -> str:
    """A line of the caption: what the cell has other than the baseline, and how far it went where not to the end."""
    language, run, training = content.language, cell.shown_run(), cell.cell.training
    levels = [
        f"{code(name)} {escape(plain_level(level))}"
        for name, level in content.levels(cell).items()
        if cell.cell.is_baseline or name in cell.cell.varied
    ]
    if cell.cell.is_baseline and not levels:
        what = language.say("the only cell")
    elif cell.cell.is_baseline:
        what = language.say("the baseline, with {levels}", levels=language.listed(levels))
    else:
        what = language.say("as the baseline, but {levels}", levels=language.listed(levels))
    shown = {"number": escape(cell.mark), "cell": escape(cell.label), "what": what}
    reached = round(run.curves.end)
    if reached == training.steps:
        return language.say("{number} {cell}: {what}.", **shown)
    return language.say(
        "{number} {cell}: {what}; {reached} of {steps} steps.", **shown, reached=reached, steps=training.steps
    )


def windows(content: Content) -> str:
    """Over how many steps loss curves are smoothed: `250 steps`, `70 to 250 steps`."""
    found = sorted({default_window(c.cell.training.steps, c.cell.training.log_every) for c in content.cells})
    if len(found) == 1:
        return content.language.plural("{n} step", "{n} steps", found[0])
    return content.language.say("{low} to {high} steps", low=found[0], high=found[-1])


def named(language: Language, cells: Iterable[ReportCell]) -> str:
    """Cells by their labels, in a list."""
    return language.shortened_clauses([escape(cell.label) for cell in cells])
