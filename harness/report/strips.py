"""Progress strips: the same fixed-noise images of one run at several checkpoints, cut from its sample grids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.design.picture_sizes import GAP, grid_geometry
from harness.report.content import Content, ReportCell, ReportRun
from harness.report.figures.samples import Picture, Why, read_picture
from harness.report.figures.strips import StripPanel
from harness.report.figures.style import CellStyle
from harness.report.picture_values import value_of
from harness.report.sheets import checkpoint
from harness.report.states import state_word

MOST_IMAGES = 8
MOST_CHECKPOINTS = 10


@dataclass(frozen=True, eq=False)
class Strips:
    """panels: one per cell; sources: checkpoints whose images are shown; missing: `CELL, seed 0, step 100: why`."""

    panels: list[StripPanel] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def evenly(steps: Sequence[int], most: int = MOST_CHECKPOINTS) -> list[int]:
    """At most `most` of ascending `steps`, evenly chosen, with the first and the last."""
    if len(steps) <= most:
        return list(steps)
    return [steps[round(index * (len(steps) - 1) / (most - 1))] for index in range(most)]


def shown_images(content: Content) -> int:
    """How many images a row of a strip has: the first of each sample grid."""
    return min(MOST_IMAGES, content.view.plan.experiment.report.samples)


def with_a_checkpoint(cell: ReportCell) -> ReportRun:
    """The cell's first seed that has a checkpoint, else its first."""
    return next((run for run in cell.runs if run.checkpoints), cell.runs[0])


def cell_strip(
    content: Content, strips: Strips, shown: tuple[ReportCell, CellStyle], run: ReportRun, steps: Sequence[int]
) -> None:
    """Adds one cell's strip, of `run` at `steps`; rows whose sample grid is missing are left out and told."""
    cell, style = shown
    rows: list[Picture] = []
    found: list[int] = []
    for step in steps:
        row, why = _row(content, run, step)
        if row is not None:
            rows.append(row)
            found.append(step)
            strips.sources.append(checkpoint(run, step))
            continue
        told = content.language.say(
            "{cell}, seed {seed}, step {step}: {why}",
            cell=cell.label,
            seed=run.seed,
            step=step,
            why=why(content.language),
        )
        strips.missing.append(told)
    sheet = _sheet(rows) if rows else None
    lack = _lack(content, run) if sheet is None else ""
    values = tuple(value_of(content, cell, run, step) for step in found)
    strips.panels.append(StripPanel(cell.label, cell.mark, style, run.seed, tuple(found), sheet, lack, values))


def _lack(content: Content, run: ReportRun) -> str:
    """Why there is no strip at all, for the figure."""
    language = content.figure_language
    if run.checkpoints:
        return language.say("no picture was made")
    return language.say("no checkpoint yet ({state})", state=state_word(run.view.status.state, language))


def _row(content: Content, run: ReportRun, step: int) -> tuple[Picture | None, Why]:
    """The first images of one checkpoint's sample grid beside each other, or why they cannot be shown."""
    samples = content.view.plan.experiment.report.samples
    if run.view.directory is None:
        return None, lambda language: language.say("no picture was made")
    expected = {
        "harness:checkpoint_sha256": run.checkpoints[step],
        "harness:key": run.key,
        "harness:step": str(step),
        "harness:samples": str(samples),
    }
    picture, why = read_picture(run.view.directory.samples(step), expected)
    if picture is None:
        return None, why
    geometry = grid_geometry(samples, run.view.run.cell.hyperparameters.resolution)
    if picture.shape[:2] != geometry.size:
        return None, lambda language: language.say("the picture on disk has another size than its sample grid")
    side = geometry.side
    places = [geometry.place(number) for number in range(shown_images(content))]
    return _beside([picture[top : top + side, left : left + side] for top, left in places]), why


def _sheet(rows: Sequence[Picture]) -> Picture:
    """Rows below each other on white, with GAP pixels between them."""
    spaced = [part for row in rows for part in (np.full_like(row[:GAP], 255), row)]
    return np.concatenate(spaced[1:])


def _beside(images: Sequence[Picture]) -> Picture:
    spaced = [part for image in images for part in (np.full_like(image[:, :GAP], 255), image)]
    return np.concatenate(spaced[1:], axis=1)
