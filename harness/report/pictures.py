"""Figures of measurements and training, each with the runs, checkpoints and protocols that it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.analysis.curves import Array, moving_average
from harness.report.album import Album, Picture
from harness.report.columns import Column, joined_title
from harness.report.content import Content, ReportCell, ReportRun
from harness.report.figures.answers import ANSWERS
from harness.report.figures.fid import MOST_LINES, CellCurve, LastValues, against_step, at_last
from harness.report.figures.panels import MetricPanel, metric_panels
from harness.report.figures.style import CellStyle, cell_styles, pages
from harness.report.figures.training import MOST_OTHERS, TrainingPanel
from harness.report.language import Language
from harness.report.sheets import checkpoint
from harness.report.states import state_word

IN_PANELS = ("kid", "precision", "recall", "coverage")
"""Metrics that have a small panel against the step where they are not a protocol's first."""


def styles_of(content: Content) -> list[CellStyle]:
    """One look per cell, in the order of `content.cells`, the same in every figure."""
    return cell_styles([cell.cell.is_baseline for cell in content.cells])


def style_of(content: Content, cell: ReportCell) -> CellStyle:
    return styles_of(content)[cell.number - 1]


def training_panels(content: Content) -> list[TrainingPanel]:
    """One per cell: the losses and answers of the run that stands for it."""
    language = content.figure_language
    styles = styles_of(content)
    return [_training_panel(cell, style, language) for cell, style in zip(content.cells, styles, strict=True)]


def recorded(cells: Sequence[ReportCell]) -> list[dict[str, Any]]:
    """What report.json says of the records of the runs that stand for these cells."""
    return [records_of(cell.shown_run()) for cell in cells if cell.shown_run().metrics]


def recorded_by_seeds(cells: Sequence[ReportCell]) -> list[dict[str, Any]]:
    """Likewise of all seeds that panels of training show."""
    return [records_of(run) for cell in cells if cell.shown_run().metrics for run in (cell.shown_run(), *_others(cell))]


def _others(cell: ReportCell) -> list[ReportRun]:
    """The seeds besides the shown one that a panel has thin lines of."""
    return [run for run in cell.runs if run.metrics and run is not cell.shown_run()][:MOST_OTHERS]


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
            f"{content.figure_language.say(column.measures.title)} {column.measures.arrow}",
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
    language = content.language
    title = language.say("{column} against the step", column=joined_title(shown, language))
    name, in_figures = f"metrics-{shown[0].file_name}-against-step", content.figure_language
    figures = metric_panels(panels, shown[0].source_in(in_figures), in_figures)
    return album.add(name, title, figures, sources)


def column_against_step(content: Content, album: Album, column: Column, shown: Sequence[ReportCell]) -> list[Picture]:
    """One metric against the step, a curve per cell; shown: the cells that have panels of their own where each has."""
    styles = styles_of(content)
    curves = {
        cell.number: CellCurve(cell.label, cell.mark, styles[cell.number - 1], content.of_cell(cell, column))
        for cell in content.cells_in(column)
    }
    by_page = [
        [
            checkpoint(run, step) | {"protocol_sha256": fingerprint_of(column)}
            for cell in of_page
            for run in cell.runs
            for step in content.run_values(run, column)
        ]
        for of_page in pages(shown)
    ]
    floor = content.floors.get(column.title)
    in_figures = content.figure_language
    figures = against_step(
        list(curves.values()),
        column.title_in(in_figures),
        floor.mean if floor else None,
        in_figures,
        [curves[cell.number] for cell in shown],
    )
    title = content.language.say("{column} against the step", column=column.title_in(content.language))
    return album.add_pages(f"{slug(column)}-against-step", title, figures, by_page)


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
            if step != column.steps(cell.cell)[-1]:
                label = content.figure_language.say("{cell} (step {step})", cell=cell.label, step=step)
            for run in cell.runs:
                if found := content.run_values(run, column).get(step):
                    values[run.seed] = found
                    sources.append(checkpoint(run, step) | {"protocol_sha256": fingerprint_of(column)})
        rows.append(LastValues(label, cell.mark, styles[cell.number - 1], cell.cell.is_baseline, values))
    sign = -1 if column.measures.better == "higher" else 1
    rows.sort(key=lambda row: (not row.values, sign * row.mean))
    title = content.language.say("{column} at the last checkpoint", column=column.title_in(content.language))
    in_figures = content.figure_language
    figures = at_last(rows, column.title_in(in_figures), column.measures.pooled, in_figures)
    return album.add(f"{slug(column)}-last", title, figures, sources)


def _training_panel(cell: ReportCell, style: CellStyle, language: Language) -> TrainingPanel:
    run = cell.shown_run()
    if not run.metrics:
        missing = no_records(run, language)
        return TrainingPanel(cell.label, cell.mark, style, run.seed, missing=missing)
    end, first = run.metrics[-1]["step"], cell.cell.is_baseline
    losses = tuple(other.dynamics for other in _others(cell) if other.dynamics)
    panel = TrainingPanel(cell.label, cell.mark, style, run.seed, run.dynamics, None, "", end, first, losses)
    curves = _answers(run)
    if curves is None:
        return replace(panel, missing=language.say("this loss gives no probabilities"))
    others = tuple(found for other in _others(cell) if (found := _smoothed(other, ("prob/real",))))
    return replace(panel, curves=curves, other_curves=others, smooth_curves=_smoothed(run, tuple(curves)[1:]))


def _answers(run: ReportRun) -> dict[str, Array] | None:
    """The discriminator's answers against the middles of the records' intervals; None without any."""
    answers = {name: run.curves.values[name] for name in ANSWERS if name in run.curves.values}
    return {"step": run.curves.centers, **answers} if answers else None


def _smoothed(run: ReportRun, names: Sequence[str]) -> dict[str, Array] | None:
    """Answers over the window that the run's losses are smoothed over; None where it does not fit or one is missing."""
    held = run.curves.held(*names)
    if run.dynamics is None or not len(held.ends):
        return None
    smooth = {name: moving_average(held.ends, held.counts, held.values[name], run.dynamics.window) for name in names}
    known = np.isfinite(smooth[names[0]])
    return {"step": held.centers[known], **{n: curve[known] for n, curve in smooth.items()}} if known.any() else None


def no_records(run: ReportRun, language: Language) -> str:
    """Why a run's panels are empty."""
    return language.say("no records yet ({state})", state=state_word(run.view.status.state, language))


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
    """What pictures of the column are called by."""
    return f"{column.metric}-{column.file_name}"
