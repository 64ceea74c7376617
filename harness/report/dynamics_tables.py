"""Numbers of training per cell, mean and SD over seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, log
from statistics import fmean, stdev

from harness.analysis.curves import LAST_STEPS
from harness.report.content import Content, ReportCell
from harness.report.language import Language
from harness.report.markdown import escape, number, table
from harness.report.rounding import rounded
from harness.report.tables import cell_name

SHOWN = ("interleaving", "per_1000_steps", "loss_ratio", "loss_difference")
"""Fields of `RunDynamics` that the table of dynamics shows; the table of the equilibrium has the others."""
HARDLY = 0.1
"""Interleaving below which the losses of a cell hardly take turns."""
CORRELATED = (
    "interleaving", "per_1000_steps", "loss_generator", "loss_discriminator", "loss_ratio", "loss_difference",
    "accuracy_real", "accuracy_fake", "prob_real", "prob_fake", "real_distance", "fake_distance",
)  # fmt: skip


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


def numbers_table(content: Content) -> str:
    """A row per cell: how its losses take turns and how far they are apart."""
    say = content.language.say
    seeds, seeds_header = seeds_column(content)
    rows = [
        [
            str(cell.number), cell_name(cell), mean_and_sd(known(cell, "interleaving")),
            mean_and_sd(known(cell, "per_1000_steps")), _ratio(content.language, known(cell, "loss_ratio")),
            mean_and_sd(known(cell, "loss_difference")), *seeds(cell),
        ]
        for cell in content.cells
    ]  # fmt: skip
    headers = ["#", say("Cell"), *(title_of(field, content.language) for field in SHOWN), *seeds_header]
    return table(headers, rows, right=[0, *range(2, 6)])


def _ratio(language: Language, values: Sequence[float]) -> str:
    """Geometric mean, as ratios multiply, with the lowest and the highest seed: `24.4 (14.1 to 42.2)`."""
    if not values:
        return "–"
    mean = number(exp(fmean(map(log, values))), 3)
    if len(values) == 1:
        return mean
    low, high = number(min(values), 3), number(max(values), 3)
    return mean if low == high else language.say("{mean} ({low} to {high})", mean=mean, low=low, high=high)


def numbers_note(language: Language) -> str:
    return language.paragraph(
        language.say(
            "G / D and G − D compare the mean losses of the last {steps} steps, D's per term. G / D is the geometric "
            "mean over seeds, with the lowest and the highest seed; the others are means over seeds, ± SD over seeds.",
            steps=LAST_STEPS,
        ),
        language.say(
            "*Interleaving* says how much the two loss curves take turns, from 0 to 1: training is cut into ten parts, "
            "and it is how often two random records of one part disagree on which loss is higher, times two. 0: one "
            "network has the higher loss in each part from end to end; 1: they take turns all the time. Records are "
            "not smoothed for it; for crossings they are. A dash: the losses do not meet at one value, or there are "
            "too few records."
        ),
    )


def interleaving_summary(content: Content) -> str:
    """In how many cells losses take turns at all, and where most; empty where that is not known."""
    language = content.language
    found = [(fmean(values), cell) for cell in content.cells if (values := known(cell, "interleaving"))]
    if not found:
        return ""
    highest, cell = max(found, key=lambda item: item[0])
    if highest == 0:
        return language.plural(
            "The losses never take turns in the one cell that can be judged.",
            "The losses never take turns in any of {n} cells: interleaving is 0.",
            len(found),
        )
    if highest < HARDLY:
        return language.say(
            "The losses hardly take turns in any cell: interleaving is at most {highest} of 1, in {cell}.",
            cell=escape(cell.label),
            highest=number(highest, 2),
        )
    return language.say(
        "The losses take turns in {some} of {n} cells; most in {cell}, with an interleaving of {highest} on a scale "
        "from 0 to 1.",
        some=sum(value > 0 for value, _ in found),
        n=len(found),
        cell=escape(cell.label),
        highest=number(highest, 2),
    )


def known(cell: ReportCell, field: str) -> list[float]:
    """One number of every run of the cell that has it."""
    return [value for run in cell.runs if run.numbers and (value := getattr(run.numbers, field)) is not None]


def mean_and_sd(values: Sequence[float]) -> str:
    """`0.71 ± 0.02`, the mean to the digits that its SD leaves; without the SD for one value, a dash for none."""
    if not values:
        return "–"
    return rounded(fmean(values), stdev(values) if len(values) > 1 else None)


def seeds_column(content: Content) -> tuple[Callable[[ReportCell], list[str]], list[str]]:
    """What a row says of its seeds, and the column's header; both empty where it would be the same in all rows."""
    told = {cell.number: _seeds_of(cell, content.language) for cell in content.cells}
    if len(set(told.values())) == 1:
        return lambda cell: [], []
    return lambda cell: [told[cell.number]], [content.language.say("Seeds")]


def _seeds_of(cell: ReportCell, language: Language) -> str:
    """`2`, or `1 of 2` where not all runs have records."""
    n = sum(run.numbers is not None for run in cell.runs)
    return str(n) if n == len(cell.runs) else language.say("{n} of {asked}", n=n, asked=len(cell.runs))
