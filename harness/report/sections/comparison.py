"""Comparison of cells: a table per protocol at each cell's last checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

from harness.evaluation.protocol import caveat
from harness.report import captions, floors, prose, settings, tables
from harness.report.album import Album
from harness.report.columns import Column
from harness.report.content import Content
from harness.report.markdown import code, escape
from harness.report.problems import left_out
from harness.report.standard_errors import errors_note
from harness.report.templating import rendered


@dataclass(frozen=True)
class ComparisonPart:
    """One protocol's columns. title: of the first, which has a table of its own; others: tables of the further ones."""

    title: str
    source: str
    fingerprint: str
    caveat: str
    comparison: str
    floor_note: str
    rank_note: str
    pooled_note: str
    note: str
    others: list[str]
    errors_note: str
    abouts: list[str]


def body(content: Content, album: Album) -> str:
    return rendered(
        "sections/comparison.md.jinja",
        content.language,
        groups=[_part(content, group) for group in content.groups],
        states_table=tables.states_table(content),
        left_out=left_out(content),
        environment_note=settings.environment_note(content),
    )


def _part(content: Content, columns: list[Column]) -> ComparisonPart:
    first, others = columns[0], columns[1:]
    return ComparisonPart(
        title=escape(first.title),
        source=escape(first.source),
        fingerprint=floors.fingerprint(first),
        caveat=caveat(first.block.settings, content.view.plan.experiment.data),
        comparison=tables.comparison_table(content, first),
        floor_note=floors.floor_note(content, columns),
        rank_note=floors.rank_note(content, columns),
        pooled_note=captions.pooled_note(columns),
        note=prose.seeds_note(content, first),
        others=tables.other_metrics_tables(content, others),
        errors_note=errors_note(content, columns),
        abouts=[
            f"{escape(of.title)} ({code(of.name)}): {escape(of.about)}." for of in (one.measures for one in columns)
        ],
    )
