"""What every picture of a report says of itself: which runs it shows, and what those were trained with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.design.factors import as_written, canonical_level, levels_of
from harness.report.content import Content
from harness.store.picture_file import CELLS_TEXT, EXPERIMENT_TEXT, SOURCES_TEXT, TITLE_TEXT


@dataclass(frozen=True)
class ShownRuns:
    """The experiment's runs as pictures name them.

    cell_of: cell by run key; baseline: every factor's level; cells: levels that differ from it, by cell; training: by
    setting.
    """

    experiment: str
    cell_of: Mapping[str, str] = field(default_factory=dict)
    baseline: Mapping[str, str] = field(default_factory=dict)
    cells: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    training: Mapping[str, int] = field(default_factory=dict)

    def texts(self, title: str, sources: Iterable[Mapping[str, Any]]) -> dict[str, str]:
        """By keyword of the file; sources: as report.json has them, of which each is given its cell's name."""
        named = [self._named(source) for source in sources]
        shown = dict.fromkeys(source["cell"] for source in named if "cell" in source)
        about = {
            "baseline": self.baseline,
            "cells": {name: self.cells[name] for name in shown},
            "training": self.training,
        }
        return {
            TITLE_TEXT: title,
            EXPERIMENT_TEXT: self.experiment,
            SOURCES_TEXT: json.dumps(named, separators=(",", ":")),
            CELLS_TEXT: json.dumps(about, separators=(",", ":")),
        }

    def _named(self, source: Mapping[str, Any]) -> dict[str, Any]:
        cell = self.cell_of.get(source.get("key", ""))
        return dict(source) if cell is None else {"cell": cell, **source}


def shown_runs(content: Content) -> ShownRuns:
    """Of all runs of the report."""
    experiment = content.view.plan.experiment
    return ShownRuns(
        experiment=experiment.name,
        cell_of={run.key: cell.cell.name for cell in content.cells for run in cell.runs},
        baseline={name: canonical_level(level) for name, level in as_written(levels_of(experiment.baseline)).items()},
        cells={
            cell.cell.name: {name: canonical_level(level) for name, level in cell.cell.varied.items()}
            for cell in content.cells
        },
        training=_training(content),
    )


def _training(content: Content) -> dict[str, int]:
    """What the file says of it; what it leaves unsaid is left out."""
    settings = content.view.plan.experiment.training.model_dump()
    in_epochs = {"epochs": ("steps",), "checkpoint_every_epochs": ("checkpoint_every",)}
    unsaid = {other for name, others in in_epochs.items() if settings[name] is not None for other in others}
    return {name: value for name, value in settings.items() if value is not None and name not in unsaid}
