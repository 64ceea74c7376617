"""Was the equilibrium D = 1/2 reached? The cells near it with the quality of their images, and a table of all."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from harness.analysis.curves import LAST_STEPS
from harness.analysis.dynamics import EQUILIBRIUM_NATS, RunDynamics
from harness.analysis.equilibrium import (
    ANSWER_TOLERANCE,
    CHANCE_ACCURACY,
    LOSS_TOLERANCE,
    Standing,
    has_left,
    standing,
)
from harness.report.content import Content, ReportCell
from harness.report.crossings import has_comparable_losses
from harness.report.dynamics_tables import known, mean_and_sd, seeds_column
from harness.report.language import Language
from harness.report.markdown import escape, number, table
from harness.report.quality import quality_text
from harness.report.tables import cell_name
from harness.report.training_prose import why_losses_do_not_meet

Judged = list[tuple[RunDynamics, Standing]]


def rule(language: Language) -> str:
    """What D* is, and when a run counts as having reached it."""
    return language.say(
        "For a fixed generator the best discriminator is D\\*(x) = p(x) / (p(x) + q(x)), with the densities p of real "
        "and q of generated images (Goodfellow et al. 2014, arXiv:1406.2661, proposition 1). Where q = p, it is 1/2 "
        "for every image, and both losses, D's per term, are ln 2 ≈ {ln2}. A run is *near 1/2* where, over its last "
        "{steps} steps, the means of D(x) and of D(G(z)) are less than {answer} from 1/2 and both losses less than "
        "{loss} nats from ln 2. It has *reached* the equilibrium where D, too, is right by chance alone, on {low:g} to "
        "{high:g} of the real and of the generated images: a D that answers 0.51 to real and 0.49 to generated images "
        "is near 1/2, yet tells them apart. D(G(z)) is the answer before the discriminator's update.",
        ln2=f"{EQUILIBRIUM_NATS:.3f}",
        steps=LAST_STEPS,
        answer=ANSWER_TOLERANCE,
        loss=LOSS_TOLERANCE,
        low=CHANCE_ACCURACY[0],
        high=CHANCE_ACCURACY[1],
    )


def caution(language: Language) -> str:
    """What D = 1/2 does not show."""
    return language.say(
        "D = 1/2 is what a perfect generator would bring about, but no sign of one by itself: a discriminator that is "
        "too weak, or that has not yet begun to learn, answers 1/2 as well. Read it beside the quality of the images."
    )


def judged(cell: ReportCell) -> Judged:
    """Each complete run that can be judged: networks start near 1/2, so what stopped on the way tells nothing."""
    complete = [run.numbers for run in cell.runs if run.numbers and run.view.status.state == "complete"]
    found = [(numbers, standing(numbers, has_comparable_losses(cell))) for numbers in complete]
    return [(numbers, one) for numbers, one in found if one is not None]


def _near(found: Judged) -> list[RunDynamics]:
    return [numbers for numbers, one in found if one != "away"]


def equilibrium_table(content: Content) -> str:
    """A row per cell: answers, accuracies and losses at the end of training, mean and SD over seeds."""
    say = content.language.say
    seeds, seeds_header = seeds_column(content)
    rows = []
    for cell in content.cells:
        found = judged(cell)
        near = say("{n} of {asked}", n=len(_near(found)), asked=len(found)) if found else "–"
        there = [one == "reached" for _, one in found if one != "answers near"]
        reached = say("{n} of {asked}", n=sum(there), asked=len(there)) if there else "–"
        row = [str(cell.number), cell_name(cell), *(mean_and_sd(known(cell, field)) for field in _FIELDS)]
        rows.append([*row, *seeds(cell), near, reached])
    headers = [
        "#", say("Cell"), "D(x)", "D(G(z))", say("Right on real"), say("Right on generated"), say("G's loss"),
        say("D's loss"), *seeds_header, say("Near 1/2"), say("Reached"),
    ]  # fmt: skip
    return table(headers, rows, right=[0, *range(2, 8)])


_FIELDS = ("prob_real", "prob_fake", "accuracy_real", "accuracy_fake", "loss_generator", "loss_discriminator")


def table_note(content: Content) -> str:
    language = content.language
    return language.paragraph(
        language.say(
            "Means over the last {steps} steps of each run (of a run shorter than twice that, over its second half), ± "
            "SD over seeds where there are several; D's loss is per term, ln 2 = {ln2}. *Right on real* is the share "
            "of real images with D(x) > 0.5, *right on generated* that of generated ones with D(G(z)) < 0.5. *Near "
            "1/2* and *reached* are in seeds, of those that can be judged.",
            steps=LAST_STEPS,
            ln2=f"{EQUILIBRIUM_NATS:.3f}",
        )
    )


def equilibrium_summary(content: Content) -> str:
    """Whether D's answers ended near 1/2, what that is worth, and whether the equilibrium was reached; empty where no
    run can be judged."""
    by_cell = {cell: found for cell in content.cells if (found := judged(cell))}
    runs = sum(len(found) for found in by_cell.values())
    near = sum(len(_near(found)) for found in by_cell.values())
    language = content.language
    if not runs:
        return ""
    if not near:
        told = language.plural(
            "At its end, D's mean answers are not near 1/2 in the one run that can be judged.",
            "At the end of training D's mean answers are near 1/2 in none of {n} runs.",
            runs,
        )
        return language.paragraph(told, _left_out(content, by_cell))
    cells = language.shortened_clauses(
        [_near_cell(content, cell, found) for cell, found in by_cell.items() if _near(found)]
    )
    told = language.plural(
        "At the end of training D's mean answers are near 1/2 in {near} of {n} run; this alone is no sign of good "
        "images: {cells}.",
        "At the end of training D's mean answers are near 1/2 in {near} of {n} runs; this alone is no sign of good "
        "images: {cells}.",
        runs,
        near=near,
        cells=cells,
    )
    return language.paragraph(told, _reached(language, by_cell), _left_out(content, by_cell))


def _reached(language: Language, by_cell: dict[ReportCell, Judged]) -> str:
    """In how many runs near 1/2 the discriminator cannot tell images apart; empty where that is not recorded."""
    known_ones = [one for found in by_cell.values() for _, one in found if one in ("tells apart", "reached")]
    there = known_ones.count("reached")
    if not known_ones:
        return ""
    if not there:
        return language.say("In none of these D is right by chance alone: the equilibrium D = 1/2 was not reached.")
    cells = [
        language.say("{cell} ({n} of {asked} seeds)", cell=escape(cell.label), n=n, asked=len(found))
        for cell, found in by_cell.items()
        if (n := sum(one == "reached" for _, one in found))
    ]
    return language.say(
        "In {n} of these D is right by chance alone, which makes the equilibrium D = 1/2: {cells}.",
        n=there,
        cells=language.shortened_clauses(cells),
    )


def _left_out(content: Content, by_cell: dict[ReportCell, Judged]) -> str:
    others = [run for cell in by_cell for run in cell.runs if run.numbers and run.view.status.state != "complete"]
    if not others:
        return ""
    return content.language.plural(
        "{n} run that is not complete is left out.", "{n} runs that are not complete are left out.", len(others)
    )


def _near_cell(content: Content, cell: ReportCell, found: Judged) -> str:
    """`MLP (2 of 2 seeds): FID (digits) 2474, D right on 87 % of real and 88 % of generated images`."""
    language, near = content.language, _near(found)
    shown = {"cell": escape(cell.label), "n": len(near), "asked": len(found)}
    real, fake = _mean(near, "accuracy_real"), _mean(near, "accuracy_fake")
    right = (
        ""
        if real is None or fake is None
        else language.say(
            "D right on {real:.0f} % of real and {fake:.0f} % of generated images", real=100 * real, fake=100 * fake
        )
    )
    about = language.listed(part for part in (quality_text(content, cell), right) if part)
    if not about:
        return language.say("{cell} ({n} of {asked} seeds)", **shown)
    return language.say("{cell} ({n} of {asked} seeds): {about}", **shown, about=about)


def answers(content: Content) -> list[str]:
    """A sentence per cell near 1/2, then one or two on all the others."""
    by_cell = [(cell, found) for cell in content.cells if (found := judged(cell))]
    near = [_near_line(content, cell, found) for cell, found in by_cell if _near(found)]
    others = [(cell, [numbers for numbers, _ in found]) for cell, found in by_cell if not _near(found)]
    apart = [item for item in others if _gap(item[1]) > 2 * ANSWER_TOLERANCE]
    close = [item for item in others if _gap(item[1]) <= 2 * ANSWER_TOLERANCE]
    return [*near, *_others(content.language, apart, close)]


def _near_line(content: Content, cell: ReportCell, found: Judged) -> str:
    language = content.language
    kinds = {one for _, one in found if one != "away"}
    if kinds == {"reached"}:
        what = language.say("D is right by chance alone: the equilibrium is reached.")
    elif "reached" in kinds:
        what = language.say("D is right by chance alone in some of these seeds.")
    elif kinds == {"answers near"}:
        what = language.say("Accuracies are not recorded, so whether D tells the images apart is not known.")
    else:
        what = language.say("D tells the images apart although its answers are timid: the equilibrium is not reached.")
    return language.paragraph(
        language.say("{near}.", near=_near_cell(content, cell, found)), what, _came_back(language, _near(found))
    )


def _came_back(language: Language, near: Sequence[RunDynamics]) -> str:
    """Whether answers came back to 1/2 or never were anywhere else."""
    left = [gone for numbers in near if (gone := has_left(numbers)) is not None]
    farthest = max((one.largest_distance for one in near if one.largest_distance is not None), default=0.0)
    if not left:
        return ""
    if not any(left):
        return language.say(
            "Its answers never left 1/2: over all of training they were at most {far} away.", far=number(farthest, 2)
        )
    if all(left):
        return language.say("Its answers came back to 1/2 after having been {far} away.", far=number(farthest, 2))
    return language.say(
        "Its answers came back to 1/2 in {n} of {asked} seeds and never left it in the others.",
        n=sum(left),
        asked=len(left),
    )


Runs = Sequence[tuple[ReportCell, Sequence[RunDynamics]]]


def _others(language: Language, apart: Runs, close: Runs) -> list[str]:
    """On the cells that are not near 1/2: those whose answers differ, and those whose answers are off together."""
    told = []
    if apart:
        told.append(
            language.say(
                "Not near 1/2, D tells real from generated images: {cells}. D(x) is {real}, D(G(z)) {fake}.",
                **_shown(language, apart),
            )
        )
    if close:
        told.append(
            language.say(
                "Not near 1/2, though the answers to both kinds of images are close to each other: {cells}. D(x) is "
                "{real}, D(G(z)) {fake}.",
                **_shown(language, close),
            )
        )
    return told


def _shown(language: Language, cells: Runs) -> dict[str, object]:
    return {
        "cells": language.shortened_clauses([escape(cell.label) for cell, _ in cells]),
        "real": _range(language, [_mean(runs, "prob_real") for _, runs in cells]),
        "fake": _range(language, [_mean(runs, "prob_fake") for _, runs in cells]),
    }


def _range(language: Language, values: Sequence[float | None]) -> str:
    texts = [number(value, 2) for value in sorted(value for value in values if value is not None)]
    if not texts or texts[0] == texts[-1]:
        return texts[0] if texts else "–"
    return language.say("{low} to {high}", low=texts[0], high=texts[-1])


def _gap(runs: Sequence[RunDynamics]) -> float:
    real, fake = _mean(runs, "prob_real"), _mean(runs, "prob_fake")
    return 0.0 if real is None or fake is None else real - fake


def _mean(values: Sequence[RunDynamics], field: str) -> float | None:
    found = [value for one in values if (value := getattr(one, field)) is not None]
    return fmean(found) if found else None


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
            cells=language.shortened_clauses([escape(cell.label) for cell in cells]),
        ),
    )
