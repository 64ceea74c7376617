"""The report's tables for a paper: LaTeX with booktabs, one file each, to be set in by `\\input`."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.statistics import Difference
from harness.report.columns import Column
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content, ReportCell
from harness.report.floors import REAL
from harness.report.language import Language
from harness.report.latex_text import LONG, Entry, LatexTable, needs_unicode
from harness.report.rounding import rounded
from harness.report.tables import MOST_METRICS, seeds_text
from harness.report.verdicts import interval_text, p_text, size_text, verdict_text

STARS = (0.05, 0.01, 0.001)
"""An adjusted p below each of these earns a star."""
_DASH = "–"


def latex_tables(content: Content) -> dict[str, bytes]:
    """Every table as a file, by its path in the report: cells under each protocol, and differences between cells.

    ValueError where two would have one name.
    """
    found: dict[str, LatexTable] = {}
    for group in content.groups:
        for page, at in enumerate(range(0, len(group), MOST_METRICS), start=1):
            name = f"comparison{page if page > 1 else ''}-{group[0].file_name}"  # no protocol's name can look like it
            _add(found, name, _comparison(content, group[at : at + MOST_METRICS], name))
    for against in content.comparisons.values():
        name = f"differences-{against.column.metric}-{against.column.file_name}"
        if any(difference.verdict != "baseline" for difference in against.comparison.differences):
            _add(found, name, _differences(content, against, name))
    return {f"tables/{name}.tex": table.tex().encode() for name, table in found.items()}


def _add(found: dict[str, LatexTable], name: str, table: LatexTable) -> None:
    if name in found:
        raise ValueError(f"two tables of one report are named {name}.tex")
    found[name] = table


def _comparison(content: Content, columns: Sequence[Column], name: str) -> LatexTable:
    """A row per cell: mean and SD over seeds of each metric, with stars where the difference to the baseline is one."""
    say, language = content.language.say, content.language
    cells = content.cells_in(columns[0])
    heads = [f"{say(column.measures.title)} {column.measures.arrow}".rstrip() for column in columns]
    caption = say(
        "{metrics} of every cell of {experiment} (extractor: {extractor}), mean ± standard deviation over seeds.",
        metrics=language.all_of([say(column.measures.title) for column in columns]),
        experiment=content.view.plan.experiment.name,
        extractor=columns[0].source_in(language),
    )
    return LatexTable(
        _comments(language, [caption, *(cell.label for cell in cells)], len(cells)),
        caption,
        f"{content.view.plan.experiment.name}-{name}",
        [say("Cell"), *heads, say("Seeds")],
        [[Entry(say(REAL)), *(_floor(content, column) for column in columns), Entry(_DASH)]],
        [_row(content, columns, cell) for cell in cells],
        [*_what_values_are(content, columns), _floor_note(content, columns), *_tests(content, columns)],
    )


def _row(content: Content, columns: Sequence[Column], cell: ReportCell) -> list[Entry]:
    runs = len(content.runs_in(cell, columns[0]))
    last = [summary.last for column in columns if (summary := content.summary(cell, column))]
    counts = sorted({seeds_text(content.language, found, runs) for found in last})
    head = Entry(cell.label, is_bold=cell.cell.is_baseline)
    return [head, *(_value(content, column, cell) for column in columns), Entry(content.language.one_of(counts) or "0")]


def _value(content: Content, column: Column, cell: ReportCell) -> Entry:
    summary, against = content.summary(cell, column), content.comparisons.get(column.title)
    if summary is None:
        return Entry(_DASH)
    last = summary.last
    is_compared = against is not None and against.steps.get(cell.cell.name) == last.step
    difference = against.of(cell) if against and is_compared else None
    text = rounded(last.mean, last.sd_seeds) + ("" if last.sd_seeds is not None else f" ± {_DASH}")
    return Entry(text, stars=stars(difference) if difference else 0)


def stars(difference: Difference) -> int:
    """How many an adjusted p earns; none where nothing was tested, or the test gave no verdict."""
    if difference.p_holm is None or difference.verdict not in ("helps", "hurts", "differs"):
        return 0
    return sum(difference.p_holm < level for level in STARS)


def _floor(content: Content, column: Column) -> Entry:
    floor = None if column.measures.pooled else content.floors.get(column.title)
    return Entry(rounded(floor.mean, floor.sd) if floor else _DASH)


def _what_values_are(content: Content, columns: Sequence[Column]) -> list[str]:
    """How a value is made of seeds and repeats, at which steps, what a dash is, and which runs diverged."""
    language, cells = content.language, content.cells_in(columns[0])
    last = {
        cell.label: [summary.last for column in columns if (summary := content.summary(cell, column))] for cell in cells
    }
    steps = {label: max(found.step for found in of_cell) for label, of_cell in last.items() if of_cell}
    end = max(steps.values(), default=None)
    notes = [
        language.say(
            "Each value: the mean over seeds of each seed's mean over its repeats, ± the sample standard deviation "
            "over seeds, at the last measured checkpoint (step {step}).",
            step=_DASH if end is None else end,
        ),
        *(language.say("{cell}: step {step}.", cell=cell, step=step) for cell, step in steps.items() if step != end),
    ]
    if any(found.sd_seeds is None for of_cell in last.values() for found in of_cell):
        notes.append(language.say("–: not measured; after ±: one seed, so no standard deviation and no verdict."))
    diverged = [
        language.say("{cell}: {k} of {n} runs diverged.", cell=cell.label, k=cell.counts.diverged, n=cell.counts.runs)
        for cell in cells
        if cell.counts.diverged
    ]
    return [*notes, *diverged]


def _floor_note(content: Content, columns: Sequence[Column]) -> str:
    say, protocol = content.language.say, columns[0].protocol
    floor = next((floor for column in columns if (floor := content.floors.get(column.title))), None)
    under = say("Protocol {fingerprint}.", fingerprint=protocol.sha256[:8]) if protocol else ""
    if floor is None:
        return content.language.paragraph(under, say("First row: not measured."))
    first = say(
        "First row: {samples} real images in the place of the generated ones, against {reference} others; mean ± "
        "standard deviation over {splits} random splits.",
        samples=floor.samples,
        reference=floor.reference,
        splits=len(floor.values),
    )
    pooled = say("Values pooled over repeats have none.") if any(column.measures.pooled for column in columns) else ""
    return content.language.paragraph(first, pooled, under)


def _tests(content: Content, columns: Sequence[Column]) -> list[str]:
    """Which metrics are tested against the baseline, and by what; that stars mean nothing without seeds."""
    say = content.language.say
    tested = [
        (column, against)
        for column in columns
        if (against := content.comparisons.get(column.title)) and any(map(_is_tested, against.comparison.differences))
    ]
    if not tested:
        return [say("No difference was tested.")]
    notes = []
    for scale in dict.fromkeys(against.comparison.scale for _, against in tested):
        of_scale = [(column, against) for column, against in tested if against.comparison.scale == scale]
        titles = content.language.all_of([say(column.measures.title) for column, _ in of_scale])
        notes += [say("Stars ({metrics}):", metrics=titles), test_note(content.language, of_scale[0][1])]
    return notes


def _is_tested(difference: Difference) -> bool:
    return difference.p_holm is not None


def test_note(language: Language, against: ColumnComparison) -> str:
    """The test behind the stars by its name, and how its p-values are adjusted."""
    is_log = against.comparison.scale == "log"
    if is_log:
        test = language.say(
            "two-sided t-test of log ratios paired by seed, error the larger one of that pooled over cells of like "
            "variance and the cell's own"
        )
    else:
        test = language.say(
            "two-sided t-test of differences paired by seed, error the larger one of that pooled over cells of like "
            "variance and the cell's own"
        )
    tested = [one for one in against.comparison.differences if _is_tested(one)]
    exact = any(not one.se for one in tested)
    return language.paragraph(
        language.plural(
            "* p < 0.05, ** p < 0.01, *** p < 0.001; {test}; p of {n} test, not adjusted.",
            "* p < 0.05, ** p < 0.01, *** p < 0.001; {test}; p adjusted by Holm's method over {n} tests.",
            against.comparison.family,
            test=test,
        ),
        language.say("Where nothing varies, p is that of the sign-flip test.") if exact else "",
    )


def _differences(content: Content, against: ColumnComparison, name: str) -> LatexTable:
    """A row per tested or reported difference."""
    language, say = content.language, content.language.say
    labels = {cell.cell.name: cell.label for cell in against.cells}
    found = [one for one in against.comparison.differences if one.verdict != "baseline"]
    names_both = any(one.against != against.comparison.baseline for one in found)
    is_log = against.comparison.scale == "log"
    experiment, metric = content.view.plan.experiment.name, against.column.title_in(language)
    caption = (
        say(
            "{metric} of {experiment}: each cell over the one it is compared with.",
            metric=metric,
            experiment=experiment,
        )
        if is_log
        else say(
            "{metric} of {experiment}: each cell less the one it is compared with.",
            metric=metric,
            experiment=experiment,
        )
    )
    heads = [say("Cell"), *([say("Against")] if names_both else []), say("Ratio") if is_log else say("Difference")]
    rows = [
        [
            Entry(labels.get(one.cell, one.cell)),
            *([Entry(labels.get(one.against, one.against))] if names_both else []),
            Entry(size_text(one), stars=stars(one)),
            Entry(interval_text(language, one)),
            Entry(p_text(None if one.verdict == "not asked" else one.p)),
            Entry(p_text(one.p_holm)),
            Entry(str(len(one.shared_seeds))),
            Entry(verdict_text(language, one.verdict)),
        ]
        for one in found
    ]
    return LatexTable(
        _comments(language, [caption, *labels.values()], len(rows)),
        caption,
        f"{experiment}-{name}",
        [*heads, say("95 % interval"), "p", say("p (Holm)"), say("Seeds"), say("Verdict")],
        [],
        rows,
        _difference_notes(content, against),
    )


def _difference_notes(content: Content, against: ColumnComparison) -> list[str]:
    say, protocol = content.language.say, against.column.protocol
    notes = [say("Intervals are of each difference alone, over the seeds that both cells have.")]
    if against.baseline is not None:
        notes.append(say("Compared with {baseline} unless said.", baseline=against.baseline.label))
    if any(map(_is_tested, against.comparison.differences)):
        notes.append(test_note(content.language, against))
    if any(len(one.shared_seeds) == 1 for one in against.comparison.differences):
        notes.append(say("One seed: numbers, no verdict."))
    return [*notes, say("Protocol {fingerprint}.", fingerprint=protocol.sha256[:8]) if protocol else ""]


def _comments(language: Language, texts: Sequence[str], rows: int) -> list[str]:
    """What the file needs, for its first lines."""
    packages = r"\usepackage{booktabs}" if rows <= LONG else r"\usepackage{booktabs,longtable}"
    lines = [language.say("Preamble: {packages}", packages=packages)]
    if language.code == "zh":
        return [*lines, language.say("Chinese text: XeLaTeX or LuaLaTeX with {package}", package=r"\usepackage{ctex}")]
    if any(needs_unicode(text) for text in texts):
        lines.append(language.say("Letters beyond Latin: XeLaTeX or LuaLaTeX with a font that has them"))
    return lines
