"""The report's columns: values that compare, because one protocol made them, and the floor to read them by."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from harness.design.expansion import Cell
from harness.design.metrics import METRICS, Metric
from harness.evaluation.protocol import Protocol
from harness.report.language import ENGLISH, Language
from harness.tracking.reader import Block, ExperimentView

MOST_NAMED = 4
"""Metrics that a heading names."""


@dataclass(frozen=True)
class Column:
    """Measurements that compare: one metric of one block under one protocol.

    name: `digits`, with the batch size where the protocol depends on it. protocol None: nothing was prepared yet, so
    that it is not known. file_name: `name` as files have it, unlike that of every other protocol of the report.
    """

    index: int
    block: Block
    name: str
    metric: str
    protocol: Protocol | None
    file_name: str

    @property
    def measures(self) -> Metric:
        return METRICS[self.metric]

    @property
    def source(self) -> str:
        """`digits`; numbers of weights that are not the known ones say so wherever they stand."""
        return self.name if self.protocol is None or self.protocol.verified else f"{self.name}, unverified weights"

    @property
    def title(self) -> str:
        """`FID (digits)`."""
        return f"{self.measures.title} ({self.source})"

    def source_in(self, language: Language) -> str:
        """`source` as a text in `language` has it."""
        if self.protocol is None or self.protocol.verified:
            return self.name
        return language.say("{extractor}, unverified weights", extractor=self.name)

    def title_in(self, language: Language) -> str:
        """`title` as a text in `language` has it."""
        metric = language.say(self.measures.title)
        return language.say("{metric} ({source})", metric=metric, source=self.source_in(language))

    @property
    def floor_metric(self) -> str:
        """The metric of real images that this column is read beside: FID where values are pooled of it."""
        return "fid" if self.measures.pooled else self.metric

    @property
    def values_asked(self) -> int:
        """How many values each measured checkpoint has when nothing is missing."""
        return 1 if self.measures.pooled else self.block.settings.repeats

    def steps(self, cell: Cell) -> tuple[int, ...]:
        """The checkpoints of `cell` that this column measures, ascending."""
        return self.block.settings.steps_measured(cell.training)


@dataclass(frozen=True)
class ColumnFloor:
    """Real images against other real ones in one column: values of its `floor_metric`, one per random split.

    samples, reference: real images in the place of the generated and of the real ones. differing: whether another
    evaluation of this column holds another floor; this one is of the first.
    """

    samples: int
    reference: int
    values: tuple[float, ...]
    differing: bool = False

    @property
    def mean(self) -> float:
        return fmean(self.values)

    @property
    def sd(self) -> float | None:
        """Over the random splits, None with one."""
        return stdev(self.values) if len(self.values) > 1 else None


def columns_of(view: ExperimentView) -> tuple[Column, ...]:
    """One column per metric, block and protocol, in the file's order."""
    found: list[tuple[int, Block, str, Protocol | None]] = []
    for index, block in enumerate(view.blocks):
        if not block.available:
            continue
        protocols = list(dict.fromkeys(run.protocols[index] for run in view.runs)) or [None]
        for protocol in protocols:
            depends = len(protocols) > 1 and protocol is not None and protocol.batch_size is not None
            name = f"{block.column}, batch {protocol.batch_size}" if depends and protocol else block.column
            found.append((index, block, name, protocol))
    files = _file_names({name: protocol for _, _, name, protocol in found})
    return tuple(
        Column(index, block, name, metric, protocol, files[name])
        for index, block, name, protocol in found
        for metric in block.settings.metrics
    )


def _file_names(protocols: Mapping[str, Protocol | None]) -> dict[str, str]:
    """By column name: its small letters a to z and digits; where two are alike or nothing is left, and the protocol."""
    plain = {name: re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") for name in protocols}
    often = Counter(plain.values())
    found: dict[str, str] = {}
    for number, (name, protocol) in enumerate(protocols.items(), start=1):
        parts = [plain[name]] if plain[name] else []
        if not parts or often[plain[name]] > 1:
            parts.append(protocol.sha256[:8] if protocol else str(number))
        taken = "-".join(parts)
        found[name] = f"{taken}-{number}" if taken in found.values() else taken
    return found


def joined_title(columns: Sequence[Column], language: Language = ENGLISH) -> str:
    """Columns of one protocol under one name: `FID, KID (digits)`, `FID and 5 other metrics (digits)`."""
    titles = [language.say(column.measures.title) for column in columns]
    metrics = (
        language.listed(titles)
        if len(titles) <= MOST_NAMED
        else language.say("{metric} and {n} other metrics", metric=titles[0], n=len(titles) - 1)
    )
    return language.say("{metric} ({source})", metric=metrics, source=columns[0].source_in(language))
