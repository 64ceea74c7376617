"""Which numbers of training go with the quality of images across cells, and what that can show."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from harness.analysis.correlation import LEAST_CELLS, RankCorrelation, rank_correlations
from harness.analysis.multiplicity import holm
from harness.report.columns import Column
from harness.report.content import Content, ReportCell
from harness.report.dynamics_tables import CORRELATED, known, title_of
from harness.report.language import Language
from harness.report.markdown import escape, number, table
from harness.report.quality import leading_column, quality, unlike_the_data

BELOW = 0.05
"""p from which on chance is no good explanation."""


@dataclass(frozen=True)
class Correlations:
    """Of every number with the leading column; without: the same without `failed` cells, whose images are not like the
    data, by number's name; empty where there are none."""

    column: Column
    found: tuple[RankCorrelation, ...]
    without: dict[str, RankCorrelation]
    failed: list[ReportCell]


def correlations(content: Content) -> Correlations | None:
    """Over cells' means at their last checkpoints; None where nothing is measured."""
    column = leading_column(content)
    measured = {cell: value for cell in content.cells if (value := quality(content, cell)) is not None}
    if column is None or not measured:
        return None
    failed = [cell for cell in measured if unlike_the_data(content, cell)]
    others = {cell: value for cell, value in measured.items() if cell not in failed}
    without = {one.name: one for one in _over(others)} if failed else {}
    return Correlations(column, _over(measured), without, failed)


def _over(measured: dict[ReportCell, float]) -> tuple[RankCorrelation, ...]:
    numbers = {
        field: {cell.cell.name: fmean(values) for cell in measured if (values := known(cell, field))}
        for field in CORRELATED
    }
    return rank_correlations(numbers, {cell.cell.name: value for cell, value in measured.items()})


def correlations_table(content: Content, told: Correlations) -> str:
    """Strongest first; numbers that order the cells alike share a row."""
    language = content.language
    rows = []
    for same in _alike(told):
        one, other = same[0], told.without.get(same[0].name)
        names = language.listed(title_of(each.name, language) for each in same)
        without = [_rho(other)] if other else []
        rows.append([names, _rho(one), number(one.p, 2), *without, str(one.cells)])
    headers = [language.say("Number"), language.say("Spearman's ρ"), "p"]
    headers += [language.say("ρ without {n} failed", n=len(told.failed))] if told.failed else []
    return table([*headers, language.say("Cells")], rows, right=range(1, len(headers) + 1))


def _alike(told: Correlations) -> list[list[RankCorrelation]]:
    """Correlations in groups of equal ρ and p, the strongest first, those without a ρ last."""
    groups: dict[tuple[object, ...], list[RankCorrelation]] = {}
    for one in told.found:
        other = told.without.get(one.name)
        alike = (one.rho, one.p, one.cells, other.rho if other else None)
        rounded = tuple(round(value, 9) if isinstance(value, float) else value for value in alike)
        groups.setdefault(rounded, []).append(one)
    return sorted(groups.values(), key=lambda same: -abs(same[0].rho or 0.0))


def _rho(one: RankCorrelation) -> str:
    return number(one.rho, 2)


def strongest_text(content: Content, told: Correlations) -> str:
    """The strongest correlation with its sign read out, where any is beyond chance; empty where there is none."""
    language, groups = content.language, _alike(told)
    first = groups[0]
    one, better = first[0], told.column.measures.better
    if one.rho is None or better == "neither":
        return ""
    shown = {
        "number": language.listed(title_of(each.name, language) for each in first),
        "rho": _rho(one),
        "p": number(one.p, 2),
    }
    p_values = [same[0].p for same in groups if same[0].p is not None]
    if min(holm(p_values)) >= BELOW:
        none = language.say(
            "No number goes with the quality of images beyond chance, after adjustment for {n} comparisons; closest to "
            "it: {number} (ρ = {rho}, p = {p} before adjustment).",
            **shown,
            n=len(p_values),
        )
        return language.paragraph(none, _without_failed(language, told, one))
    if (one.rho < 0) == (better == "lower"):
        text = language.say(
            "Strongest: {number} (ρ = {rho}, p = {p}). The higher this number, the "
            "closer a cell's images are to the real ones.",
            **shown,
        )
    else:
        text = language.say(
            "Strongest: {number} (ρ = {rho}, p = {p}). The higher this number, the "
            "farther a cell's images are from the real ones.",
            **shown,
        )
    return language.paragraph(text, _without_failed(language, told, one))


def _without_failed(language: Language, told: Correlations, one: RankCorrelation) -> str:
    other = told.without.get(one.name)
    if other is None or other.rho is None:
        return ""
    return language.say(
        "Without {cells}, whose images are not like the data, ρ is {rho}.",
        cells=language.shortened_clauses([escape(cell.label) for cell in told.failed]),
        rho=_rho(other),
    )


def correlations_note(content: Content, told: Correlations) -> str:
    """What the correlations are, and what they are not."""
    language, tested = content.language, [one for one in told.found if one.p is not None]
    return language.paragraph(
        language.say(
            "Rank correlation of each number with {column} at the last checkpoint, over the cells' means; −1 and 1 are "
            "perfect agreement in order, minus: the higher the number, the lower {column}. p is of a permutation test. "
            "Numbers in one row order the cells alike.",
            column=escape(told.column.title_in(language)),
        ),
        language.say(
            "This is a look at the cells of this grid, which were not drawn at random, and no test of a cause. {below} "
            "of {n} numbers have p below 0.05, where chance alone would give about one in 20; they hang together, so "
            "they are no independent finds. A dash: fewer than {least} cells have both numbers, or one number is the "
            "same in all.",
            below=sum(one.p is not None and one.p < BELOW for one in tested),
            n=len(tested),
            least=LEAST_CELLS,
        ),
    )
