"""All figures of one report as PNG files, each with the runs, checkpoints and protocols that it shows."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from harness.report.content import Column, Content, ReportCell, ReportRun
from harness.report.figures.fid import CellCurve, LastValues, against_step, at_last
from harness.report.figures.samples import SamplePanel, read_picture, sample_grids
from harness.report.figures.style import CellStyle, cell_styles, png
from harness.report.figures.training import PROBABILITIES, TrainingPanel, loss_crossings, probabilities


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
    """against_step, at_last: by column title. missing_samples: why the sample grid of a cell
    that has started is not shown."""

    against_step: dict[str, list[Picture]]
    at_last: dict[str, list[Picture]]
    losses: list[Picture]
    probabilities: list[Picture]
    samples: list[Picture]
    missing_samples: list[str]

    def all(self) -> list[Picture]:
        by_column = [*self.against_step.values(), *self.at_last.values()]
        return [*(one for some in by_column for one in some), *self.losses, *self.probabilities, *self.samples]


def draw(content: Content) -> Pictures:
    """Draws every figure that has something to show."""
    styles = cell_styles([cell.cell.is_baseline for cell in content.cells])
    panels, missing = _sample_panels(content, styles)
    sample_sources = [
        _checkpoint(run, panel.step)
        for panel, run in zip(panels, (shown_for_samples(cell) for cell in content.cells), strict=True)
        if panel.picture is not None and panel.step is not None
    ]
    training = [_training_panel(cell, style) for cell, style in zip(content.cells, styles, strict=True)]
    records = [_records(cell.shown_run()) for cell in content.cells if cell.shown_run().metrics]
    measured = [column for column in content.columns if content.measured[column.title]]
    return Pictures(
        against_step={column.title: _against_step(content, column, styles) for column in measured},
        at_last={column.title: _at_last(content, column, styles) for column in measured},
        losses=_files(content, "losses", "Loss crossings", loss_crossings(training) if records else [], records),
        probabilities=_files(
            content, "probabilities", "D(x) and D(G(z)) against the step",
            probabilities(training) if any(panel.curves for panel in training) else [], records,
        ),
        samples=_files(
            content, "samples", "Sample grids of all cells", sample_grids(panels) if sample_sources else [],
            sample_sources,
        ),
        missing_samples=missing,
    )  # fmt: skip


def shown_for_samples(cell: ReportCell) -> ReportRun:
    """The cell's first seed that has a checkpoint, else its first."""
    return next((run for run in cell.runs if run.checkpoints), cell.runs[0])


def _against_step(content: Content, column: Column, styles: Sequence[CellStyle]) -> list[Picture]:
    cells = content.cells_in(column)
    curves = [
        CellCurve(cell.label, cell.mark, styles[cell.number - 1], content.of_cell(cell, column)) for cell in cells
    ]
    sources = [
        _checkpoint(run, step) | {"protocol_sha256": _fingerprint(column)}
        for cell in cells
        for run in cell.runs
        for step in content.run_values(run, column)
    ]
    figures = against_step(curves, column.title)
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
                    sources.append(_checkpoint(run, step) | {"protocol_sha256": _fingerprint(column)})
        rows.append(LastValues(label, cell.mark, styles[cell.number - 1], cell.cell.is_baseline, values))
    title = f"{column.title} at the last checkpoint"
    return _files(content, f"{_slug(column)}-last", title, at_last(rows, column.title), sources)


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


def _sample_panels(content: Content, styles: Sequence[CellStyle]) -> tuple[list[SamplePanel], list[str]]:
    panels, reasons = [], []
    asked = content.view.plan.experiment.report.samples
    for cell, style in zip(content.cells, styles, strict=True):
        run = shown_for_samples(cell)
        step = max(run.checkpoints, default=None)
        picture, missing = None, f"no checkpoint yet ({run.view.status.state})"
        if step is not None and run.view.directory is not None:
            expected = {
                "harness:checkpoint_sha256": run.checkpoints[step],
                "harness:key": run.key,
                "harness:step": str(step),
                "harness:samples": str(asked),
            }
            picture, missing = read_picture(run.view.directory.samples(step), expected)
        if picture is None and run.view.status.state != "pending":
            reasons.append(f"{cell.label}, seed {run.seed}: {missing}")
        panels.append(SamplePanel(cell.label, cell.mark, style, run.seed, step, picture, missing))
    return panels, reasons


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


def _checkpoint(run: ReportRun, step: int) -> dict[str, Any]:
    return {"key": run.key, "seed": run.seed, "step": step, "checkpoint_sha256": run.checkpoints[step]}


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
    return f"{column.metric}-{re.sub(r'[^a-z0-9]+', '-', column.name.lower())}"
