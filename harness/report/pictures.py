"""Figures of measurements and training, each with the runs, checkpoints and protocols that it shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.report.album import Album, Picture
from harness.report.columns import Column, joined_title
from harness.report.content import Content, ReportCell, ReportRun
from harness.report.figures.fid import MOST_LINES, CellCurve, LastValues, against_step, at_last
from harness.report.figures.panels import MetricPanel, metric_panels
from harness.report.figures.style import CellStyle, cell_styles
from harness.report.figures.training import PROBABILITIES, TrainingPanel
from harness.report.sheets import checkpoint

IN_PANELS = ("kid", "precision", "recall", "coverage")
"""Metrics that have a small panel against the step where they are not a protocol's first."""


def styles_of(content: Content) -> list[CellStyle]:
    """One look per cell, in the order of `content.cells`, the same in every figure."""
    return cell_styles([cell.cell.is_baseline for cell in content.cells])


def style_of(content: Content, cell: ReportCell) -> CellStyle:
    return styles_of(content)[cell.number - 1]


def training_panels(content: Content) -> list[TrainingPanel]:
    """One per cell: the losses and answers of the run that stands for it."""
    return [_training_panel(cell, style) for cell, style in zip(content.cells, styles_of(content), strict=True)]


def recorded(content: Content) -> list[dict[str, Any]]:
    """What report.json says of the records of the runs that stand for their cells."""
    return [records_of(cell.shown_run()) for cell in content.cells if cell.shown_run().metrics]


def panels_against_step(content: Content, album: Album, columns: Sequence[Column]) -> list[Picture]:
    """Those of `columns` that small panels show, for as many cells as one panel can hold."""
    shown = [column for column in columns if column.metric in IN_PANELS and content.measured[column.title]]
    cells = content.cells_in(columns[0]) if columns else []
    if not shown or len(cells) > MOST_LINES:
        return []
    styles = styles_of(content)
    floors = [content.floors.get(column.title) for column in shown]
    panels = [
        MetricPanel(
            f"{column.measures.title} {column.measures.arrow}",
            [CellCurve(c.label, c.mark, styles[c.number - 1], content.of_cell(c, column)) for c in cells],
            floor.mean if floor else None,
        )
        for column, floor in zip(shown, floors, strict=True)
    ]
    found = {
        (run.key, step): run for c in cells for run in c.runs for col in shown for step in content.run_values(run, col)
    }
    sources = [
        checkpoint(run, step) | {"protocol_sha256": fingerprint_of(shown[0])} for (_, step), run in found.items()
    ]
    title = f"{joined_title(shown)} against the step"
    name = f"metrics-{_plain(shown[0].name)}-against-step"
    return album.add(name, title, metric_panels(panels, shown[0].source), sources)


def column_against_step(content: Content, album: Album, column: Column) -> list[Picture]:
    """One metric against the step, a curve per cell."""
    styles = styles_of(content)
    cells = content.cells_in(column)
    curves = [
        CellCurve(cell.label, cell.mark, styles[cell.number - 1], content.of_cell(cell, column)) for cell in cells
    ]
    sources = [
        checkpoint(run, step) | {"protocol_sha256": fingerprint_of(column)}
        for cell in cells
        for run in cell.runs
        for step in content.run_values(run, column)
    ]
    floor = content.floors.get(column.title)
    figures = against_step(curves, column.title, floor.mean if floor else None)
    return album.add(f"{slug(column)}-against-step", f"{column.title} against the step", figures, sources)


def column_at_last(content: Content, album: Album, column: Column) -> list[Picture]:
    """One metric at each cell's last checkpoint: repeats, seeds and means."""
    styles = styles_of(content)
    rows, sources = [], []
    for cell in content.cells_in(column):
        summary = content.summary(cell, column)
        values: dict[int, Sequence[float]] = {}
        label = cell.label
        if summary:
            step = summary.last.step
            label += f" (step {step})" if step != column.steps(cell.cell)[-1] else ""
            for run in cell.runs:
                if found := content.run_values(run, column).get(step):
                    values[run.seed] = found
                    sources.append(checkpoint(run, step) | {"protocol_sha256": fingerprint_of(column)})
        rows.append(LastValues(label, cell.mark, styles[cell.number - 1], cell.cell.is_baseline, values))
    title = f"{column.title} at the last checkpoint"
    figures = at_last(rows, column.title, column.measures.pooled)
    return album.add(f"{slug(column)}-last", title, figures, sources)


def _training_panel(cell: ReportCell, style: CellStyle) -> TrainingPanel:
    run = cell.shown_run()
    if not run.metrics:
        missing = f"no records yet ({run.view.status.state})"
        return TrainingPanel(cell.label, cell.mark, style, run.seed, missing=missing)
    end = run.metrics[-1]["step"]
    curves = {
        metric: np.array([record.get(metric, np.nan) for record in run.metrics], dtype=np.float64)
        for metric in PROBABILITIES
        if any(metric in record for record in run.metrics)
    }
    middle = np.array([record["step"] - record["n"] / 2 for record in run.metrics], dtype=np.float64)
    if not curves:
        missing = "this loss gives no probabilities"
        return TrainingPanel(cell.label, cell.mark, style, run.seed, run.dynamics, None, missing, end)
    return TrainingPanel(cell.label, cell.mark, style, run.seed, run.dynamics, {"step": middle, **curves}, end=end)


def records_of(run: ReportRun) -> dict[str, Any]:
    """What report.json says of curves: the run's records that they show."""
    return {
        "key": run.key,
        "seed": run.seed,
        "records_to_step": run.metrics[-1]["step"],
        "metrics_sha256": run.view.status.metrics_sha256,
    }


def fingerprint_of(column: Column) -> str | None:
    return column.protocol.sha256 if column.protocol else None


def slug(column: Column) -> str:
    return f"{column.metric}-{_plain(column.name)}"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower())
