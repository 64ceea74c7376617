"""The file's claims as sentences: what was asked, and the answer with its interval and p-values."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.analysis.statistics import Difference
from harness.analysis.variance import is_ratio
from harness.design.cell_reference import cell_meant
from harness.report.comparisons import CellClaim, ColumnComparison, claim_column
from harness.report.content import Content, ReportCell
from harness.report.effects import decision_text, diverged_texts, finding, tests_text
from harness.report.markdown import escape, number

_MARKS = re.compile(r"\\([\\`*_{}\[\]#|~$])|\*\*|`")


@dataclass(frozen=True, eq=False)
class ClaimAnswer:
    """One sentence with the difference behind it; against, difference: None where the metric's evaluation was left
    out or the cells do not compare."""

    metric: str
    cell: ReportCell
    reference: ReportCell
    smallest_effect: float | None
    against: ColumnComparison | None
    difference: Difference | None
    sentence: str


def answers(content: Content) -> list[ClaimAnswer]:
    """Of the file's claims, in its order; without any, of every cell against the baseline."""
    return list(_claimed(content) if content.view.plan.experiment.claim else _every_cell(content))


def family_text(content: Content) -> str:
    """What is tested, as one sentence."""
    n = len(content.view.plan.experiment.claim)
    tested = max((one.comparison.family for one in content.comparisons.values()), default=0)
    if n:
        return content.language.plural(
            "The file makes {n} claim, which is the whole family of tests.",
            "The file makes {n} claims, which are the whole family of tests; {tested} of them can be tested so far, "
            "and p-values are adjusted for that many (Holm).",
            n,
            tested=tested,
        )
    return content.language.say(
        "The file makes no `[[claim]]`, so every cell is tested against the baseline, and p-values are adjusted for "
        "all cells of a protocol together (Holm), for each protocol apart."
    )


def _claimed(content: Content) -> Iterator[ClaimAnswer]:
    plan = content.view.plan
    by_name = {cell.cell.name: cell for cell in content.cells}
    known = {id(one.claim): (against, one) for against in content.comparisons.values() for one in against.claims}
    for claim in plan.experiment.claim:
        against, one = known.get(id(claim), (None, None))
        if against is None or one is None:
            cells = [by_name[cell_meant(plan, text, "claim").name] for text in (claim.cell, claim.against)]
            one = CellClaim(claim, cells[0], cells[1])
        yield _answer(content, against, one)


def _every_cell(content: Content) -> Iterator[ClaimAnswer]:
    for group in content.groups:
        against = content.comparisons[group[0].title]
        if against.baseline is None:
            continue
        for cell in against.others:
            sentence = _sentence(content, against, (cell, against.baseline), None)
            difference = against.of(cell)
            yield ClaimAnswer(group[0].metric, cell, against.baseline, None, against, difference, sentence)


def _answer(content: Content, against: ColumnComparison | None, one: CellClaim) -> ClaimAnswer:
    claim, pair = one.claim, (one.cell, one.against)
    if against is None:
        column = claim_column(content, claim)
        sentence = content.language.say(
            "{cell} against {other}: {metric} was not evaluated, because the extractor's weights are missing.",
            cell=escape(one.cell.label),
            other=escape(one.against.label),
            metric=escape(column.title_in(content.language)) if column else claim.metric,
        )
        return ClaimAnswer(claim.metric, *pair, claim.smallest_effect, None, None, sentence)
    sentence = _sentence(content, against, pair, claim.smallest_effect)
    return ClaimAnswer(claim.metric, *pair, claim.smallest_effect, against, against.of(*pair), sentence)


def _sentence(
    content: Content, against: ColumnComparison, pair: tuple[ReportCell, ReportCell], smallest: float | None
) -> str:
    """The finding, what it means for the smallest effect that matters, the tests, and what would decide."""
    say, difference = content.language.say, against.of(*pair)
    names = {"cell": escape(pair[0].label), "other": escape(pair[1].label)}
    if not set(pair) <= set(against.cells):
        return say("{cell} against {other}: they are measured under different protocols and do not compare.", **names)
    what = say("{cell} against {other}", **names)
    parts = [finding(content, against, pair, what)]
    if difference is not None and difference.estimate is not None:
        parts += [
            *diverged_texts(content, difference),
            _smallest_text(content, against.column.metric, difference, smallest),
        ]
        parts.append(tests_text(content, against, difference))
        parts.append(decision_text(content, difference))
    return content.language.paragraph(*parts)


def _smallest_text(content: Content, metric: str, difference: Difference, smallest: float | None) -> str:
    """What a difference is against the smallest one that matters: as large, ruled out, or neither yet."""
    if smallest is None or difference.within_smallest is None or difference.smallest_effect is None:
        return ""
    say = content.language.say
    size = f"{number(100 * smallest, 2)} %" if is_ratio(metric) else number(smallest, 3)
    if difference.within_smallest:
        return say("A difference of {size} or more is ruled out (two one-sided tests at 5 %).", size=size)
    below = -difference.smallest_effect
    if difference.scale == "log":
        below = math.log1p(-smallest) if smallest < 1 else -math.inf
    low, high = difference.low or 0.0, difference.high or 0.0
    is_sure = difference.verdict in ("helps", "hurts", "differs")
    if is_sure and (low >= difference.smallest_effect or high <= below):
        return say("The whole interval lies beyond {size}, the smallest difference that matters.", size=size)
    return say("A difference of {size} or more is not ruled out.", size=size)


def plain(text: str) -> str:
    """Markdown of this module's sentences as a terminal shows it: no marks, and names as people wrote them."""
    return html.unescape(_MARKS.sub(lambda mark: mark[1] or "", text))


def claims_document(content: Content) -> dict[str, Any]:
    """`claims --json`: the family and one entry per answer."""
    found = answers(content)
    return {
        "experiment": content.view.plan.experiment.name,
        "declared": bool(content.view.plan.experiment.claim),
        "claims": [_entry(answer) for answer in found],
    }


def _entry(answer: ClaimAnswer) -> dict[str, Any]:
    found = answer.difference
    numbers = (
        "verdict", "scale", "estimate", "se", "freedom", "error", "low", "high", "p", "p_holm", "p_sign_flip",
        "least_sign_flip", "diverged", "against_diverged",
    )  # fmt: skip
    return {
        "metric": answer.metric,
        "column": answer.against.column.title if answer.against else None,
        "cell": answer.cell.cell.name,
        "against": answer.reference.cell.name,
        "smallest_effect": answer.smallest_effect,
        **{name: getattr(found, name) if found else None for name in numbers},
        "ratio": found.ratio if found else None,
        "within_smallest": found.within_smallest if found else None,
        "seeds": list(found.shared_seeds) if found else [],
        "family": answer.against.comparison.family if answer.against else 0,
        "seeds_needed": [found.needed.low, found.needed.high] if found and found.needed else None,
        "minutes_needed": [found.needed.minutes_low, found.needed.minutes_high] if found and found.needed else None,
        "sentence": plain(answer.sentence),
    }
