"""Sentences about the discriminator's answers: what their curves show, and where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from harness.report.content import Content, ReportCell, ReportRun
from harness.report.dynamics_tables import known
from harness.report.language import Language
from harness.report.markdown import code, escape, number
from harness.report.training_prose import named, windows


def answers_summary(content: Content) -> str:
    """In which cells the answers to real and to generated images end closest together and farthest apart."""
    language, found = content.language, []
    for cell in content.cells:
        real, fake = known(cell, "prob_real"), known(cell, "prob_fake")
        if real and fake:
            found.append((fmean(real) - fmean(fake), fmean(real), fmean(fake), cell))
    if not found:
        return ""
    least, most = min(found, key=lambda item: item[0]), max(found, key=lambda item: item[0])
    if least[3] is most[3]:
        return language.say(
            "At the end of training D(x) is {real} and D(G(z)) {fake}.",
            real=number(most[1], 2),
            fake=number(most[2], 2),
        )
    return language.say(
        "At the end of training the discriminator's answers are closest together in {near} (D(x) {near_real}, D(G(z)) "
        "{near_fake}) and farthest apart in {far} (D(x) {far_real}, D(G(z)) {far_fake}).",
        near=escape(least[3].label),
        near_real=number(least[1], 2),
        near_fake=number(least[2], 2),
        far=escape(most[3].label),
        far_real=number(most[1], 2),
        far_fake=number(most[2], 2),
    )


def answers_shown(content: Content) -> str:
    """What the five curves are, as the cells that record D's answers make their updates."""
    cells = [cell for cell in content.cells if has_probabilities(cell.shown_run())]
    several = [cell for cell in cells if cell.cell.hyperparameters.discriminator_steps > 1]
    fresh = [cell for cell in cells if cell.cell.hyperparameters.fake_batch == "fresh"]
    say, language = content.language.say, content.language
    start = language.paragraph(
        say(
            "The mean answer of the discriminator to real images, D(x), and to generated ones, D(G(z)), before and "
            "after its update; with both losses in the section on losses, these are five curves per cell. Thick lines "
            "are of the seed named over the panel, smoothed over {window} as the losses are, with the recorded means "
            "pale behind them; thin lines are the smoothed D(x) of other seeds.",
            window=windows(content),
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


def without_probabilities(content: Content) -> str:
    """Which cells have records but no D(x), and why; empty where all that have records have it."""
    cells = [cell for cell in content.cells if (run := cell.shown_run()).metrics and not has_probabilities(run)]
    if not cells:
        return ""
    losses = dict.fromkeys(code(cell.cell.hyperparameters.loss) for cell in cells)
    return content.language.say(
        "With {losses} the discriminator's output is no probability, so no answers are shown for {cells}.",
        losses=content.language.listed(losses),
        cells=named(content.language, cells),
    )


def has_probabilities(run: ReportRun) -> bool:
    """Whether any record of the run has the discriminator's answers as probabilities."""
    return any(metric in run.curves.values for metric in ("prob/real", "prob/fake_before"))


def _some(language: Language, cells: Sequence[ReportCell], of: Sequence[ReportCell]) -> str:
    return language.say("all cells") if len(cells) == len(of) else named(language, cells)
