"""Comparison of cells: a table per protocol at each cell's last checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

from harness.report import captions, effects, floors, prose, settings, tables
from harness.report.album import Album
from harness.report.columns import Column
from harness.report.content import Content
from harness.report.markdown import code, escape
from harness.report.problems import left_out
from harness.report.standard_errors import errors_note
from harness.report.templating import rendered


@dataclass(frozen=True)
class ComparisonPart:
    """One protocol's columns. title: of the first, which has tables of its own; others: tables of the further ones.

    compares: whether any cell has a difference to the baseline with an interval.
    """

    title: str
    source: str
    fingerprint: str
    caveat: str
    comparison: str
    spreads: str
    compares: bool
    floor_note: str
    rank_note: str
    pooled_note: str
    note: str
    step_note: str
    others: list[str]
    errors_note: str
    abouts: list[str]


def body(content: Content, album: Album) -> str:
    return rendered(
        "sections/comparison.md.jinja",
        content.language,
        groups=[_part(content, group) for group in content.groups],
        levels_table=tables.levels_table(content),
        states_table=tables.states_table(content),
        left_out=left_out(content),
        environment_note=settings.environment_note(content),
    )


def _part(content: Content, columns: list[Column]) -> ComparisonPart:
    first, others, say = columns[0], columns[1:], content.language.say
    against = content.comparisons[first.title]
    return ComparisonPart(
        title=escape(first.title_in(content.language)),
        source=escape(first.source_in(content.language)),
        fingerprint=floors.fingerprint(first, content.language),
        caveat=settings.extractor_caveat(content, first),
        comparison=tables.comparison_table(content, first),
        spreads=tables.spreads_table(content, first),
        compares=any((one := against.of(cell)) and one.low is not None for cell in against.others),
        floor_note=floors.floor_note(content, columns),
        rank_note=floors.rank_note(content, columns),
        pooled_note=captions.pooled_note(columns, content.language),
        note=prose.seeds_note(content, first),
        step_note=effects.step_note(content, against),
        others=tables.other_metrics_tables(content, others),
        errors_note=errors_note(content, columns),
        abouts=[
            say(
                "{metric} ({name}): {about}.",
                metric=escape(say(of.title)),
                name=code(of.name),
                about=escape(say(of.about)),
            )
            for of in (one.measures for one in columns)
        ],
    )
