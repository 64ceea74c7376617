"""Comparison of cells: what each cell is, and a table per protocol at each cell's last checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.report import captions, effects, extractors, floors, prose, settings, tables
from harness.report.album import Album
from harness.report.columns import Column
from harness.report.content import Content
from harness.report.markdown import code, escape
from harness.report.problems import left_out
from harness.report.standard_errors import errors_note
from harness.report.templating import rendered


@dataclass(frozen=True)
class OthersPart:
    """One table of further metrics, and a line on each of them."""

    table: str
    abouts: list[str]


@dataclass(frozen=True)
class ComparisonPart:
    """One protocol's columns. title: of the first, which has tables of its own; others: tables of the further ones.

    compares: whether any cell has a difference to the baseline with an interval; alike: seeds, repeats and step where
    they are the same for all cells, of the first column and of the others.
    """

    title: str
    metric: str
    source: str
    result: str
    scale: str
    about: str
    alike: str
    others_alike: str
    fingerprint: str
    caveat: str
    comparison: str
    spreads: str
    compares: bool
    has_best: bool
    has_ratio: bool
    floor_note: str
    others_floor_note: str
    rank_note: str
    pooled_note: str
    note: str
    step_note: str
    others: list[OthersPart]
    errors_note: str


def body(content: Content, album: Album) -> str:
    return rendered(
        "sections/comparison.md.jinja",
        content.language,
        groups=[_part(content, group) for group in content.groups],
        cells_table=tables.cells_table(content) if len(content.cells) > 1 else "",
        states_table=tables.states_table(content),
        left_out=left_out(content),
        environment_note=settings.environment_note(content),
    )


def _part(content: Content, columns: list[Column]) -> ComparisonPart:
    first, others, language = columns[0], columns[1:], content.language
    against = content.comparisons[first.title]
    return ComparisonPart(
        title=escape(first.title_in(language)),
        metric=escape(language.say(first.measures.title)),
        source=escape(first.source_in(language)),
        result=prose.spread_of_cells(content, first),
        scale=extractors.scale_note(content, first),
        about=_about(content, first),
        alike=tables.measured_alike(content, [first]),
        others_alike=tables.measured_alike(content, others),
        fingerprint=floors.fingerprint(first, language),
        caveat=settings.extractor_caveat(content, first),
        comparison=tables.comparison_table(content, first),
        spreads=tables.spreads_table(content, first),
        compares=any((one := against.of(cell)) and one.low is not None for cell in against.others),
        has_best=tables.has_earlier_best(content, first),
        has_ratio=first.metric == "fid",
        floor_note=floors.floor_note(content, columns),
        others_floor_note=floors.others_floor_note(content, others),
        rank_note=floors.rank_note(content, columns),
        pooled_note=captions.pooled_note(columns, language),
        note=prose.seeds_note(content, first),
        step_note=effects.step_note(content, against),
        others=_others(content, others),
        errors_note=errors_note(content, columns),
    )


def _others(content: Content, columns: Sequence[Column]) -> list[OthersPart]:
    are_alike = bool(tables.measured_alike(content, columns))
    return [
        OthersPart(tables.other_metrics_table(content, part, are_alike), [_about(content, column) for column in part])
        for part in tables.in_parts(columns)
    ]


def _about(content: Content, column: Column) -> str:
    """What a metric is, and how its values are to be read."""
    language, of = content.language, column.measures
    about = language.say(
        "{metric} ({name}): {about}.",
        metric=escape(language.say(of.title)),
        name=code(of.name),
        about=escape(language.say(of.about)),
    )
    protocol, measured = column.protocol, ""
    if protocol is not None:
        measured = language.plural(
            "Each checkpoint is measured once: {samples} generated images against {reference} real ones.",
            "Each checkpoint is measured {n} times: {samples} fresh generated images against the same {reference} real "
            "ones of the training data.",
            column.block.settings.repeats,
            samples=protocol.samples,
            reference=protocol.reference if protocol.reference != "all" else language.say("all"),
        )
    return language.paragraph(about, measured, extractors.metric_caveat(content, column))
