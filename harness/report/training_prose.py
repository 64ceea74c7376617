"""Sentences about training: what curves of losses and of answers show, and where there is nothing to show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.analysis.dynamics import HYSTERESIS_NATS, default_window
from harness.design.factors import canonical_level
from harness.report.content import Content, ReportCell, ReportRun, scale_of
from harness.report.crossings import has_comparable_losses
from harness.report.figures.training import MOST_OVERLAID
from harness.report.language import Language
from harness.report.markdown import code, escape

SHARED = (
    "generator", "discriminator", "latent_dim", "generator_hidden_dim", "discriminator_hidden_dim",
    "generator_normalization", "discriminator_normalization", "generator_activation", "discriminator_activation",
    "discriminator_dropout", "initialization", "loss", "real_label", "fake_label", "generator_lr", "discriminator_lr",
    "generator_betas", "discriminator_betas", "discriminator_steps", "generator_steps", "resolution", "batch_size",
)  # fmt: skip
"""Factors that a caption of training curves names where all its cells share them; the settings' table has all."""


def crossings_summary(content: Content) -> str:
    """How often losses crossed, over all runs that have smoothed losses."""
    counts = [len(run.dynamics.crossings) for run in content.runs if run.dynamics and run.dynamics.is_counted]
    if not counts:
        return ""
    low, high, language = min(counts), max(counts), content.language
    if low == high:
        return language.plural(
            "Smoothed generator and discriminator losses change places {times} times in the one run that can be "
            "counted.",
            "Smoothed generator and discriminator losses change places {times} times in each of {n} runs that can be "
            "counted.",
            len(counts),
            times=low,
        )
    return language.say(
        "Smoothed generator and discriminator losses change places between {low} and {high} times in each of {n} runs "
        "that can be counted.",
        low=low,
        high=high,
        n=len(counts),
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
        else language.say("Crossings are not counted for {cells}.", cells=_named(language, cells))
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
        language.say("One panel per cell, shown by the seed named over it; vertical scales differ between panels."),
        per_term(content),
        language.say(
            "Pale lines are the recorded means, thick lines the same smoothed over {window} (a centered moving "
            "average, left out where it would reach over either end).",
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
        language.say("With more than {most} cells, all but the baseline are gray.", most=MOST_OVERLAID)
        if len(shown) > MOST_OVERLAID
        else ""
    )
    without = (
        language.say("Left out, as their losses have another scale: {cells}.", cells=_named(language, left_out))
        if left_out
        else ""
    )
    return language.paragraph(
        language.say("The smoothed losses of the cells above over each other, each by the same seed."), many, without
    )


def answers_shown(content: Content) -> str:
    """What the five curves are, as the cells that record D's answers make their updates."""
    cells = [cell for cell in content.cells if has_probabilities(cell.shown_run())]
    several = [cell for cell in cells if cell.cell.hyperparameters.discriminator_steps > 1]
    fresh = [cell for cell in cells if cell.cell.hyperparameters.fake_batch == "fresh"]
    say, language = content.language.say, content.language
    start = language.paragraph(
        say(
            "Five curves per cell, of the seed named over it: both losses as above, and under them the mean answer of "
            "the discriminator to real images, D(x), and to generated ones, D(G(z)), before and after its update."
        ),
        say("1/2 is where it cannot tell them apart. A wide gap means that it tells them apart with ease."),
    )
    if not several and not fresh:
        return language.paragraph(
            start,
            say(
                "The distance between the two D(G(z)) lines is how much one update of the discriminator changes its "
                "answer."
            ),
        )
    return language.paragraph(
        start,
        say(
            "D(x) and D(G(z)) before are of the images of the discriminator's update, as it was before that update; "
            "D(G(z)) after is of the images of the generator's first update in the same step, which comes after it."
        ),
        say(
            "In {cells} a step has several updates of the discriminator: before is the mean over them, after follows "
            "the last.",
            cells=_some(language, several, cells),
        )
        if several
        else "",
        say(
            "In {cells} the generator has fresh images: before and after are not of the same ones.",
            cells=_some(language, fresh, cells),
        )
        if fresh
        else "",
        say(
            "The distance between the two D(G(z)) lines is how much one update of the discriminator changes its answer "
            "only where a step has one and both are of the same images."
        ),
    )


def shared_settings(content: Content) -> str:
    """What all cells have in common, as far as a caption of curves goes."""
    language = content.language
    first = content.cells[0].cell
    common = [
        f"{code(name)} {escape(canonical_level(getattr(first.hyperparameters, name)))}"
        for name in SHARED
        if len({getattr(cell.cell.hyperparameters, name) for cell in content.cells}) == 1
    ]
    return language.paragraph(
        language.say("All cells share: {settings}.", settings=language.listed(common)) if common else "",
        language.say("Every factor is in the table of settings."),
    )


def cell_settings(content: Content, cell: ReportCell) -> str:
    """A line of the caption: what the cell has other than the baseline, the seed that is shown and how far it went."""
    language, run, training = content.language, cell.shown_run(), cell.cell.training
    levels = [
        f"{code(name)} {escape(level)}"
        for name, level in content.levels(cell).items()
        if cell.cell.is_baseline or name in cell.cell.varied
    ]
    if cell.cell.is_baseline and not levels:
        what = language.say("the only cell")
    elif cell.cell.is_baseline:
        what = language.say("the baseline, with {levels}", levels=language.listed(levels))
    else:
        what = language.say("as the baseline, but {levels}", levels=language.listed(levels))
    return language.say(
        "{number} {cell}: {what}; seed {seed}, {reached} of {steps} steps.",
        number=escape(cell.mark),
        cell=escape(cell.label),
        what=what,
        seed=run.seed,
        reached=round(run.curves.end),
        steps=training.steps,
    )


def without_probabilities(content: Content) -> str:
    """Which cells have records but no D(x), and why; empty where all that have records have it."""
    cells = [cell for cell in content.cells if (run := cell.shown_run()).metrics and not has_probabilities(run)]
    if not cells:
        return ""
    losses = dict.fromkeys(code(cell.cell.hyperparameters.loss) for cell in cells)
    return content.language.say(
        "With {losses} the discriminator's output is no probability, so no answers are shown for {cells}.",
        losses=content.language.listed(losses),
        cells=_named(content.language, cells),
    )


def has_probabilities(run: ReportRun) -> bool:
    """Whether any record of the run has the discriminator's answers as probabilities."""
    return any(metric in run.curves.values for metric in ("prob/real", "prob/fake_before"))


def windows(content: Content) -> str:
    """Over how many steps loss curves are smoothed: `250 steps`, `70 to 250 steps`."""
    found = sorted({default_window(c.cell.training.steps, c.cell.training.log_every) for c in content.cells})
    if len(found) == 1:
        return content.language.plural("{n} step", "{n} steps", found[0])
    return content.language.say("{low} to {high} steps", low=found[0], high=found[-1])


def _some(language: Language, cells: Sequence[ReportCell], of: Sequence[ReportCell]) -> str:
    return language.say("all cells") if len(cells) == len(of) else _named(language, cells)


def _named(language: Language, cells: Iterable[ReportCell]) -> str:
    return language.shortened([escape(cell.label) for cell in cells])
