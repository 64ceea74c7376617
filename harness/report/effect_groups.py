"""Cells by what is known of their difference to the baseline: an item for each, under a heading for each verdict."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from harness.analysis.statistics import Difference
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content, ReportCell
from harness.report.effects import is_told, item, shared_mean, short
from harness.report.factor_changes import changes
from harness.report.markdown import escape
from harness.report.side_changes import side_text
from harness.report.verdicts import level_text

MOST_LISTED = 30
"""Cells of one group that have a line each; of more, the first and last share one."""

Kind = Literal["sure", "too small", "inconclusive", "one seed", "not asked", "not measured"]
KINDS: tuple[Kind, ...] = ("sure", "too small", "inconclusive", "one seed", "not asked", "not measured")
"""In the order in which they are told."""


@dataclass(frozen=True)
class EffectGroup:
    """Cells of one kind. note: what holds of all of them; may be empty."""

    kind: Kind
    heading: str
    note: str
    items: list[str]


def effect_groups(content: Content, against: ColumnComparison) -> list[EffectGroup]:
    """The kinds that there are; in each the cells with most to say first, then in the table's order."""
    found = [(cell, one) for cell in against.others if (one := against.of(cell))]
    groups = []
    for kind in KINDS:
        cells = [(cell, one) for cell, one in found if _kind(one) == kind]
        if not cells:
            continue
        heading, note = _headed(content, kind, [cell for cell, _ in cells])
        told = [item(content, against, cell) for cell, one in cells if is_told(one)]
        rest = [(cell, one) for cell, one in cells if not is_told(one)]
        groups.append(EffectGroup(kind, heading, note, [*told, *_lines(content, against, rest)]))
    return groups


def _kind(one: Difference) -> Kind:
    if one.verdict in ("helps", "hurts", "differs"):
        return "sure"
    if one.verdict == "not asked" and one.estimate is not None:
        return "not asked"
    if one.estimate is None:
        return "not measured"
    if one.verdict == "one seed":
        return "one seed"
    return "too small" if one.within_smallest else "inconclusive"


def _headed(content: Content, kind: Kind, cells: list[ReportCell]) -> tuple[str, str]:
    """A group's heading and note."""
    say = content.language.say
    match kind:
        case "sure":
            several = any(len(changes(content, cell)) > 1 for cell in cells)
            note = say("Where a cell changes several factors, no single one of them explains the difference.")
            return say("Beyond chance"), note if several else ""
        case "too small":
            return say("No difference that matters"), ""
        case "inconclusive":
            return say("Inconclusive"), say("No effect is shown, which does not mean that there is none.")
        case "one seed":
            return say("One seed"), say("Numbers and no verdict: how far another seed would be off is not known.")
        case "not asked":
            return say("Not tested"), say("These cells are not among the file's claims.")
        case "not measured":
            return say("Without a value to compare"), ""


def _lines(content: Content, against: ColumnComparison, found: list[tuple[ReportCell, Difference]]) -> list[str]:
    """A line per cell: its difference in short, and what else it changes; of very many cells one line in all."""
    language, baseline = content.language, against.baseline
    if len(found) > MOST_LISTED:
        texts = [short(content, against, cell, one) for cell, one in found]
        return [language.sentence(language.shortened_clauses(texts, MOST_LISTED))]
    return [
        language.paragraph(
            language.sentence(short(content, against, cell, one)),
            side_text(content, against.column, cell, baseline) if baseline and one.estimate is not None else "",
        )
        for cell, one in found
    ]


def baseline_text(content: Content, against: ColumnComparison) -> str:
    """Which values of the baseline stand beside the cells, and why they differ; empty where there is one alone."""
    baseline, language = against.baseline, content.language
    found = [one for cell in against.others if (one := against.of(cell)) and one.shared_seeds]
    by_seeds = {one.shared_seeds: one for one in sorted(found, key=lambda one: -len(one.shared_seeds))}
    if baseline is None or not by_seeds:
        return ""
    means = [fmean(values) for values in against.values[baseline.cell.name].values.values()]
    levels = {seeds: shared_mean(against, baseline, one) for seeds, one in by_seeds.items()}
    plain = level_text(fmean(means))
    if {*levels.values(), plain} == {plain}:
        return ""
    texts = [
        language.plural(
            "{value} over seed {seeds}",
            "{value} over seeds {seeds}",
            len(seeds),
            value=value,
            seeds=language.shortened([str(seed) for seed in seeds]),
        )
        for seeds, value in levels.items()
    ]
    shown = {
        "metric": escape(language.say(against.column.measures.title)),
        "values": language.shortened_clauses(texts),
        "mean": plain,
        "n": len(means),
    }
    if against.comparison.scale == "log":
        return language.say(
            "Beside each cell stands the baseline's {metric} over the seeds that both have, as a geometric mean: "
            "{values}. Its arithmetic mean over {n} seeds, which other tables have, is {mean}.",
            **shown,
        )
    return language.say(
        "Beside each cell stands the baseline's {metric} over the seeds that both have: {values}. Its mean over {n} "
        "seeds is {mean}.",
        **shown,
    )
