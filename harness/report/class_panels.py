"""What pictures of classes are made of: the images of workers' sheets, their counts, and the shares of real images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.design.picture_sizes import GAP, enlarged_side
from harness.errors import StoreError
from harness.report.content import Content, ReportCell
from harness.report.figures.class_sheets import ClassPanel
from harness.report.figures.samples import SamplePanel
from harness.report.modes import classes_of, groups_with_classes
from harness.report.sheets import Sheets
from harness.store.pictures import picture_settings
from harness.store.png import picture_texts
from harness.store.reading import read_bytes

MARGIN = 12
"""Pixels around the images of a sheet of classes."""
SHORT_NAME = 3
"""Letters of a class that are no wider than its image."""


def class_panels(content: Content, sheets: Sheets) -> list[ClassPanel]:
    """One per cell of `sheets`, in order."""
    return [_panel(content, cell, sample) for cell, sample in zip(sheets.cells, sheets.panels, strict=True)]


def _panel(content: Content, cell: ReportCell, sample: SamplePanel) -> ClassPanel:
    settings = _settings(cell, sample)
    counts = settings.get("counts")
    width = _grid_width(cell, settings)
    if sample.picture is None or width is None or not isinstance(counts, dict) or not sum(counts.values()):
        return ClassPanel(sample, {}, {})
    return ClassPanel(replace(sample, picture=sample.picture[:, :width]), counts, _real_shares(content, cell))


def _settings(cell: ReportCell, sample: SamplePanel) -> dict[str, Any]:
    """What the sheet says of how it was made; empty where there is none."""
    run = next((run for run in cell.runs if run.seed == sample.seed), None)
    if run is None or run.view.directory is None or sample.picture is None or sample.step is None:
        return {}
    try:
        texts = picture_texts(read_bytes(run.view.directory.picture(sample.step, "classes")))
    except (FileNotFoundError, StoreError):
        return {}
    return picture_settings(texts) if texts else {}


def _grid_width(cell: ReportCell, settings: Mapping[str, Any]) -> int | None:
    """Pixels up to the end of the images; of a sheet that does not say, where names are short. None: not known."""
    width, images, counts = settings.get("grid_width"), settings.get("images"), settings.get("counts")
    if isinstance(width, int):
        return width
    if not isinstance(images, int) or not isinstance(counts, dict) or max(map(len, counts), default=9) > SHORT_NAME:
        return None
    side = enlarged_side(int(cell.cell.hyperparameters.resolution))
    return MARGIN + math.ceil(math.sqrt(images)) * (side + 3 * GAP)


def _real_shares(content: Content, cell: ReportCell) -> dict[str, float]:
    """By class, as the first protocol that counts classes has them; empty where none does."""
    group = next(iter(groups_with_classes(content)), None)
    found = classes_of(content, group[0], cell) if group else None
    if found is None:
        return {}
    total = sum(found.reference)
    return {name: count / total for name, count in zip(found.classes, found.reference, strict=True)}
