"""What to try: one table from symptoms to remedies and cells, and one TOML block for each remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.analysis.remedies import Remedy, RemedyName, Symptom
from harness.report.content import Content, ReportCell
from harness.report.diagnoses import Diagnosis
from harness.report.diagnosis_words import remedy_name_text, symptom_text
from harness.report.markdown import escape, fenced, table
from harness.report.quality import leading_column

MOST_CELLS_NAMED = 6


@dataclass(frozen=True)
class ToTry:
    """healthy: cells with symptoms to whom nothing is offered, since they are clearly better than the baseline."""

    table: str
    there: str
    healthy: str
    blocks: list[str]


def to_try(content: Content, diagnoses: Sequence[Diagnosis]) -> ToTry:
    """Of all cells with symptoms; all empty where there are none."""
    language = content.language
    ill = [one for one in diagnoses if one.symptoms]
    healthy = [one for one in ill if is_clearly_better(content, one.cell)]
    treated = [one for one in ill if one not in healthy]
    cells = language.shortened_clauses([escape(one.cell.label) for one in healthy])
    return ToTry(
        _table(content, treated) if treated else "",
        _there(content, treated),
        language.say(
            "Nothing is proposed for {cells}: closer to the real images than the baseline, beyond chance.", cells=cells
        )
        if healthy
        else "",
        _blocks(content, treated),
    )


def is_clearly_better(content: Content, cell: ReportCell) -> bool:
    """Whether the leading metric has the verdict *helps* for this cell."""
    column = leading_column(content)
    against = content.comparisons.get(column.title) if column else None
    difference = against.of(cell) if against else None
    return difference is not None and difference.verdict == "helps"


def _table(content: Content, diagnoses: Sequence[Diagnosis]) -> str:
    """A row per symptom: what to try, and the cells that have it."""
    language, by_symptom = content.language, dict[Symptom, list[Diagnosis]]()
    for one in diagnoses:
        for symptom in one.symptoms:
            by_symptom.setdefault(symptom, []).append(one)
    rows = []
    for symptom, having in by_symptom.items():
        remedies = {
            remedy.name: None for one in having for found in one.symptoms[symptom].values() for remedy in found.remedies
        }
        names = [remedy_name_text(name, language) for name in remedies]
        cells = language.shortened_clauses([escape(one.cell.label) for one in having], MOST_CELLS_NAMED)
        rows.append([symptom_text(symptom, language), language.listed(names) or "–", cells])
    return table([language.say("Symptom"), language.say("What to try"), language.say("Cells")], rows)


def _blocks(content: Content, diagnoses: Sequence[Diagnosis]) -> list[str]:
    """For each remedy the `[[cell]]` of the first cell that it is for and that the file does not have."""
    first: dict[RemedyName, str] = {}
    for one in diagnoses:
        for remedy in one.remedies:
            if remedy.name not in first and not _existing(content, one.cell, remedy):
                comment = content.language.say(
                    "{remedy}, for {cell}", remedy=remedy_name_text(remedy.name, content.language), cell=one.cell.label
                )
                first[remedy.name] = fenced(remedy.cell_table(one.cell.cell.varied, comment), "toml")
    return list(first.values())


def _there(content: Content, diagnoses: Sequence[Diagnosis]) -> str:
    """The remedies that are cells of the file already; empty where none is."""
    language = content.language
    found: Mapping[str, None] = dict.fromkeys(
        language.say(
            "{remedy} for {cell} ({other})",
            remedy=remedy_name_text(remedy.name, language),
            cell=escape(one.cell.label),
            other=escape(other.label),
        )
        for one in diagnoses
        for remedy in one.remedies
        if (other := _existing(content, one.cell, remedy))
    )
    if not found:
        return ""
    return language.say("This file has already: {remedies}.", remedies=language.shortened_clauses(list(found)))


def _existing(content: Content, cell: ReportCell, remedy: Remedy) -> ReportCell | None:
    same = content.view.plan.cells_at(remedy.levels_with(cell.cell.varied))
    return next((other for other in content.cells if other.cell in same), None)
