"""The report's tables as Markdown. Every ± says of what, every mean says over how many."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.summary import CellSummary, Measurement
from harness.report.columns import Column
from harness.report.content import Content, ReportCell
from harness.report.factor_changes import changes
from harness.report.floors import REAL, floor_text, ratio_text
from harness.report.language import Language
from harness.report.markdown import code, escape, spread, table
from harness.report.rounding import plain_level, rounded, rounded_pair, significant
from harness.report.standard_errors import cell_error
from harness.report.verdicts import change_text, verdict_text


def comparison_table(content: Content, column: Column) -> str:
    """A row per cell of this column, at the cell's last measured checkpoint, under the row of real images.

    In the table of a protocol's first metric, or of one that claims are about, each cell beside its difference.
    What is the same for all cells is told by `measured_alike`, and has no column.
    """
    say, cells = content.language.say, content.cells_in(column)
    against = content.comparisons.get(column.title)
    has_lack = any(_lacking(content, column, cell) for cell in cells)
    is_alike = bool(measured_alike(content, [column]))
    headers = [
        "#",
        say("Cell"),
        with_arrow(column, content.language),
        *([say("times the floor")] if column.metric == "fid" else []),
        *([say("Against the baseline"), say("Verdict")] if against else []),
        *([] if is_alike else [say("Measured")]),
        *([say("Lacking")] if has_lack else []),
    ]
    rows = [_floor_row(content, column, len(headers))]
    rows += [_comparison_row(content, column, cell, (is_alike, has_lack)) for cell in cells]
    return table(headers, rows, right=[0, *range(2, 3 + (column.metric == "fid"))])


def measured_alike(content: Content, columns: Sequence[Column]) -> str:
    """`2 seeds × 5 repeats, step 400`, where that is so of every run of every cell and column; else empty."""
    language, found = content.language, set()
    for column in columns:
        for cell in content.cells_in(column):
            summary = content.summary(cell, column)
            if summary is None or len(summary.last.seeds) != len(content.runs_in(cell, column)):
                return ""
            last, pooled = summary.last, column.measures.pooled
            if len(columns) == 1:
                found.add(measured_text(language, column, last))
                continue
            repeats = str(column.block.settings.repeats) if pooled else repeats_text(language, last)
            found.add(_seeds_and_repeats(language, len(last.seeds), repeats, last.step))
    return found.pop() if len(found) == 1 else ""


def cells_table(content: Content) -> str:
    """A row per cell: what it changes against the baseline, whose own levels of what varies stand in its row."""
    say, listed = content.language.say, content.language.listed
    rows = []
    for cell in content.cells:
        told = listed(f"{code(name)} {escape(plain_level(level))}" for name, level in content.levels(cell).items())
        if not cell.cell.is_baseline:
            told = listed(change.text for change in changes(content, cell))
        rows.append([str(cell.number), cell_name(cell), told or "–"])
    return table(["#", say("Cell"), say("What it changes against the baseline")], rows, right=[0])


def with_arrow(column: Column, language: Language) -> str:
    """`FID (digits) ↓`, and no arrow where neither direction is closer to the real images."""
    return f"{escape(column.title_in(language))} {column.measures.arrow}".rstrip()


def _floor_row(content: Content, column: Column, width: int) -> list[str]:
    floor = content.floors.get(column.title)
    ratio = ["1" if floor else "–"] if column.metric == "fid" else []
    row = ["–", f"*{content.language.say(REAL)}*", floor_text(column, floor, content.language), *ratio]
    return [*row, *["–"] * (width - len(row))]


def _comparison_row(content: Content, column: Column, cell: ReportCell, shown: tuple[bool, bool]) -> list[str]:
    """shown: whether all cells were measured alike, whether any lacks something."""
    is_alike, has_lack = shown
    language, summary = content.language, content.summary(cell, column)
    ratio = ratio_text(content, column, summary.last.mean) if summary else "–"
    return [
        str(cell.number),
        cell_name(cell),
        mean_text(content, cell, column),
        *([ratio] if column.metric == "fid" else []),
        *_against_baseline(content, column, cell),
        *([] if is_alike else [measured_text(language, column, summary.last) if summary else "–"]),
        *([language.listed(_lacking(content, column, cell)) or "–"] if has_lack else []),
    ]


def _against_baseline(content: Content, column: Column, cell: ReportCell) -> list[str]:
    """The difference with its interval and the verdict; dashes where there is nothing to compare with."""
    against = content.comparisons.get(column.title)
    if against is None:
        return []
    difference = against.of(cell)
    if difference is None:
        return ["–", "–"]
    summary, step = content.summary(cell, column), against.steps[cell.cell.name]
    change = change_text(content.language, difference)
    if difference.estimate is not None and summary is not None and summary.last.step != step:
        change = content.language.say("{change}, step {step}", change=change, step=step)
    return [change, verdict_text(content.language, difference.verdict)]


def _lacking(content: Content, column: Column, cell: ReportCell) -> list[str]:
    """What keeps a cell from being whole: runs that diverged or failed, and missing evaluations."""
    say, runs, counts = content.language.say, len(content.runs_in(cell, column)), cell.counts
    missing, asked = content.missing(cell, column), runs * len(column.steps(cell.cell))
    found = []
    if counts.diverged:
        found.append(say("{n} of {runs} runs diverged", n=counts.diverged, runs=counts.runs))
    if counts.failed:
        found.append(say("{n} of {runs} runs failed", n=counts.failed, runs=counts.runs))
    if missing:
        found.append(say("{n} of {asked} evaluations missing", n=missing, asked=asked))
    return found


def measured_text(language: Language, column: Column, found: Measurement) -> str:
    """`2 seeds × 5 repeats, step 400`."""
    if column.measures.pooled:
        return language.plural(
            "{n} seed, {repeats} repeats together, step {step}",
            "{n} seeds, {repeats} repeats together, step {step}",
            len(found.seeds),
            repeats=column.block.settings.repeats,
            step=found.step,
        )
    return _seeds_and_repeats(language, len(found.seeds), repeats_text(language, found), found.step)


def _seeds_and_repeats(language: Language, seeds: int, repeats: str, step: int) -> str:
    return language.plural(
        "{n} seed × {repeats} repeats, step {step}",
        "{n} seeds × {repeats} repeats, step {step}",
        seeds,
        repeats=repeats,
        step=step,
    )


def spreads_table(content: Content, column: Column) -> str:
    """Each seed's value, the spreads over seeds and repeats apart, and the best checkpoint where that is another one
    than the last in any cell; empty without values."""
    say, rows, has_best = content.language.say, [], has_earlier_best(content, column)
    for cell in content.cells_in(column):
        summary = content.summary(cell, column)
        if summary is None:
            continue
        last = summary.last
        seeds = zip(last.seeds, last.seed_means, strict=True)
        by_seed = (f"{seed}: {_beside(mean, last.sd_repeats)}" for seed, mean in seeds)
        row = [str(cell.number), cell_name(cell), content.language.listed(by_seed)]
        row += [spread(last.sd_seeds), spread(last.sd_repeats)]
        rows.append(row + ([_best_text(content.language, summary)] if has_best else []))
    headers = ["#", say("Cell"), say("Mean of each seed"), say("SD over seeds"), say("SD over repeats")]
    headers += [say("Best checkpoint: mean (step)")] if has_best else []
    return table(headers, rows, right=[0, 3, 4, 5]) if rows else ""


def has_earlier_best(content: Content, column: Column) -> bool:
    """Whether any cell's best checkpoint is another one than its last."""
    summaries = [summary for cell in content.cells_in(column) if (summary := content.summary(cell, column))]
    return any(summary.best and summary.best.step != summary.last.step for summary in summaries)


def _best_text(language: Language, summary: CellSummary) -> str:
    best = summary.best
    if best is None:
        return "–"
    return language.say("last") if best.step == summary.last.step else f"{significant(best.mean, 3)} ({best.step})"


def _beside(mean: float, sd: float | None) -> str:
    """A seed's mean with the digits that its repeats' SD supports."""
    return rounded_pair(mean, sd)[0] if sd else significant(mean)


MOST_METRICS = 4
"""Metrics that one table holds; more go into a further one below it."""


def in_parts(columns: Sequence[Column]) -> list[Sequence[Column]]:
    """Columns in tables of at most MOST_METRICS, as even as can be."""
    parts = -(-len(columns) // MOST_METRICS)
    size = -(-len(columns) // parts) if parts else 0
    return [columns[at : at + size] for at in range(0, len(columns), size or 1)]


def other_metrics_table(content: Content, columns: Sequence[Column], all_alike: bool) -> str:
    """The means of several metrics of one protocol at the last checkpoint: a row per cell, a column per metric.

    all_alike: whether all tables of this protocol tell seeds and step above them, and not in columns.
    """
    language = content.language
    titles = [f"{language.say(column.measures.title)} {column.measures.arrow}".rstrip() for column in columns]
    real = [floor_text(column, content.floors.get(column.title), language) for column in columns]
    rows = [["–", f"*{language.say(REAL)}*", *real, *([] if all_alike else ["–", "–"])]]
    for cell in content.cells_in(columns[0]):
        last = [summary.last for column in columns if (summary := content.summary(cell, column))]
        row = [str(cell.number), cell_name(cell), *(mean_text(content, cell, column) for column in columns)]
        if not all_alike:
            steps = language.one_of([str(step) for step in sorted({found.step for found in last})])
            runs = len(content.runs_in(cell, columns[0]))
            counts = language.one_of(sorted({seeds_text(language, found, runs) for found in last}))
            row += [counts or "–", steps or "–"]
        rows.append(row)
    headers = [
        "#",
        language.say("Cell"),
        *titles,
        *([] if all_alike else [language.say("Seeds"), language.say("Step")]),
    ]
    return table(headers, rows, right=[0, *range(2, len(headers))])


def mean_text(content: Content, cell: ReportCell, column: Column) -> str:
    """`12.31 ± 0.40 (SE 0.11)`: the mean at the last checkpoint, ± the SD over seeds where there are several, and the
    standard error of one seed's value where the metric has one."""
    summary = content.summary(cell, column)
    if summary is None:
        return content.language.say("not measured")
    last = summary.last
    text = rounded(last.mean, last.sd_seeds)
    error = cell_error(content, cell, column, last.step)
    return text if error is None else content.language.say("{mean} (SE {error})", mean=text, error=spread(error))


def seeds_text(language: Language, found: Measurement, runs: int) -> str:
    """`3`, or `2 of 3` where some are not measured."""
    n = len(found.seeds)
    return str(runs) if n == runs else language.say("{n} of {runs}", n=n, runs=runs)


def repeats_text(language: Language, found: Measurement) -> str:
    low, high = found.repeats
    return str(low) if low == high else language.say("{low} to {high}", low=low, high=high)


def states_table(content: Content) -> str:
    """A row per cell: its levels and how its runs stand."""
    say = content.language.say
    levels_of = [code(factor) for factor in content.view.plan.factors]
    states = [say("Runs"), say("Complete"), say("Diverged"), say("Failed"), say("Unfinished")]
    rows = [
        [str(cell.number), cell_name(cell), *levels(content, cell), *_states(content.language, cell)]
        for cell in content.cells
    ]
    return table(["#", say("Cell"), *levels_of, *states], rows, right=[0])


def _states(language: Language, cell: ReportCell) -> list[str]:
    counts = cell.counts
    some = (counts.complete, counts.diverged, counts.failed, counts.unfinished)
    return [str(counts.runs), *(language.say("{n} of {runs}", n=count, runs=counts.runs) for count in some)]


def cell_name(cell: ReportCell) -> str:
    """The cell's label; the baseline's stands out."""
    return f"**{escape(cell.label)}**" if cell.cell.is_baseline else escape(cell.label)


def levels(content: Content, cell: ReportCell) -> list[str]:
    """The cell's level of every factor that varies; those that differ from the baseline stand out."""
    return [
        f"**{escape(plain_level(level))}**" if factor in cell.cell.varied else escape(plain_level(level))
        for factor, level in content.levels(cell).items()
    ]
