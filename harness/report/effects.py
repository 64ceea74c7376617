"""What each cell's change did, in sentences with numbers: estimate, interval, seeds, verdict, and what would decide."""

from __future__ import annotations

from statistics import fmean, geometric_mean

from harness.analysis.statistics import Difference
from harness.analysis.verdicts import ALPHA
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content, ReportCell
from harness.report.factor_changes import changes
from harness.report.markdown import escape
from harness.report.side_changes import side_text
from harness.report.verdicts import change_text, interval_text, level_text, needed_text, p_equation, p_text, sized


def is_told(difference: Difference | None) -> bool:
    """Whether a difference has an item of its own: a verdict, a near miss, no difference that matters, all diverged."""
    if difference is None or difference.verdict == "not asked":
        return False
    if difference.estimate is None:
        return 0 < difference.seeds == difference.diverged
    is_found = difference.verdict in ("helps", "hurts", "differs") or bool(difference.within_smallest)
    return is_found or (difference.p is not None and difference.p <= ALPHA)


def short(content: Content, against: ColumnComparison, cell: ReportCell, difference: Difference) -> str:
    """`latent_dim` 16 → 100: FID 71.9 → 62.3, × 0.87 (0.47 to 1.60)."""
    what = change_text_of(content, cell)
    if difference.estimate is None or against.baseline is None:
        return what
    before, after = (shared_mean(against, one, difference) for one in (against.baseline, cell))
    return content.language.say(
        "{what}: {metric} {before} → {after}, {change}",
        what=what,
        metric=escape(content.language.say(against.column.measures.title)),
        before=before,
        after=after,
        change=change_text(content.language, difference),
    )


def item(content: Content, against: ColumnComparison, cell: ReportCell) -> str:
    """All that is known of one difference: what the table has, what else changes, and what would decide."""
    difference = against.of(cell)
    if difference is None or against.baseline is None:
        return ""
    least = difference.least_sign_flip
    return content.language.paragraph(
        finding(content, against, (cell, against.baseline), change_text_of(content, cell)),
        side_text(content, against.column, cell, against.baseline),
        *diverged_texts(content, difference),
        tests_text(content, against, difference, with_sign_flip=least is not None and least <= ALPHA),
        decision_text(content, difference),
    )


def change_text_of(content: Content, cell: ReportCell) -> str:
    """`latent_dim` 16 → 100; a label or name that says something else stands before it."""
    found = changes(content, cell)
    text = content.language.listed(change.text for change in found)
    plain = ", ".join(f"{change.factor}={change.after}" for change in found)
    raw = ", ".join(f"{name}={level}" for name, level in content.levels(cell).items() if name in cell.cell.varied)
    if not found or cell.label in (plain, raw):
        return text or escape(cell.label)
    return content.language.say("{cell} ({changes})", cell=escape(cell.label), changes=text)


def finding(content: Content, against: ColumnComparison, pair: tuple[ReportCell, ReportCell], what: str) -> str:
    """`what: FID 14.9 → 19.1, × 1.28 (95 % interval 1.10 to 1.49; 3 seeds): hurts.`; pair: a cell, and the other."""
    say, difference = content.language.say, against.of(*pair)
    metric = escape(content.language.say(against.column.measures.title))
    if difference is None or difference.estimate is None:
        return _unmeasured(content, against, pair[0], what)
    n = len(difference.shared_seeds)
    before, after = (shared_mean(against, cell, difference) for cell in (pair[1], pair[0]))
    shown: dict[str, object] = {
        "what": what,
        "metric": metric,
        "before": before,
        "after": after,
        "change": sized(difference),
    }
    if n == 1:
        return say("{what}: {metric} {before} → {after}, {change}. One seed: no verdict.", **shown)
    shown |= {"n": n, "interval": interval_text(content.language, difference)}
    shown["verdict"] = f"**{verdict_clause(content, difference)}**"
    if difference.low is None:
        return say("{what}: {metric} {before} → {after}, {change} ({n} seeds, nothing varies): {verdict}.", **shown)
    return say(
        "{what}: {metric} {before} → {after}, {change} (95 % interval {interval}; {n} seeds): {verdict}.", **shown
    )


def verdict_clause(content: Content, difference: Difference) -> str:
    """The verdict as the end of a sentence."""
    say = content.language.say
    match difference.verdict:
        case "helps":
            return say("helps")
        case "hurts":
            return say("hurts")
        case "differs":
            return say("differs beyond chance")
        case "not asked":
            return say("not among the file's claims, so not tested")
        case _ if difference.is_barred:
            return say("no verdict, because of the diverged runs")
        case _ if difference.within_smallest:
            return say("no difference that matters")
        case _ if difference.p is not None and difference.p <= ALPHA:
            return say("inconclusive: beyond chance alone, but not among all comparisons together")
        case _:
            return say("inconclusive")


def _unmeasured(content: Content, against: ColumnComparison, cell: ReportCell, what: str) -> str:
    say, values = content.language.say, against.values.get(cell.cell.name)
    if values is not None and values.seeds and values.diverged == values.seeds:
        text = say("{what}: all {n} runs diverged.", what=what, n=values.seeds)
        if values.seeds == 1:
            return say("{what}: its one run diverged, so it is not measured.", what=what)
        return content.language.paragraph(text, say("That **hurts**.") if _is_hurt(against, cell) else "")
    if values is not None and not values.values and content.summary(cell, against.column):
        step = against.steps[cell.cell.name]
        return say("{what}: not yet measured at step {step}, so there is nothing to compare.", what=what, step=step)
    if values is not None and values.values:
        return say("{what}: no seed was measured in both cells, so there is nothing to compare.", what=what)
    return say("{what}: not measured yet.", what=what)


def _is_hurt(against: ColumnComparison, cell: ReportCell) -> bool:
    difference = against.of(cell)
    return difference is not None and difference.verdict == "hurts"


def shared_mean(against: ColumnComparison, cell: ReportCell, difference: Difference) -> str:
    """The mean over the shared seeds of each seed's mean over repeats: on the log scale the geometric one, as the
    ratio beside it is."""
    values = against.values[cell.cell.name].values
    means = [fmean(values[seed]) for seed in difference.shared_seeds]
    return level_text(geometric_mean(means) if difference.scale == "log" else fmean(means))


def diverged_texts(content: Content, difference: Difference) -> list[str]:
    """That some runs of a cell diverged, which counts against it, or of the one that it is compared with."""
    say, found = content.language.say, []
    if 0 < difference.diverged < difference.seeds:
        found.append(
            say(
                "{n} of its {runs} runs diverged and are not among these values; a cell that diverges is never said "
                "to help.",
                n=difference.diverged,
                runs=difference.seeds,
            )
        )
    if 0 < difference.against_diverged < difference.against_seeds:
        labels = {cell.cell.name: escape(cell.label) for cell in content.cells}
        found.append(
            say(
                "Of {other}, {n} of {runs} runs diverged and are not among these values; beside it no cell is said to "
                "hurt.",
                other=labels[difference.against],
                n=difference.against_diverged,
                runs=difference.against_seeds,
            )
        )
    return found


def step_note(content: Content, against: ColumnComparison) -> str:
    """The checkpoint of the differences, where it is not that of all values beside them; empty where it is."""
    last = {cell: summary.last.step for cell in against.cells if (summary := content.summary(cell, against.column))}
    compares = any(one.estimate is not None for one in against.comparison.differences)
    if not compares or all(step == against.steps[cell.cell.name] for cell, step in last.items()):
        return ""
    steps = content.language.one_of([str(step) for step in sorted(set(against.steps.values()))])
    return content.language.say(
        "Differences and verdicts are of step {steps}, which all measured seeds of the baseline have; a value shown "
        "beside them may be of another step.",
        steps=steps,
    )


def tests_text(
    content: Content, against: ColumnComparison, difference: Difference, *, with_sign_flip: bool = True
) -> str:
    """The p-values: of the t-test, adjusted by Holm's method, and of the sign-flip test with its least value."""
    if difference.p is None or difference.verdict == "not asked":
        return ""
    say, p, n = content.language.say, p_equation(difference.p), len(difference.shared_seeds)
    p_holm = p_equation(difference.p_holm) if difference.p_holm is not None and against.comparison.family > 1 else None
    if not with_sign_flip or difference.p_sign_flip is None or difference.least_sign_flip is None:
        return say("{p}; after Holm's adjustment {p_holm}.", p=p, p_holm=p_holm) if p_holm else say("{p}.", p=p)
    flip, least = p_equation(difference.p_sign_flip), p_text(difference.least_sign_flip)
    if p_holm is None:
        return say("{p}; sign-flip {flip} (least possible with {n} seeds: {least}).", p=p, flip=flip, n=n, least=least)
    return say(
        "{p}; after Holm's adjustment {p_holm}; sign-flip {flip} (least possible with {n} seeds: {least}).",
        p=p,
        p_holm=p_holm,
        flip=flip,
        n=n,
        least=least,
    )


def decision_text(content: Content, difference: Difference) -> str:
    """How many seeds would decide what is inconclusive, and what they cost; empty where seeds are not what lacks."""
    if difference.needed:
        return needed_text(content.language, difference, content.view.plan.experiment.cost)
    open_question = difference.verdict == "inconclusive" and not difference.within_smallest
    if not open_question or not difference.se or difference.is_barred:
        return ""
    if difference.smallest_effect is not None:
        return content.language.say("Even 1000 seeds would hardly find the smallest difference that matters.")
    return content.language.say("Even 1000 seeds would hardly find a difference as small as the one observed.")
