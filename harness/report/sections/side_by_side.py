"""Side by side: pairs of cells that the file names, at the same checkpoints: values, their ratio, and images."""

from __future__ import annotations

from statistics import geometric_mean
from typing import NamedTuple

from harness.analysis.summary import Measurement
from harness.design.cell_reference import cell_meant
from harness.report.album import Album, Picture
from harness.report.columns import Column
from harness.report.content import Content, ReportCell, ReportRun
from harness.report.effects import finding
from harness.report.figures.strips import strip_pages
from harness.report.markdown import escape, number, table
from harness.report.pictures import style_of
from harness.report.rounding import rounded
from harness.report.strips import MOST_CHECKPOINTS, Strips, cell_strip, evenly, shown_images
from harness.report.templating import rendered
from harness.store.networks import read_networks

Pair = tuple[ReportCell, ReportCell]


class PairPart(NamedTuple):
    """One pair of cells."""

    title: str
    metric: str
    table: str
    seeds: int | None
    difference: str
    parameters: str
    pictures: list[Picture]
    thinned: bool
    missing: list[str]


def is_asked_for(content: Content) -> bool:
    return bool(content.view.plan.experiment.report.side_by_side)


def body(content: Content, album: Album) -> str:
    pairs = _pairs(content)
    return rendered(
        "sections/side-by-side.md.jinja",
        content.language,
        parts=[_part(content, album, pair, number) for number, pair in enumerate(pairs, start=1)],
        count=shown_images(content),
        most=MOST_CHECKPOINTS,
    )


def _pairs(content: Content) -> list[Pair]:
    """What the file names, as far as its cells have runs."""
    plan, by_name = content.view.plan, {cell.cell.name: cell for cell in content.cells}
    named = [
        tuple(cell_meant(plan, text, "report.side_by_side").name for text in pair)
        for pair in plan.experiment.report.side_by_side
    ]
    return [(by_name[left], by_name[right]) for left, right in named if left in by_name and right in by_name]


def _part(content: Content, album: Album, pair: Pair, place: int) -> PairPart:
    say = content.language.say
    column = _column(content, pair)
    title = say("{left} beside {right}", left=escape(pair[0].label), right=escape(pair[1].label))
    runs, common = _runs(pair)
    steps = evenly(common)
    strips = Strips()
    for cell, run in zip(pair, runs, strict=True):
        cell_strip(content, strips, (cell, style_of(content, cell)), run, steps)
    figures = strip_pages(strips.panels, content.figure_language, columns=2) if strips.sources else []
    album.lacks([say("Progress strip (side by side) of {reason}", reason=reason) for reason in strips.missing])
    plain = say("{left} beside {right}", left=pair[0].label, right=pair[1].label)
    return PairPart(
        title=title,
        metric=escape(say(column.measures.title)) if column else "",
        table=_table(content, pair, column) if column else "",
        seeds=_seeds_alike(_common(content, pair, column)) if column else None,
        difference=_difference(content, pair, column) if column else "",
        parameters=_parameters(content, pair),
        pictures=album.add(f"side-by-side-{place}", plain, figures, strips.sources),
        thinned=len(steps) < len(common),
        missing=[escape(reason) for reason in strips.missing],
    )


def _column(content: Content, pair: Pair) -> Column | None:
    """The first metric under a protocol that both cells are measured under."""
    firsts = (group[0] for group in content.groups)
    return next((column for column in firsts if set(pair) <= set(content.cells_in(column))), None)


def _runs(pair: Pair) -> tuple[tuple[ReportRun, ReportRun], list[int]]:
    """A run of each cell, of one seed where both have checkpoints of it, and the steps of the checkpoints of both."""
    left, right = ({run.seed: run for run in cell.runs if run.checkpoints} for cell in pair)
    shared = [seed for seed in left if seed in right]
    first = left[shared[0]] if shared else next(iter(left.values()), pair[0].runs[0])
    second = right[shared[0]] if shared else next(iter(right.values()), pair[1].runs[0])
    return (first, second), sorted(first.checkpoints.keys() & second.checkpoints.keys())


def _common(content: Content, pair: Pair, column: Column) -> list[tuple[Measurement, Measurement]]:
    """Both cells' measurements at the steps that both have, ascending."""
    left, right = ({found.step: found for found in content.of_cell(cell, column)} for cell in pair)
    return [(left[step], right[step]) for step in sorted(left.keys() & right.keys())]


def _table(content: Content, pair: Pair, column: Column) -> str:
    """A row per step at which both were measured; empty where there is none."""
    say, found = content.language.say, _common(content, pair, column)
    if not found:
        return ""
    labels = [escape(cell.label) for cell in pair]
    has_seeds = not _seeds_alike(found)
    headers = [say("Step"), *labels, *([say("Seeds")] if has_seeds else [])]
    headers.append(say("{right} ÷ {left}", left=labels[0], right=labels[1]))
    rows = [
        [
            str(left.step),
            _with_sd(left),
            _with_sd(right),
            *([_seeds(left, right)] if has_seeds else []),
            _ratio(left, right),
        ]
        for left, right in found
    ]
    return table(headers, rows, right=range(len(headers)))


def _seeds_alike(found: list[tuple[Measurement, Measurement]]) -> int | None:
    """How many seeds every value is the mean of; None where these differ."""
    counts = {len(one.seeds) for both in found for one in both}
    return counts.pop() if len(counts) == 1 else None


def _with_sd(found: Measurement) -> str:
    return rounded(found.mean, found.sd_seeds)


def _seeds(left: Measurement, right: Measurement) -> str:
    """How many seeds; of both where they differ."""
    counts = dict.fromkeys((len(left.seeds), len(right.seeds)))
    return ", ".join(str(len(found.seeds)) for found in (left, right)) if len(counts) > 1 else str(len(left.seeds))


def _ratio(left: Measurement, right: Measurement) -> str:
    """The geometric mean of the ratios by seed, over the seeds that both have; a dash where there is none."""
    of_left, of_right = (dict(zip(one.seeds, one.seed_means, strict=True)) for one in (left, right))
    pairs = [(of_left[seed], of_right[seed]) for seed in of_left if seed in of_right]
    if not pairs or any(value <= 0 for pair in pairs for value in pair):
        return "–"
    return number(geometric_mean(second / first for first, second in pairs), 3)


def _difference(content: Content, pair: Pair, column: Column) -> str:
    """What the comparison of cells says of the pair; where it does not test the pair, the numbers alone."""
    say, against = content.language.say, content.comparisons.get(column.title)
    for cell, reference in (pair[::-1], pair):
        if against and against.of(cell, reference):
            return finding(content, against, (cell, reference), escape(cell.label))
    found = _common(content, pair, column)
    if not found:
        return say("No checkpoint of both was measured yet.")
    left, right = found[-1]
    return say(
        "At step {step}, the last that both have, {metric} is {left_mean} for {left} and {right_mean} for {right}. "
        "This pair is not among the comparisons that are tested, so that the difference is not judged.",
        step=left.step,
        metric=escape(say(column.measures.title)),
        left=escape(pair[0].label),
        right=escape(pair[1].label),
        left_mean=_with_sd(left),
        right_mean=_with_sd(right),
    )


def _parameters(content: Content, pair: Pair) -> str:
    """The sizes of both cells' networks; empty where one has not noted them."""
    sizes = []
    for cell in pair:
        noted = (read_networks(run.view.directory) for run in cell.runs if run.view.directory)
        sizes.append(next((networks for networks in noted if networks), None))
    left, right = sizes
    if left is None or right is None:
        return ""
    return content.language.say(
        "Parameters: {left} has {left_g} in G and {left_d} in D, {right} has {right_g} in G and {right_d} in D.",
        left=escape(pair[0].label),
        right=escape(pair[1].label),
        left_g=f"{left.generator.parameters:,}",
        left_d=f"{left.discriminator.parameters:,}",
        right_g=f"{right.generator.parameters:,}",
        right_d=f"{right.discriminator.parameters:,}",
    )
