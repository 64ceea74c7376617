"""Numbers of training per cell, mean and SD over seeds, and how they go with the quality of images across cells."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev

from harness.analysis.correlation import LEAST_CELLS, RankCorrelation, rank_correlations
from harness.report.columns import Column
from harness.report.content import Content, ReportCell
from harness.report.language import Language
from harness.report.markdown import escape, number, spread, table
from harness.report.tables import cell_name

LOSSES = (
    "interleaving", "per_1000_steps", "loss_generator", "loss_discriminator", "loss_ratio", "loss_difference",
)  # fmt: skip
ANSWERS = ("accuracy_real", "accuracy_fake", "prob_real", "prob_fake", "real_distance", "fake_distance")
"""Fields of `RunDynamics` that the tables show."""


def title_of(field: str, language: Language) -> str:
    """A number of training as tables name it."""
    say = language.say
    return {
        "interleaving": say("Interleaving"),
        "per_1000_steps": say("Crossings per 1000 steps"),
        "loss_generator": say("G's loss"),
        "loss_discriminator": say("D's loss per term"),
        "loss_ratio": "G / D",
        "loss_difference": "G − D",
        "accuracy_real": say("Accuracy on real images"),
        "accuracy_fake": say("Accuracy on generated images"),
        "prob_real": "D(x)",
        "prob_fake": "D(G(z))",
        "real_distance": say("D(x): distance from 1/2"),
        "fake_distance": say("D(G(z)): distance from 1/2"),
    }[field]


def numbers_table(content: Content, fields: Sequence[str]) -> str:
    """A row per cell: each number as mean ± SD over seeds."""
    say = content.language.say
    rows = [
        [
            str(cell.number), cell_name(cell), *(mean_and_sd(known(cell, field)) for field in fields),
            seeds_of(cell, content.language),
        ]
        for cell in content.cells
    ]  # fmt: skip
    headers = ["#", say("Cell"), *(title_of(field, content.language) for field in fields), say("Seeds")]
    return table(headers, rows, right=[0, *range(2, 3 + len(fields))])


def numbers_note(language: Language) -> str:
    return language.paragraph(
        language.say(
            "Mean over seeds, ± SD over seeds where there are several. Losses, their ratio G / D and difference G − D, "
            "accuracies and answers are means over the last tenth of each run's steps, D's loss per term and D(G(z)) "
            "before the discriminator's update; a run that ended early counts up to there."
        ),
        language.say(
            "Interleaving says how much the two loss curves take turns, from 0 to 1: training is cut into ten parts, "
            "and the number is twice the chance that two records of one part have different networks with the higher "
            "loss, averaged over the parts. 0: one network leads each part from end to end; 1: they take turns all "
            "the time, or lie on each other within their noise. It is taken from the recorded means, crossings from "
            "smoothed ones. A dash: the losses do not meet at one value, the loss gives no such number, or there are "
            "too few records."
        ),
    )


def correlations(content: Content) -> tuple[Column, tuple[RankCorrelation, ...]] | None:
    """Of every number with the first column's last values, across cells; None where nothing is measured."""
    column = next((group[0] for group in content.groups), None)
    if column is None:
        return None
    cells = content.cells_in(column)
    quality = {c.cell.name: found.last.mean for c in cells if (found := content.summary(c, column))}
    if not quality:
        return None
    numbers = {
        field: {c.cell.name: fmean(values) for c in cells if (values := known(c, field))}
        for field in (*LOSSES, *ANSWERS)
    }
    return column, rank_correlations(numbers, quality)


def correlations_table(content: Content, found: Sequence[RankCorrelation]) -> str:
    say = content.language.say
    rows = [
        [title_of(one.name, content.language), number(one.rho, 2), number(one.p, 2), str(one.cells)] for one in found
    ]
    return table([say("Number"), say("Spearman's ρ"), "p", say("Cells")], rows, right=[1, 2, 3])


def correlations_note(content: Content, column: Column, found: Sequence[RankCorrelation]) -> str:
    """What the correlations are, and what they are not."""
    language = content.language
    tested = sum(one.p is not None for one in found)
    return language.paragraph(
        language.say(
            "Rank correlation of each number with {column} at the last checkpoint, over the cells' means; −1 and 1 are "
            "perfect agreement in order. p is of a permutation test.",
            column=escape(column.title_in(language)),
        ),
        language.say(
            "This is a look at the cells of this grid, which were not drawn at random, and no test of a cause: {n} "
            "numbers are compared, of which one in 20 would fall below p = 0.05 by chance. A dash: fewer than {least} "
            "cells have both numbers, or one number is the same in all.",
            n=tested,
            least=LEAST_CELLS,
        ),
    )


def known(cell: ReportCell, field: str) -> list[float]:
    """One number of every run of the cell that has it."""
    return [value for run in cell.runs if run.numbers and (value := getattr(run.numbers, field)) is not None]


def mean_and_sd(values: Sequence[float]) -> str:
    """`0.71 ± 0.02`; without the SD with one value, a dash without any."""
    if not values:
        return "–"
    mean = number(fmean(values), 3)
    return f"{mean} ± {spread(stdev(values))}" if len(values) > 1 else mean


def seeds_of(cell: ReportCell, language: Language) -> str:
    """`2`, or `1 of 2` where not all runs have records."""
    n = sum(run.numbers is not None for run in cell.runs)
    return str(n) if n == len(cell.runs) else language.say("{n} of {asked}", n=n, asked=len(cell.runs))
