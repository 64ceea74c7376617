"""Was the equilibrium D = 1/2 reached? A table of each cell's last steps, and the answer in words."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.dynamics import EQUILIBRIUM_NATS, RunDynamics
from harness.analysis.equilibrium import ANSWER_TOLERANCE, LOSS_TOLERANCE, is_equilibrium
from harness.report.content import Content, ReportCell
from harness.report.crossings import has_comparable_losses
from harness.report.dynamics_tables import known, mean_and_sd, seeds_of
from harness.report.language import Language
from harness.report.markdown import escape, number, table
from harness.report.tables import cell_name
from harness.report.training_prose import why_losses_do_not_meet


def rule(language: Language) -> str:
    """What D* is, and when a run counts as having reached it."""
    return language.say(
        "For a fixed generator the best discriminator is D\\*(x) = p(x) / (p(x) + q(x)), with the densities p of real "
        "and q of generated images (Goodfellow et al. 2014, arXiv:1406.2661, proposition 1). Where q = p, it is 1/2 "
        "for every image, and both losses, D's per term, are ln 2 ≈ {ln2}. A run counts as having reached this where, "
        "over the last tenth of its steps, the means of D(x) and of D(G(z)) are less than {answer} from 1/2 and both "
        "losses less than {loss} nats from ln 2. D(G(z)) is the answer before the discriminator's update.",
        ln2=f"{EQUILIBRIUM_NATS:.3f}",
        answer=ANSWER_TOLERANCE,
        loss=LOSS_TOLERANCE,
    )


def caution(language: Language) -> str:
    """What D = 1/2 does not show."""
    return language.say(
        "D = 1/2 is what a perfect generator would bring about, but no proof of one: a discriminator that is too weak "
        "or learns too slowly answers 1/2 as well, and this rule cannot tell the two apart. Read it beside the "
        "comparison of cells: a cell at D = 1/2 that is far from the real images has a weak discriminator."
    )


def reached(cell: ReportCell) -> list[bool]:
    """Of each complete run that can tell, whether it reached the equilibrium."""
    found = [is_equilibrium(numbers, has_comparable_losses(cell)) for numbers in _complete(cell)]
    return [one for one in found if one is not None]


def _complete(cell: ReportCell) -> list[RunDynamics]:
    """Of its complete runs: networks start near 1/2, so what stopped on the way tells nothing."""
    return [run.numbers for run in cell.runs if run.numbers and run.view.status.state == "complete"]


def equilibrium_table(content: Content) -> str:
    """A row per cell: answers and losses over the last tenth of training, mean and SD over seeds."""
    language = content.language
    say = language.say
    rows = []
    for cell in content.cells:
        found = reached(cell)
        verdict = say("{n} of {asked}", n=sum(found), asked=len(found)) if found else "–"
        rows.append([
            str(cell.number), cell_name(cell), *(mean_and_sd(known(cell, field)) for field in _FIELDS),
            seeds_of(cell, language), verdict,
        ])  # fmt: skip
    headers = [
        "#", say("Cell"), "D(x)", say("its distance from 1/2"), "D(G(z))", say("its distance from 1/2"),
        say("G's loss"), say("D's loss per term"), say("Seeds"), say("Reached, in seeds"),
    ]  # fmt: skip
    return table(headers, rows, right=[0, *range(2, 8)])


_FIELDS = ("prob_real", "real_distance", "prob_fake", "fake_distance", "loss_generator", "loss_discriminator")


def table_note(language: Language) -> str:
    return language.say(
        "Means over the last tenth of each run's steps, ± SD over seeds where there are several; ln 2 = {ln2}. "
        "Distances are means over the recorded intervals, so that swings around 1/2 do not cancel.",
        ln2=f"{EQUILIBRIUM_NATS:.3f}",
    )


def equilibrium_summary(content: Content) -> str:
    """Whether any run reached the equilibrium, in a sentence; empty where none can tell."""
    by_cell = {cell: found for cell in content.cells if (found := reached(cell))}
    runs = sum(len(found) for found in by_cell.values())
    there = sum(sum(found) for found in by_cell.values())
    language = content.language
    if not runs:
        return ""
    others = sum(len([run for run in cell.runs if run.numbers]) - len(_complete(cell)) for cell in content.cells)
    left_out = (
        language.plural(
            "{n} run that is not complete is left out.", "{n} runs that are not complete are left out.", others
        )
        if others
        else ""
    )
    if not there:
        told = language.plural(
            "The equilibrium D = 1/2 was not reached in the one run that can tell.",
            "The equilibrium D = 1/2 was reached in none of {n} runs that can tell.",
            runs,
        )
        return language.paragraph(told, left_out)
    cells = [
        language.say("{cell} ({n} of {asked} seeds)", cell=escape(cell.label), n=sum(found), asked=len(found))
        for cell, found in by_cell.items()
        if any(found)
    ]
    told = language.plural(
        "The equilibrium D = 1/2 was reached in {there} of {n} run that can tell: {cells}.",
        "The equilibrium D = 1/2 was reached in {there} of {n} runs that can tell: {cells}.",
        runs,
        there=there,
        cells=language.shortened(cells),
    )
    return language.paragraph(told, left_out)


def answers(content: Content) -> list[str]:
    """A sentence per cell that did not reach it: by how much it missed, and on which side."""
    return [sentence for cell in content.cells if (sentence := _answer(content.language, cell))]


def _answer(language: Language, cell: ReportCell) -> str:
    found = reached(cell)
    if not found or all(found):
        return ""
    values = _complete(cell)
    real, fake = _mean(values, "prob_real"), _mean(values, "prob_fake")
    if real is None or fake is None:
        return ""
    how = (
        language.say("the discriminator tells real from generated images")
        if real - fake > 2 * ANSWER_TOLERANCE
        else language.say("the answers are off, though not far apart")
    )
    return language.say(
        "{cell}: not reached in {n} of {asked} seeds; D(x) is {real} and D(G(z)) {fake} on average: {how}.",
        cell=cell_name(cell),
        n=len(found) - sum(found),
        asked=len(found),
        real=number(real, 2),
        fake=number(fake, 2),
        how=how,
    )


def _mean(values: Sequence[RunDynamics], field: str) -> float | None:
    found = [value for one in values if (value := getattr(one, field)) is not None]
    return sum(found) / len(found) if found else None


def without_equilibrium(content: Content) -> str:
    """Which cells have no such equilibrium, and why; empty where all have."""
    cells = [cell for cell in content.cells if not has_comparable_losses(cell)]
    if not cells:
        return ""
    language = content.language
    return language.paragraph(
        why_losses_do_not_meet(content, cells),
        language.say(
            "Whether the equilibrium was reached is therefore not told for {cells}.",
            cells=language.shortened([escape(cell.label) for cell in cells]),
        ),
    )
