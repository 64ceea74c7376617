"""The pictures that workers made of single runs, as the report shows them: only those of the very checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.evaluation.protocol import asked_class_sheet
from harness.report.content import Content, ReportCell, ReportRun
from harness.report.figures.samples import SamplePanel, Why, read_picture
from harness.report.figures.style import CellStyle
from harness.report.picture_values import value_of
from harness.report.states import state_word
from harness.store.pictures import AskedPicture, ClassSheet, PictureKind, asked_pictures


@dataclass(frozen=True, eq=False)
class Sheets:
    """cells: of the panels; sources: of those that have a picture; missing: `CELL, seed 0: why` of those that have
    started and have none."""

    cells: list[ReportCell] = field(default_factory=list)
    panels: list[SamplePanel] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Wanted:
    """A picture of one run at one step. texts, settings: what it has to say of itself besides its checkpoint.

    about: stands under its name in place of seed and step.
    """

    run: ReportRun
    step: int | None
    path: Path | None
    texts: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, object] | None = None
    about: str = ""


Paneled = Sequence[tuple[ReportCell, CellStyle]]
"""Cells with their looks."""


def sample_sheets(content: Content, cells: Paneled) -> Sheets:
    """The sample grid of each of the cells' last checkpoint so far."""
    asked = {"harness:samples": str(content.view.plan.experiment.report.samples)}
    sheets = Sheets()
    for cell, style in cells:
        run = _with_a_checkpoint(cell)
        step = max(run.checkpoints, default=None)
        path = run.view.directory.samples(step) if run.view.directory and step is not None else None
        _add(content, sheets, cell, style, _Wanted(run, step, path, asked, about=_about(content, cell, run, step)))
    return sheets


def _about(content: Content, cell: ReportCell, run: ReportRun, step: int | None) -> str:
    """`seed 0, step 420, FID 62.1`; empty where nothing was measured there."""
    value = value_of(content, cell, run, step) if step is not None else ""
    if not value:
        return ""
    return content.figure_language.say("seed {seed}, step {step}, {value}", seed=run.seed, step=step, value=value)


def picture_sheets(content: Content, cells: Paneled, kind: PictureKind) -> Sheets:
    """The pictures of one kind, of each of the cells' last checkpoint; none where the file does not ask for them, or
    nothing was prepared yet."""
    pictures = asked_pictures(content.view.plan.experiment.report, shown_classes(content))
    asked = next((picture for picture in pictures if picture.kind == kind), None)
    return _of_kind(content, cells, asked) if asked else Sheets()


def shown_classes(content: Content) -> ClassSheet | None:
    """The sheet of classes that the file asks for; None where it asks for none, or nothing can tell classes yet."""
    return asked_class_sheet(content.view.plan.experiment, content.runs[0].view.protocols)


def checkpoint(run: ReportRun, step: int) -> dict[str, Any]:
    """What report.json says of a picture's source."""
    return {"key": run.key, "seed": run.seed, "step": step, "checkpoint_sha256": run.checkpoints[step]}


def _of_kind(content: Content, cells: Paneled, asked: AskedPicture) -> Sheets:
    """Pictures that are made once, at the last step that the file asks for."""
    sheets = Sheets()
    for cell, style in cells:
        end = cell.cell.training.steps
        run = next((run for run in cell.runs if end in run.checkpoints), cell.runs[0])
        step = end if end in run.checkpoints else None
        directory = run.view.directory
        path = directory.picture(step, asked.kind) if directory and step is not None else None
        _add(content, sheets, cell, style, _Wanted(run, step, path, settings=asked.settings))
    return sheets


def _with_a_checkpoint(cell: ReportCell) -> ReportRun:
    """The cell's first seed that has a checkpoint, else its first."""
    return next((run for run in cell.runs if run.checkpoints), cell.runs[0])


def _without_checkpoint(run: ReportRun) -> Why:
    state = run.view.status.state
    if run.checkpoints:
        return lambda language: language.say("not the last checkpoint yet ({state})", state=state_word(state, language))
    return lambda language: language.say("no checkpoint yet ({state})", state=state_word(state, language))


def _add(content: Content, sheets: Sheets, cell: ReportCell, style: CellStyle, wanted: _Wanted) -> None:
    """Reads one cell's picture and notes what it is of, or why there is none."""
    run, step, path = wanted.run, wanted.step, wanted.path
    picture, why = None, _without_checkpoint(run)
    if step is not None and path is not None:
        expected = {
            "harness:checkpoint_sha256": run.checkpoints[step],
            "harness:key": run.key,
            "harness:step": str(step),
            **wanted.texts,
        }
        picture, why = read_picture(path, expected, wanted.settings)
    if picture is not None and step is not None:
        sheets.sources.append(checkpoint(run, step))
    elif run.view.status.state != "pending":
        lack = content.language.say(
            "{cell}, seed {seed}: {why}", cell=cell.label, seed=run.seed, why=why(content.language)
        )
        sheets.missing.append(lack)
    missing = why(content.figure_language)
    sheets.cells.append(cell)
    sheets.panels.append(SamplePanel(cell.label, cell.mark, style, run.seed, step, picture, missing, wanted.about))
