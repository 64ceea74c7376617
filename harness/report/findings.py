"""The summary's sentences on what came out: the baseline, the largest effects and how sure, and what is undecided."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.summary import Measurement
from harness.analysis.verdicts import is_beyond_chance
from harness.report import claims
from harness.report.columns import Column
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content, ReportCell
from harness.report.effects import step_note
from harness.report.extractors import scale_note
from harness.report.factorial_words import crossed_summary
from harness.report.largest import Found, largest_text, with_verdict
from harness.report.markdown import escape
from harness.report.prose import seeds_note, steps_note
from harness.report.rounding import rounded
from harness.report.unfinished import unfinished_text
from harness.report.verdicts import level_text, sized
from harness.report.worth_seeds import undecided_text


def findings(content: Content, column: Column) -> list[str]:
    """Paragraphs on one protocol's first metric."""
    against = content.comparisons[column.title]
    level = content.language.paragraph(_level(content, against), scale_note(content, column))
    paragraphs = [level, unfinished_text(content, column)]
    if against.has_several_seeds and against.is_whole_family:
        paragraphs += [largest_text(content, against), _barred(content, against), _verdicts(content, against)]
        paragraphs += [undecided_text(content, against), *crossed_summary(content, against)]
    paragraphs += [_lone(content, against) or seeds_note(content, column), step_note(content, against)]
    return [paragraph for paragraph in paragraphs if paragraph]


def claimed(content: Content) -> list[str]:
    """What became of the file's claims; empty where it makes none."""
    if not content.view.plan.experiment.claim:
        return []
    return [claims.family_text(content), *(answer.sentence for answer in claims.answers(content))]


def diverged(content: Content) -> str:
    """Which cells have runs that diverged; empty where none has."""
    language = content.language
    found = [
        language.say("{cell} ({n} of {runs} runs)", cell=escape(c.label), n=c.counts.diverged, runs=c.counts.runs)
        for c in content.cells
        if c.counts.diverged
    ]
    if not found:
        return ""
    return language.say("Diverged, with a loss or weight that is not finite: {cells}.", cells=language.shortened(found))


def _level(content: Content, against: ColumnComparison) -> str:
    """Where the baseline stands, between real images and the other cells."""
    language, column = content.language, against.column
    title = escape(column.title_in(language))
    found = [(cell, summary.last) for cell in against.cells if (summary := content.summary(cell, column))]
    if not found:
        return language.say("{metric}: nothing has been measured yet.", metric=title)
    texts = []
    for cell, last in found:
        if cell is against.baseline or len(found) == 1:
            texts += [_stands(content, cell, last, title), _floor(content, column)]
    if len(found) > 1:
        texts.append(_range(content, column, sorted(found, key=lambda item: item[1].mean)))
    return language.paragraph(*texts)


def _stands(content: Content, cell: ReportCell, last: Measurement, title: str) -> str:
    say, n = content.language.say, len(last.seeds)
    shown = {"metric": title, "step": last.step, "cell": escape(cell.label), "value": rounded(last.mean, last.sd_seeds)}
    match last.sd_seeds is None, cell.cell.is_baseline:
        case True, True:
            return say("At step {step} the baseline's {metric} is {value} (one seed).", **shown)
        case True, False:
            return say("At step {step} {metric} of {cell} is {value} (one seed).", **shown)
        case False, True:
            return say("At step {step} the baseline's {metric} is {value} (mean ± SD over {n} seeds).", n=n, **shown)
        case _:
            return say("At step {step} {metric} of {cell} is {value} (mean ± SD over {n} seeds).", n=n, **shown)


def _floor(content: Content, column: Column) -> str:
    floor = content.floors.get(column.title)
    if floor is None or column.measures.pooled:
        return ""
    value = rounded(floor.mean, floor.sd)
    if column.metric == "fid":
        return content.language.say(
            "Real images against other real images give {value}, about the best to be hoped for.", value=value
        )
    return content.language.say("Real images against other real images give {value}.", value=value)


def _range(content: Content, column: Column, ordered: Sequence[tuple[ReportCell, Measurement]]) -> str:
    say, (lowest, low), (highest, high) = content.language.say, ordered[0], ordered[-1]
    shown: dict[str, object] = {
        "n": len(ordered),
        "low": _short(low),
        "first": escape(lowest.label),
        "high": _short(high),
        "last": escape(highest.label),
    }
    match column.measures.better:
        case "lower":
            return say(
                "The means of {n} cells lie between {low} ({first}) and {high} ({last}); lower is closer to the real "
                "images.",
                **shown,
            )
        case "higher":
            return say(
                "The means of {n} cells lie between {low} ({first}) and {high} ({last}); higher is closer to the real "
                "images.",
                **shown,
            )
        case _:
            return say("The means of {n} cells lie between {low} ({first}) and {high} ({last}).", **shown)


def _short(found: Measurement) -> str:
    """A mean to the digits that its spread supports, without the spread."""
    return rounded(found.mean, found.sd_seeds).partition(" ± ")[0] if found.sd_seeds else level_text(found.mean)


def _barred(content: Content, against: ColumnComparison) -> str:
    """What is beyond chance among the survivors and has no verdict, because runs diverged; and what else they bar."""
    barred = [item for item in with_verdict(against, "inconclusive") if item[1].is_barred]
    beyond = [item for item in barred if is_beyond_chance(item[1])]
    others = [escape(cell.label) for cell, one in barred if not is_beyond_chance(one)]
    language, texts = content.language, []
    if beyond:
        texts.append(
            language.say(
                "Beyond chance, but without a verdict because runs diverged and only the others were measured: "
                "{cells}.",
                cells=_named(content, beyond),
            )
        )
    if others:
        texts.append(language.say("Undecided because runs diverged: {cells}.", cells=language.shortened(others)))
    return language.paragraph(*texts)


def _verdicts(content: Content, against: ColumnComparison) -> str:
    """Which cells help and which hurt, largest first; apart those that hurt because all of their runs diverged."""
    language = content.language
    helping, differing = with_verdict(against, "helps"), with_verdict(against, "differs")
    hurting = [item for item in with_verdict(against, "hurts") if item[1].shared_seeds]
    lost = [escape(cell.label) for cell, one in with_verdict(against, "hurts") if not one.shared_seeds]
    has_barred = any(one.is_barred and is_beyond_chance(one) for _, one in with_verdict(against, "inconclusive"))
    texts = []
    if helping:
        texts.append(
            language.say(
                "Closer to the real images than the baseline, beyond chance: {cells}.", cells=_named(content, helping)
            )
        )
    elif hurting and not has_barred:
        texts.append(language.say("No single cell is closer to the real images than the baseline beyond chance."))
    if hurting:
        texts.append(
            language.say(
                "Farther from the real images than the baseline, beyond chance: {cells}.",
                cells=_named(content, hurting),
            )
        )
    if lost:
        texts.append(
            language.say(
                "All runs diverged, which counts as *hurts* without a test: {cells}.", cells=language.shortened(lost)
            )
        )
    if differing:
        texts.append(language.say("Unlike the baseline, beyond chance: {cells}.", cells=_named(content, differing)))
    return language.paragraph(*texts)


def _lone(content: Content, against: ColumnComparison) -> str:
    """The cells with one seed beside others with several, with their numbers; empty where there are none such."""
    alone = with_verdict(against, "one seed") if against.has_several_seeds and against.is_whole_family else []
    if not alone:
        return ""
    single = content.language.say("One seed, so numbers and no verdict: {cells}.", cells=_named(content, alone))
    return content.language.paragraph(single, steps_note(content, against.column))


def _named(content: Content, found: Sequence[Found]) -> str:
    """`MLP (× 34.9), ReLU in G (× 1.28)`; every one with an estimate."""
    language = content.language
    return language.shortened_clauses(
        [language.say("{cell} ({change})", cell=escape(cell.label), change=sized(one)) for cell, one in found]
    )
