"""What to try: one table from symptoms to remedies and cells, and one TOML block for each remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.analysis.comparison import Verdict
from harness.analysis.remedies import Remedy, RemedyName, Symptom
from harness.report.content import Content, ReportCell
from harness.report.diagnoses import Diagnosis
from harness.report.diagnosis_words import remedy_name_text, symptom_text
from harness.report.markdown import escape, fenced, table
from harness.report.quality import leading_column
from harness.report.rules_and_quality import do_not_follow

MOST_CELLS_NAMED = 6


@dataclass(frozen=True)
class ToTry:
    """healthy: why nothing is offered to some cells with symptoms: they are clearly better than the baseline, or the
    rules do not follow quality here and they are not clearly bad."""

    table: str
    there: str
    healthy: str
    blocks: list[str]


def to_try(content: Content, diagnoses: Sequence[Diagnosis]) -> ToTry:
    """Of all cells with symptoms; of clearly bad ones alone where the rules do not follow quality in this experiment.

    All empty where there are none.
    """
    ill = [one for one in diagnoses if one.symptoms]
    healthy = [one for one in ill if is_clearly_better(content, one.cell)]
    treated = [one for one in ill if one not in healthy]
    only_bad = do_not_follow(content, diagnoses)
    if only_bad:
        treated = [one for one in treated if _is_clearly_bad(content, one)]
    spared = only_bad and len(treated) + len(healthy) < len(ill)
    return ToTry(
        _table(content, treated) if treated else "",
        _there(content, treated),
        content.language.paragraph(_healthy(content, healthy), _spared(content, treated) if spared else ""),
        _blocks(content, treated),
    )


def _healthy(content: Content, healthy: Sequence[Diagnosis]) -> str:
    if not healthy:
        return ""
    return content.language.say(
        "Nothing is proposed for {cells}: closer to the real images than the baseline, beyond chance.",
        cells=_named(content, healthy),
    )


def _spared(content: Content, treated: Sequence[Diagnosis]) -> str:
    """That cells which are not clearly bad get no remedies, and which do."""
    language = content.language
    if not treated:
        return language.say(
            "As the rules do not follow the quality of images here, remedies are proposed only for cells that are "
            "worse than the baseline beyond chance, miss classes or have not begun to learn: for none."
        )
    return language.say(
        "As the rules do not follow the quality of images here, remedies are proposed only for cells that are worse "
        "than the baseline beyond chance, miss classes or have not begun to learn: {cells}.",
        cells=_named(content, treated),
    )


def _named(content: Content, diagnoses: Sequence[Diagnosis]) -> str:
    return content.language.shortened_clauses([escape(one.cell.label) for one in diagnoses])


def is_clearly_better(content: Content, cell: ReportCell) -> bool:
    """Whether the leading metric has the verdict *helps* for this cell."""
    return _verdict(content, cell) == "helps"


def _is_clearly_bad(content: Content, diagnosis: Diagnosis) -> bool:
    """Whether the leading metric has the verdict *hurts*, or any seed misses classes or has not begun to learn."""
    failing = any(symptom in diagnosis.symptoms for symptom in ("mode collapse", "no progress"))
    return failing or _verdict(content, diagnosis.cell) == "hurts"


def _verdict(content: Content, cell: ReportCell) -> Verdict | None:
    column = leading_column(content)
    against = content.comparisons.get(column.title) if column else None
    difference = against.of(cell) if against else None
    return difference.verdict if difference else None


def _table(content: Content, diagnoses: Sequence[Diagnosis]) -> str:
    """A row per symptom: what to try, and the cells that have it."""
    language, by_symptom = content.language, dict[Symptom, list[Diagnosis]]()
    for one in diagnoses:
        for symptom in one.symptoms:
            by_symptom.setdefault(symptom, []).append(one)
    rows = []
    for symptom, having in by_symptom.items():
        remedies = {
            remedy.name: None
            for one in having
            for found in one.symptoms[symptom].values()
            for remedy in _agreeing(one, found.remedies)
        }
        names = [remedy_name_text(name, language) for name in remedies]
        cells = language.shortened_clauses([escape(one.cell.label) for one in having], MOST_CELLS_NAMED)
        rows.append([symptom_text(symptom, language), language.listed(names) or "–", cells])
    return table([language.say("Symptom"), language.say("What to try"), language.say("Cells")], rows)


def _agreeing(one: Diagnosis, remedies: Sequence[Remedy]) -> list[Remedy]:
    """Without lower learning rates for a cell that has not begun to learn, which another symptom gives higher ones."""
    slow = any(remedy.name == "higher learning rates" for remedy in one.remedies)
    return [remedy for remedy in remedies if not (slow and remedy.name == "lower learning rates")]


def _blocks(content: Content, diagnoses: Sequence[Diagnosis]) -> list[str]:
    """For each remedy the `[[cell]]` of the first cell that it is for and that the file does not have."""
    first: dict[RemedyName, str] = {}
    for one in diagnoses:
        for remedy in _agreeing(one, one.remedies):
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
        for remedy in _agreeing(one, one.remedies)
        if (other := _existing(content, one.cell, remedy))
    )
    if not found:
        return ""
    return language.say("This file has already: {remedies}.", remedies=language.shortened_clauses(list(found)))


def _existing(content: Content, cell: ReportCell, remedy: Remedy) -> ReportCell | None:
    same = content.view.plan.cells_at(remedy.levels_with(cell.cell.varied))
    return next((other for other in content.cells if other.cell in same), None)
