"""What stands under the figures of metrics: what a point, a band, a tick and a line are."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.columns import Column, joined_title
from harness.report.content import Content
from harness.report.figures.fid import MOST_LINES, is_in_view
from harness.report.language import Language
from harness.report.markdown import escape, number


def against_step_caption(content: Content, column: Column) -> str:
    """What the figure of a protocol's first metric against the step shows."""
    say = content.language.say
    point = (
        say("Each point is a checkpoint: the mean over seeds of each seed's value of all its repeats' images together.")
        if column.measures.pooled
        else say("Each point is a checkpoint: the mean over seeds of each seed's mean over repeats.")
    )
    band = say("The band reaches from the lowest to the highest seed; where only one seed was measured there is none.")
    return content.language.paragraph(point, band, _direction(content, column), _floor_line(content, column))


def _direction(content: Content, column: Column) -> str:
    """Which way is closer to the real images; empty where neither is."""
    match column.measures.better:
        case "lower":
            return content.language.say("Lower means closer to the real images.")
        case "higher":
            return content.language.say("Higher means closer to the real images.")
        case "neither":
            return ""


def _floor_line(content: Content, column: Column) -> str:
    """What the dotted line is, or the floor's value where no line can show it; empty where there is no floor."""
    floor, say = content.floors.get(column.title), content.language.say
    if floor is None:
        return ""
    value, n = number(floor.mean), floor.samples
    match is_in_view(floor.mean, values_shown(content, column)), column.measures.pooled:
        case True, False:
            return say("The dotted line is the floor: real images against real images.")
        case True, True:
            return say("The dotted line is the floor: real images against real images, FID at n = {n}.", n=n)
        case False, True:
            return say(
                "Too far from these values for a line in the figure is the floor: real images against real images, "
                "FID at n = {n}, {value}.",
                n=n,
                value=value,
            )
        case _:
            return say(
                "Too far from these values for a line in the figure is the floor: real images against real images, "
                "{value}.",
                value=value,
            )


def values_shown(content: Content, column: Column) -> list[float]:
    """Every value that the figure against the step has to show: seeds' means."""
    return [mean for found in content.measured[column.title] for mean in found.seed_means]


def at_last_caption(column: Column, language: Language) -> str:
    """What the figure of a protocol's first metric at the last checkpoint shows."""
    dots = (
        language.say(
            "The last checkpoint of each cell: dots are single seeds, each one value of all its repeats' images "
            "together (a row each, lowest seed on top), the bar is their mean."
        )
        if column.measures.pooled
        else language.say(
            "The last checkpoint of each cell: ticks are single repeats, dots the means of one seed's repeats (a row "
            "each, lowest seed on top), the bar is their mean."
        )
    )
    lines = language.say(
        "Cells are in the order of their means, the one closest to the real images on top. The dashed line is the "
        "baseline's mean. Where the dots of two cells overlap, these seeds do not tell them apart."
    )
    return language.paragraph(dots, lines)


def pooled_note(columns: Sequence[Column], language: Language) -> str:
    """That pooled metrics have one value per checkpoint, and so no spread over repeats; empty without them."""
    titles = [escape(language.say(column.measures.title)) for column in columns if column.measures.pooled]
    if not titles:
        return ""
    return language.plural(
        "{metrics} is one value of all repeats' images together, so there is no SD over repeats.",
        "{metrics} are each one value of all repeats' images together, so there is no SD over repeats.",
        len(titles),
        metrics=language.all_of(titles),
    )


def without_panels(content: Content, columns: Sequence[Column]) -> str:
    """Why metrics that could be shown against the step are not; empty where there are none or they are shown."""
    if not columns or len(content.cells_in(columns[0])) <= MOST_LINES:
        return ""
    return content.language.say(
        "{metrics} at every checkpoint: see `comparison.csv`; more than {most} cells are too many for one panel.",
        metrics=escape(joined_title(columns, content.language)),
        most=MOST_LINES,
    )
