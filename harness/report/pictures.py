"""All figures of one report as PNG files, each with the runs, checkpoints and protocols that it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from harness.report.columns import Column, joined_title
from harness.report.content import Content, ReportCell, ReportRun
from harness.report.figures.fid import MOST_LINES, CellCurve, LastValues, against_step, at_last
from harness.report.figures.panels import MetricPanel, metric_panels
from harness.report.figures.samples import sample_grids, wide_sheets
from harness.report.figures.style import CellStyle, cell_styles, png
from harness.report.figures.training import PROBABILITIES, TrainingPanel, loss_crossings, probabilities
from harness.report.sheets import Sheets, checkpoint, picture_sheets, sample_sheets

IN_PANELS = ("kid", "precision", "recall", "coverage")
"""Metrics that have a small panel against the step where they are not a protocol's first."""


@dataclass(frozen=True)
class Picture:
    """path: relative to the report; title: for people who cannot see it; sources: what report.json says of it.

    is_logarithmic: whether one of its axes is.
    """

    path: str
    title: str
    content: bytes = field(repr=False)
    sources: list[dict[str, Any]]
    is_logarithmic: bool


@dataclass(frozen=True)
class Pictures:
    """against_step, at_last: by the title of a protocol's first column; panels: of some of its further ones.

    interpolations, classes: of the pictures that workers made where the file asks for them. missing_*: why that of a
    cell that has started is not shown.
    """

    against_step: dict[str, list[Picture]]
    at_last: dict[str, list[Picture]]
    panels: dict[str, list[Picture]]
    losses: list[Picture]
    probabilities: list[Picture]
    samples: list[Picture]
    classes: list[Picture]
    interpolations: list[Picture]
    missing_samples: list[str]
    missing_classes: list[str]
    missing_interpolations: list[str]

    def all(self) -> list[Picture]:
        by_column = [*self.against_step.values(), *self.at_last.values(), *self.panels.values()]
        of_runs = [*self.samples, *self.classes, *self.interpolations]
        return [*(one for some in by_column for one in some), *self.losses, *self.probabilities, *of_runs]

    def missing(self) -> list[str]:
        """Every picture that is not shown, by its kind, with the reason."""
        return [
            *(f"Sample grid of {reason}" for reason in self.missing_samples),
            *(f"Sheet of classes of {reason}" for reason in self.missing_classes),
            *(f"Interpolations of {reason}" for reason in self.missing_interpolations),
        ]


def draw(content: Content) -> Pictures:
    """Draws every figure that has something to show."""
    styles = cell_styles([cell.cell.is_baseline for cell in content.cells])
    training = [_training_panel(cell, style) for cell, style in zip(content.cells, styles, strict=True)]
    records = [_records(cell.shown_run()) for cell in content.cells if cell.shown_run().metrics]
    first = [group[0] for group in content.groups if content.measured[group[0].title]]
    samples = sample_sheets(content, styles)
    classes, walks = (picture_sheets(content, styles, kind) for kind in ("classes", "interpolations"))
    return Pictures(
        against_step={column.title: _against_step(content, column, styles) for column in first},
        at_last={column.title: _at_last(content, column, styles) for column in first},
        panels={group[0].title: _panels(content, group[1:], styles) for group in content.groups},
        losses=_files(content, "losses", "Loss crossings", loss_crossings(training) if records else [], records),
        probabilities=_files(
            content, "probabilities", "D(x) and D(G(z)) against the step",
            probabilities(training) if any(panel.curves for panel in training) else [], records,
        ),
        samples=_files(
            content, "samples", "Sample grids of all cells",
            sample_grids(samples.panels) if samples.sources else [], samples.sources,
        ),
        classes=_sheets(content, "classes", "Samples of all cells, each with its class", classes),
        interpolations=_sheets(content, "interpolations", "Latent interpolations of all cells", walks),
        missing_samples=samples.missing,
        missing_classes=classes.missing,
        missing_interpolations=walks.missing,
    )  # fmt: skip


def _sheets(content: Content, name: str, title: str, sheets: Sheets) -> list[Picture]:
    return _files(content, name, title, wide_sheets(sheets.panels) if sheets.sources else [], sheets.sources)


def _panels(content: Content, columns: Sequence[Column], styles: Sequence[CellStyle]) -> list[Picture]:
    """Those of `columns` that small panels show, for as many cells as one panel can hold."""
    shown = [column for column in columns if column.metric in IN_PANELS and content.measured[column.title]]
    cells = content.cells_in(columns[0]) if columns else []
    if not shown or len(cells) > MOST_LINES:
        return []
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
    sources = [checkpoint(run, step) | {"protocol_sha256": _fingerprint(shown[0])} for (_, step), run in found.items()]
    title = f"{joined_title(shown)} against the step"
    name = f"metrics-{_plain(shown[0].name)}-against-step"
    return _files(content, name, title, metric_panels(panels, shown[0].source), sources)


def _against_step(content: Content, column: Column, styles: Sequence[CellStyle]) -> list[Picture]:
    cells = content.cells_in(column)
    curves = [
        CellCurve(cell.label, cell.mark, styles[cell.number - 1], content.of_cell(cell, column)) for cell in cells
    ]
    sources = [
        checkpoint(run, step) | {"protocol_sha256": _fingerprint(column)}
        for cell in cells
        for run in cell.runs
        for step in content.run_values(run, column)
    ]
    floor = content.floors.get(column.title)
    figures = against_step(curves, column.title, floor.mean if floor else None)
    return _files(content, f"{_slug(column)}-against-step", f"{column.title} against the step", figures, sources)


def _at_last(content: Content, column: Column, styles: Sequence[CellStyle]) -> list[Picture]:
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
                    sources.append(checkpoint(run, step) | {"protocol_sha256": _fingerprint(column)})
        rows.append(LastValues(label, cell.mark, styles[cell.number - 1], cell.cell.is_baseline, values))
    title = f"{column.title} at the last checkpoint"
    figures = at_last(rows, column.title, column.measures.pooled)
    return _files(content, f"{_slug(column)}-last", title, figures, sources)


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


def _files(
    content: Content, name: str, title: str, figures: Sequence[Figure], sources: list[dict[str, Any]]
) -> list[Picture]:
    files = []
    for page, figure in enumerate(figures, start=1):
        suffix = f"-{page}" if len(figures) > 1 else ""
        of = f" (page {page} of {len(figures)})" if len(figures) > 1 else ""
        about = {
            "Title": title + of,
            "harness:experiment": content.view.plan.experiment.name,
            "harness:sources": json.dumps(sources, sort_keys=True),
        }
        is_logarithmic = any("log" in (axes.get_xscale(), axes.get_yscale()) for axes in figure.axes)
        path = f"figures/{name}{suffix}.png"
        files.append(Picture(path, title + of, png(figure, about), sources, is_logarithmic))
    return files


def _records(run: ReportRun) -> dict[str, Any]:
    return {
        "key": run.key,
        "seed": run.seed,
        "records_to_step": run.metrics[-1]["step"],
        "metrics_sha256": run.view.status.metrics_sha256,
    }


def _fingerprint(column: Column) -> str | None:
    return column.protocol.sha256 if column.protocol else None


def _slug(column: Column) -> str:
    return f"{column.metric}-{_plain(column.name)}"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower())
