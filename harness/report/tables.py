"""The report's tables as Markdown. Every ± says of what, every mean says over how many."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.summary import Measurement
from harness.report.columns import Column
from harness.report.content import Content, ReportCell
from harness.report.floors import REAL, floor_text, ratio_text
from harness.report.language import Language
from harness.report.markdown import code, escape, number, spread, table
from harness.report.standard_errors import cell_error
from harness.report.verdicts import change_text, verdict_text


def comparison_table(content: Content, column: Column) -> str:
    """A row per cell of this column, at the cell's last measured checkpoint, under the row of real images.

    In the table of a protocol's first metric, or of one that claims are about, each cell beside its difference.
    """
    say, cells = content.language.say, content.cells_in(column)
    against = content.comparisons.get(column.title)
    has_lack = any(_lacking(content, column, cell) for cell in cells)
    headers = [
        "#",
        say("Cell"),
        with_arrow(column, content.language),
        *([say("÷ floor")] if column.metric == "fid" else []),
        *([say("Against the baseline"), say("Verdict")] if against else []),
        say("Measured"),
        *([say("Lacking")] if has_lack else []),
    ]
    rows = [_floor_row(content, column, len(headers))]
    rows += [_comparison_row(content, column, cell, has_lack) for cell in cells]
    return table(headers, rows, right=[0, *range(2, 3 + (column.metric == "fid"))])


def with_arrow(column: Column, language: Language) -> str:
    """`FID (digits) ↓`, and no arrow where neither direction is closer to the real images."""
    return f"{escape(column.title_in(language))} {column.measures.arrow}".rstrip()


def _floor_row(content: Content, column: Column, width: int) -> list[str]:
    floor = content.floors.get(column.title)
    ratio = ["1" if floor else "–"] if column.metric == "fid" else []
    row = ["–", f"*{content.language.say(REAL)}*", floor_text(column, floor, content.language), *ratio]
    return [*row, *["–"] * (width - len(row))]


def _comparison_row(content: Content, column: Column, cell: ReportCell, has_lack: bool) -> list[str]:
    language, summary = content.language, content.summary(cell, column)
    ratio = ratio_text(content, column, summary.last.mean) if summary else "–"
    return [
        str(cell.number),
        cell_name(cell),
        mean_text(content, cell, column),
        *([ratio] if column.metric == "fid" else []),
        *_against_baseline(content, column, cell),
        measured_text(language, column, summary.last) if summary else "–",
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
    return language.plural(
        "{n} seed × {repeats} repeats, step {step}",
        "{n} seeds × {repeats} repeats, step {step}",
        len(found.seeds),
        repeats=repeats_text(language, found),
        step=found.step,
    )


def spreads_table(content: Content, column: Column) -> str:
    """Each seed's value, the spreads over seeds and repeats apart, and the best checkpoint; empty without values."""
    say, rows = content.language.say, []
    for cell in content.cells_in(column):
        summary = content.summary(cell, column)
        if summary is None:
            continue
        last, best = summary.last, summary.best
        by_seed = (f"{seed}: {number(mean)}" for seed, mean in zip(last.seeds, last.seed_means, strict=True))
        rows.append([
            str(cell.number), cell_name(cell), content.language.listed(by_seed), spread(last.sd_seeds),
            spread(last.sd_repeats), f"{number(best.mean)} ({best.step})" if best else "–",
        ])  # fmt: skip
    headers = ["#", say("Cell"), say("Mean of each seed"), say("SD over seeds"), say("SD over repeats")]
    return table([*headers, say("Best (at step)")], rows, right=[0, 3, 4, 5]) if rows else ""


def levels_table(content: Content) -> str:
    """A row per cell: its level of every factor that varies; empty where none does."""
    factors = content.view.plan.factors
    if not factors:
        return ""
    headers = ["#", content.language.say("Cell"), *(code(factor) for factor in factors)]
    rows = [[str(cell.number), cell_name(cell), *levels(content, cell)] for cell in content.cells]
    return table(headers, rows, right=[0])


MOST_METRICS = 4
"""Metrics that one table holds; more go into a further one below it."""


def other_metrics_tables(content: Content, columns: Sequence[Column]) -> list[str]:
    """The means of several metrics of one protocol at the last checkpoint: a row per cell, a column per metric."""
    parts = -(-len(columns) // MOST_METRICS)
    size = -(-len(columns) // parts) if parts else 0
    return [_other_metrics(content, columns[at : at + size]) for at in range(0, len(columns), size or 1)]


def _other_metrics(content: Content, columns: Sequence[Column]) -> str:
    language = content.language
    titles = [f"{language.say(column.measures.title)} {column.measures.arrow}".rstrip() for column in columns]
    real = [floor_text(column, content.floors.get(column.title), language) for column in columns]
    rows = [["–", f"*{language.say(REAL)}*", *real, "–", "–"]]
    for cell in content.cells_in(columns[0]):
        last = [summary.last for column in columns if (summary := content.summary(cell, column))]
        values = [mean_text(content, cell, column) for column in columns]
        steps = language.one_of([str(step) for step in sorted({found.step for found in last})])
        runs = len(content.runs_in(cell, columns[0]))
        counts = language.one_of(sorted({seeds_text(language, found, runs) for found in last}))
        rows.append([str(cell.number), cell_name(cell), *values, counts or "–", steps or "–"])
    headers = ["#", language.say("Cell"), *titles, language.say("Seeds"), language.say("Step")]
    return table(headers, rows, right=[0, *range(2, len(columns) + 4)])


def mean_text(content: Content, cell: ReportCell, column: Column) -> str:
    """`12.31 ± 0.40 (SE 0.11)`: the mean at the last checkpoint, ± the SD over seeds where there are several, and the
    standard error of one seed's value where the metric has one."""
    summary = content.summary(cell, column)
    if summary is None:
        return content.language.say("not measured")
    last, is_count = summary.last, column.metric == "missing_classes"
    text = f"{last.mean:.1f}" if is_count else number(last.mean)
    if last.sd_seeds is not None:
        text += f" ± {last.sd_seeds:.1f}" if is_count else f" ± {spread(last.sd_seeds)}"
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
        f"**{escape(level)}**" if factor in cell.cell.varied else escape(level)
        for factor, level in content.levels(cell).items()
    ]
