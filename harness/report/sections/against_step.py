"""Against the step: curves of every protocol's first metric, and small panels of some further ones."""

from __future__ import annotations

from dataclasses import dataclass

from harness.report import captions
from harness.report.album import Album, Picture
from harness.report.chosen_cells import Choice, small_panels
from harness.report.columns import Column, joined_title
from harness.report.content import Content
from harness.report.figures.fid import MOST_LINES
from harness.report.markdown import escape
from harness.report.pictures import IN_PANELS, column_against_step, column_at_last, panels_against_step
from harness.report.step_tables import step_table, steps_shown
from harness.report.templating import rendered
from harness.report.unfinished import unfinished_text


@dataclass(frozen=True)
class CurvesPart:
    """One protocol's figures; panels: of its further metrics."""

    title: str
    unfinished: str
    steps: str
    has_all_steps: bool
    against_step_caption: str
    at_last_caption: str
    against_step: list[Picture]
    at_last: list[Picture]
    choice: str
    panels: list[Picture]
    panel_titles: str
    without_panels: str


def body(content: Content, album: Album) -> str:
    groups = [_part(content, album, group) for group in content.groups]
    return rendered("sections/against-step.md.jinja", content.language, groups=groups)


def _part(content: Content, album: Album, columns: list[Column]) -> CurvesPart:
    first, others = columns[0], columns[1:]
    in_panels = [column for column in others if column.metric in IN_PANELS]
    choice = _shown(content, first)
    is_measured = bool(content.measured[first.title])
    return CurvesPart(
        title=escape(first.title_in(content.language)),
        unfinished=unfinished_text(content, first),
        steps=step_table(content, first),
        has_all_steps=not steps_shown(content, first)[1],
        against_step_caption=captions.against_step_caption(content, first),
        at_last_caption=captions.at_last_caption(first, content.language),
        against_step=column_against_step(content, album, first, choice.cells) if is_measured else [],
        at_last=column_at_last(content, album, first) if is_measured else [],
        choice=choice.text,
        panels=panels_against_step(content, album, others),
        panel_titles=escape(joined_title(in_panels, content.language)) if in_panels else "",
        without_panels=captions.without_panels(content, in_panels),
    )


def _shown(content: Content, column: Column) -> Choice:
    """The cells with panels of their own; all where they share one."""
    cells = content.cells_in(column)
    return Choice(tuple(cells)) if len(cells) <= MOST_LINES else small_panels(content, column)
