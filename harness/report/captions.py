"""What stands under the figures of metrics: what a point, a band, a tick and a line are."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.columns import Column, joined_title
from harness.report.content import Content
from harness.report.figures.fid import MOST_LINES, is_in_view
from harness.report.markdown import escape, number

_DIRECTIONS = {
    "lower": " Lower means closer to the real images.",
    "higher": " Higher means closer to the real images.",
    "neither": "",
}
_LAST = (
    "The dashed line is the baseline's mean. Where the dots of two cells overlap, these seeds do not tell them apart."
)


def against_step_caption(content: Content, column: Column) -> str:
    """What the figure of a protocol's first metric against the step shows."""
    pooled = column.measures.pooled
    each = "each seed's value of all its repeats' images together" if pooled else "each seed's mean over repeats"
    return (
        f"Each point is a checkpoint: the mean over seeds of {each}. The band reaches from the lowest to the highest "
        f"seed; where only one seed was measured there is none.{_DIRECTIONS[column.measures.better]}"
        f"{_floor_line(content, column)}"
    )


def _floor_line(content: Content, column: Column) -> str:
    """What the dotted line is, or the floor's value where no line can show it; empty where there is no floor."""
    floor = content.floors.get(column.title)
    if floor is None:
        return ""
    what = (
        f"the floor: real images against real images{f', FID at n = {floor.samples}' if column.measures.pooled else ''}"
    )
    if is_in_view(floor.mean, values_shown(content, column)):
        return f" The dotted line is {what}."
    return f" Too far from these values for a line in the figure is {what}, {number(floor.mean)}."


def values_shown(content: Content, column: Column) -> list[float]:
    """Every value that the figure against the step has to show: seeds' means."""
    return [mean for found in content.measured[column.title] for mean in found.seed_means]


def at_last_caption(column: Column) -> str:
    """What the figure of a protocol's first metric at the last checkpoint shows."""
    if column.measures.pooled:
        return (
            "The last checkpoint of each cell: dots are single seeds, each one value of all its repeats' images "
            f"together (a row each, lowest seed on top), the bar is their mean. {_LAST}"
        )
    return (
        "The last checkpoint of each cell: ticks are single repeats, dots the means of one seed's repeats (a row each, "
        f"lowest seed on top), the bar is their mean. {_LAST}"
    )


def pooled_note(columns: Sequence[Column]) -> str:
    """That pooled metrics have one value per checkpoint, and so no spread over repeats; empty without them."""
    titles = [escape(column.measures.title) for column in columns if column.measures.pooled]
    if not titles:
        return ""
    verb = "is" if len(titles) == 1 else "are each"
    return f"{' and '.join(titles)} {verb} one value of all repeats' images together, so there is no SD over repeats."


def without_panels(content: Content, columns: Sequence[Column]) -> str:
    """Why metrics that could be shown against the step are not; empty where there are none or they are shown."""
    if not columns or len(content.cells_in(columns[0])) <= MOST_LINES:
        return ""
    return (
        f"{escape(joined_title(columns))} at every checkpoint: see `comparison.csv`; more than {MOST_LINES} cells are "
        "too many for one panel."
    )
