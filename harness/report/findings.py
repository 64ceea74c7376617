"""The summary's sentences on what came out: the baseline, what mattered most and how sure, and what is undecided."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.statistics import Difference, Verdict
from harness.analysis.verdicts import is_beyond_chance
from harness.report import claims, factorial_tables
from harness.report.columns import Column
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content, ReportCell
from harness.report.effects import change_text_of, step_note
from harness.report.markdown import escape, number, spread
from harness.report.prose import seeds_note
from harness.report.verdicts import interval_text, p_equation, seeds_range, size_text

Found = tuple[ReportCell, Difference]


def findings(content: Content, column: Column) -> list[str]:
    """Paragraphs on one protocol's first metric."""
    against = content.comparisons[column.title]
    paragraphs = [_level(content, against)]
    if against.has_several_seeds and against.is_whole_family:
        paragraphs += [_most(content, against), _barred(content, against), _verdicts(content, against)]
        paragraphs += [_undecided(content, against), factorial_tables.interactions_summary(content, against)]
    paragraphs += [_lowest(content, against), seeds_note(content, column), step_note(content, against)]
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
    """Where the baseline stands, between real images and the other cells, and the spreads beside which to read it."""
    language, column = content.language, against.column
    title = escape(column.title_in(language))
    found = [(cell, summary.last) for cell in against.cells if (summary := content.summary(cell, column))]
    if not found:
        return language.say("{metric}: nothing has been measured yet.", metric=title)
    texts = []
    floor = content.floors.get(column.title)
    for cell, last in found:
        if cell is against.baseline or len(found) == 1:
            shown = {"metric": title, "mean": number(last.mean, 3), "step": last.step, "n": len(last.seeds)}
            texts.append(_baseline(content, cell, shown, last.sd_seeds))
            if floor is not None and not column.measures.pooled:
                real = number(floor.mean, 3)
                texts.append(language.say("Real images against other real images give {value}.", value=real))
    if len(found) > 1:
        ordered = sorted(found, key=lambda item: item[1].mean)
        texts.append(
            language.say(
                "{metric}: the means of {n} cells lie between {low} ({first}) and {high} ({last}).",
                metric=title,
                n=len(found),
                low=number(ordered[0][1].mean, 3),
                first=escape(ordered[0][0].label),
                high=number(ordered[-1][1].mean, 3),
                last=escape(ordered[-1][0].label),
            )
        )
    return language.paragraph(
        *texts, _direction(content, against), _spreads(content, [last.sd_seeds for _, last in found])
    )


def _baseline(content: Content, cell: ReportCell, shown: dict[str, object], sd: float | None) -> str:
    say = content.language.say
    shown = shown | {"cell": escape(cell.label)}
    match sd, cell.cell.is_baseline:
        case None, True:
            return say("{metric}: the baseline stands at {mean}, step {step} (one seed).", **shown)
        case None, False:
            return say("{metric}: {cell} stands at {mean}, step {step} (one seed).", **shown)
        case _, True:
            shown |= {"sd": spread(sd)}
            return say("{metric}: the baseline stands at {mean} (SD over {n} seeds {sd}), step {step}.", **shown)
        case _:
            shown |= {"sd": spread(sd)}
            return say("{metric}: {cell} stands at {mean} (SD over {n} seeds {sd}), step {step}.", **shown)


def _direction(content: Content, against: ColumnComparison) -> str:
    say, metric = content.language.say, escape(content.language.say(against.column.measures.title))
    match against.column.measures.better:
        case "lower":
            return say("Lower {metric} means closer to the real images.", metric=metric)
        case "higher":
            return say("Higher {metric} means closer to the real images.", metric=metric)
        case "neither":
            return ""


def _spreads(content: Content, spreads: Sequence[float | None]) -> str:
    known = [sd for sd in spreads if sd is not None]
    if len(known) < 2:
        return ""
    return content.language.say(
        "SD over seeds, by cell: {low} to {high}.", low=spread(min(known)), high=spread(max(known))
    )


def _with(against: ColumnComparison, *verdicts: Verdict) -> list[Found]:
    """Cells of these verdicts that have an estimate, the largest difference first."""
    found = [(cell, one) for cell in against.others if (one := against.of(cell)) and one.verdict in verdicts]
    return sorted(found, key=lambda item: -abs(item[1].estimate if item[1].estimate is not None else 0.0))


def _most(content: Content, against: ColumnComparison) -> str:
    """The largest difference that is sure, by how much, and how sure."""
    say = content.language.say
    sure = [item for item in _with(against, "helps", "hurts", "differs") if item[1].estimate is not None]
    metric = escape(say(against.column.measures.title))
    if not sure:
        tested = [one for one in against.comparison.differences if one.p_holm is not None]
        unlike = _with(against, "helps", "hurts", "differs")
        if not tested or unlike or any(map(is_beyond_chance, tested)):
            return ""
        return say(
            "No cell differs from the baseline in {metric} beyond what chance explains; that does not show that "
            "nothing matters.",
            metric=metric,
        )
    cell, most = sure[0]
    shown = {
        "what": change_text_of(content, cell),
        "metric": metric,
        "size": size_text(most),
        "interval": interval_text(content.language, most),
        "n": len(most.shared_seeds),
        "p": p_equation(most.p_holm if most.p_holm is not None else 1.0),
        "family": against.comparison.family,
    }
    if most.scale == "log":
        return say(
            "What mattered most is {what}: it multiplies {metric} by **{size}** (95 % interval {interval}; {n} seeds; "
            "{p} after adjustment for {family} comparisons).",
            **shown,
        )
    return say(
        "What mattered most is {what}: it changes {metric} by **{size}** (95 % interval {interval}; {n} seeds; "
        "{p} after adjustment for {family} comparisons).",
        **shown,
    )


def _barred(content: Content, against: ColumnComparison) -> str:
    """What is beyond chance among the survivors and has no verdict, because runs diverged."""
    found = _beyond_but_barred(against)
    if not found:
        return ""
    return content.language.say(
        "Beyond chance, but without a verdict because runs diverged and only the others were measured: {cells}.",
        cells=_named(content, found),
    )


def _beyond_but_barred(against: ColumnComparison) -> list[Found]:
    return [item for item in _with(against, "inconclusive") if item[1].is_barred and is_beyond_chance(item[1])]


def _verdicts(content: Content, against: ColumnComparison) -> str:
    """Which cells help and which hurt, largest first; apart those that hurt because all of their runs diverged."""
    language = content.language
    helping, hurting = _with(against, "helps"), [item for item in _with(against, "hurts") if item[1].shared_seeds]
    lost = [escape(cell.label) for cell, one in _with(against, "hurts") if not one.shared_seeds]
    differing = _with(against, "differs")
    texts = []
    if helping:
        texts.append(
            language.say(
                "Closer to the real images than the baseline, beyond chance: {cells}.", cells=_named(content, helping)
            )
        )
    elif hurting and not _beyond_but_barred(against):
        texts.append(language.say("No change brought the images closer to the real ones beyond chance."))
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


def _named(content: Content, found: Sequence[Found]) -> str:
    """`MLP (× 34.9), ReLU in G (× 1.28)`; every one with an estimate."""
    language = content.language
    items = []
    for cell, one in found:
        label = escape(cell.label)
        if one.scale == "log":
            items.append(language.say("{cell} (× {size})", cell=label, size=size_text(one)))
        else:
            items.append(language.say("{cell} ({size})", cell=label, size=size_text(one)))
    return language.shortened_clauses(items)


def _undecided(content: Content, against: ColumnComparison) -> str:
    """What may be chance, and how many seeds would decide it."""
    language, found = content.language, _with(against, "inconclusive")
    if not found:
        return ""
    items = []
    for cell, one in found:
        if one.needed:
            seeds = seeds_range(one.needed)
            items.append(language.say("{cell} ({seeds} seeds)", cell=escape(cell.label), seeds=seeds))
        elif one.is_barred:
            items.append(language.say("{cell} (runs diverged)", cell=escape(cell.label)))
        elif one.se:
            items.append(language.say("{cell} (over 1000 seeds)", cell=escape(cell.label)))
        else:
            items.append(language.say("{cell} (nothing varies)", cell=escape(cell.label)))
    return language.say(
        "Undecided: {cells}. In brackets: the seeds that it would take in all to find a difference as large as the one "
        "observed, with a chance of 80 %.",
        cells=language.shortened_clauses(items),
    )


def _lowest(content: Content, against: ColumnComparison) -> str:
    """The cell whose mean is closest to the real images, which no test has called the best."""
    language, column = content.language, against.column
    found = [(cell, summary.last) for cell in against.cells if (summary := content.summary(cell, column))]
    if len(found) < 3 or not against.has_several_seeds or column.measures.better == "neither":
        return ""
    means = [last.mean for _, last in found]
    closest = min(means) if column.measures.better == "lower" else max(means)
    if means.count(closest) > 1:
        return ""
    cell = next(escape(cell.label) for cell, last in found if last.mean == closest)
    if not against.is_whole_family:
        return language.say(
            "The mean closest to the real images is that of {cell}; only the claims were tested, so this does not make "
            "it the best one.",
            cell=cell,
        )
    if against.baseline is None:
        return language.say(
            "The mean closest to the real images is that of {cell}; cells were not compared with one another, so this "
            "does not make it the best one.",
            cell=cell,
        )
    return language.say(
        "The mean closest to the real images is that of {cell}; cells were compared with the baseline and not with one "
        "another, so this does not make it the best one.",
        cell=cell,
    )
