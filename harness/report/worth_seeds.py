"""What is undecided, and for which cells more seeds are worth their time, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.statistics import SeedsNeeded
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content, ReportCell
from harness.report.language import Language
from harness.report.largest import Found, with_verdict
from harness.report.markdown import escape
from harness.report.verdicts import duration, seeds_range

FEW_MORE = 10
"""Seeds in all up to which more seeds are worth naming."""
MOST_NAMED = 3
"""Undecided cells that are named, and not counted."""
MOST_ALONE = 12
"""Cells with one seed that are all named."""


def undecided_text(content: Content, against: ColumnComparison) -> str:
    """What may be chance; which cells lack seeds, those with one first, and which few more would probably decide."""
    language = content.language
    found = [item for item in with_verdict(against, "inconclusive") if not item[1].is_barred]
    flat = [escape(cell.label) for cell, one in found if not one.se]
    varying = [(cell, one) for cell, one in found if one.se]
    texts = []
    if flat:
        texts.append(
            language.say("Nothing varies, so nothing can be told, in: {cells}.", cells=language.shortened(flat))
        )
    if 0 < len(varying) <= MOST_NAMED:
        named = language.all_of([escape(cell.label) for cell, _ in varying])
        texts.append(language.say("No effect is shown for {cells}.", cells=named))
    elif varying:
        texts.append(
            language.say(
                "No effect is shown for {n} of {cells} cells beside the baseline.",
                n=len(varying),
                cells=len(against.others),
            )
        )
    alone = [escape(cell.label) for cell in against.others if _has_one(against, cell)]
    if alone:
        texts.append(
            language.plural(
                "Worth more seeds: first a second and a third one for {cells}, which has one.",
                "Worth more seeds: first a second and a third one for {cells}, which have one each.",
                len(alone),
                cells=language.all_of(alone) if len(alone) <= MOST_ALONE else language.shortened(alone),
            )
        )
    return language.paragraph(*texts, *_seeds_worth(content, varying, are_first=not alone))


def _has_one(against: ColumnComparison, cell: ReportCell) -> bool:
    """Whether a cell has no verdict for the seeds that it lacks itself."""
    found = against.of(cell)
    return found is not None and found.verdict == "one seed" and len(against.values[cell.cell.name].values) == 1


def _seeds_worth(content: Content, varying: Sequence[Found], *, are_first: bool) -> list[str]:
    """The cells that few more seeds would probably decide, the fewest first, and how many the others would take.

    are_first: no cells with one seed were named before them.
    """
    language = content.language
    asked = sorted(
        ((one.needed.low, index, cell, one.needed) for index, (cell, one) in enumerate(varying) if one.needed),
        key=lambda item: item[:2],
    )
    worth = [_needs(language, cell, needed) for low, _, cell, needed in asked if low <= FEW_MORE]
    rest = [low for low, *_ in asked[len(worth) :]]
    texts = []
    named = language.clauses(worth)
    if worth and are_first:
        texts.append(language.say("Worth more seeds, with how many it would take in all: {cells}.", cells=named))
    elif worth:
        texts.append(
            language.say("Then those nearest to a verdict, with how many it would take in all: {cells}.", cells=named)
        )
    if rest and worth:
        texts.append(language.say("Any other of the undecided cells would take {n} seeds or more.", n=min(rest)))
    elif rest:
        texts.append(language.say("It would take {n} seeds or more to find any of these differences.", n=min(rest)))
    if asked:
        texts.append(
            language.say(
                "These numbers are for a chance of 80 % to find a difference as large as the one observed, which is "
                "itself a noisy one."
            )
        )
    return texts


def _needs(language: Language, cell: ReportCell, needed: SeedsNeeded) -> str:
    """`only ReLU (8–19 seeds, 109 min to 5.8 h more)`."""
    shown = {"cell": escape(cell.label), "seeds": seeds_range(needed)}
    first, last = (duration(language, minutes) for minutes in (needed.minutes_low, needed.minutes_high))
    if needed.minutes_low is None:
        return language.say("{cell} ({seeds} seeds)", **shown)
    if needed.minutes_high is None or first == last:
        return language.say("{cell} ({seeds} seeds, {minutes} more)", minutes=first, **shown)
    return language.say("{cell} ({seeds} seeds, {low} to {high} more)", low=first, high=last, **shown)
