"""What a report is made of: the view's cells, runs and measurements, gathered once for tables, figures and evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from harness.analysis.curves import RunCurves, curves_of
from harness.analysis.dynamics import (
    LossDynamics,
    LossScale,
    RunDynamics,
    default_window,
    loss_dynamics,
    loss_scale,
    run_dynamics,
)
from harness.analysis.frame import RunEvaluations, evaluation_frame
from harness.analysis.summary import CellSummary, Measurement, StateCounts, count_states, measurements, summarize
from harness.design.expansion import Cell
from harness.design.factors import Hyperparameters, canonical_level
from harness.design.naming import shown_levels
from harness.errors import ProtocolError
from harness.evaluation.protocol import Protocol, require_same
from harness.report.columns import Column, ColumnFloor, columns_of
from harness.report.intervals import Intervals
from harness.report.language import ENGLISH, Language
from harness.report.rounding import plain_name
from harness.store.evaluations import Evaluation
from harness.tracking.reader import Block, ExperimentView, RunView

if TYPE_CHECKING:
    from harness.report.comparisons import ColumnComparison
    from harness.report.diagnoses import Diagnosis


@dataclass(frozen=True, eq=False)
class ReportRun:
    """One run as the report uses it: records and checkpoints (step -> SHA-256) up to the file's steps.

    metrics, curves: the records as arrays. dynamics, numbers: None where there are no records.
    """

    view: RunView
    metrics: Intervals
    checkpoints: Mapping[int, str]
    curves: RunCurves
    dynamics: LossDynamics | None
    numbers: RunDynamics | None

    @property
    def seed(self) -> int:
        return self.view.run.seed

    @property
    def key(self) -> str:
        return self.view.run.key


@dataclass(frozen=True, eq=False)
class ReportCell:
    """A row of every table. number: from 1; label: as people read it, unlike that of every other cell."""

    number: int
    label: str
    cell: Cell
    runs: tuple[ReportRun, ...]

    @property
    def mark(self) -> str:
        return f"#{self.number}"

    @property
    def counts(self) -> StateCounts:
        return count_states(run.view.status.state for run in self.runs)

    def shown_run(self) -> ReportRun:
        """The run that stands for the cell in figures of one run: its first seed that has records, else its first."""
        return next((run for run in self.runs if run.metrics), self.runs[0])


Sources = Mapping[tuple[str, str, int], Evaluation]
"""Evaluations by column name, run key and step."""


@dataclass(frozen=True, eq=False)
class Content:
    """measured: every measurement by column title; floors: of every column that has one, by its title.

    language: of the text; figure_language: of the labels in figures, English where no font has the text's letters.
    """

    view: ExperimentView
    cells: tuple[ReportCell, ...]
    columns: tuple[Column, ...]
    left_out: tuple[Block, ...]
    sources: Sources
    measured: Mapping[str, Sequence[Measurement]]
    floors: Mapping[str, ColumnFloor]
    language: Language = ENGLISH
    figure_language: Language = ENGLISH

    @property
    def runs(self) -> list[ReportRun]:
        return [run for cell in self.cells for run in cell.runs]

    @property
    def groups(self) -> list[list[Column]]:
        """The columns of one protocol together, each group in the file's order but for FID, which leads it."""
        by_name: dict[str, list[Column]] = {}
        for column in self.columns:
            by_name.setdefault(column.name, []).append(column)
        return [sorted(group, key=lambda column: column.metric != "fid") for group in by_name.values()]

    @cached_property
    def comparisons(self) -> Mapping[str, ColumnComparison]:
        """By column title: the first column of every protocol, and those that claims are about."""
        from harness.report.comparisons import compared  # which reads a Content

        return compared(self)

    @cached_property
    def diagnoses(self) -> Sequence[Diagnosis]:
        """Of every cell, in order."""
        from harness.report.diagnoses import diagnosed  # which reads a Content

        return diagnosed(self)

    def levels(self, cell: ReportCell) -> dict[str, str]:
        """The cell's level of every factor that varies, `-` where a factor changes nothing there."""
        plan = self.view.plan
        shown = shown_levels(cell.cell.hyperparameters, plan.factors, plan.parameters)
        return {factor: canonical_level(level) for factor, level in shown.items()}

    def of_cell(self, cell: ReportCell, column: Column) -> list[Measurement]:
        """Measurements of one cell in one column, ascending in step."""
        return self._by_cell[column.title].get(cell.cell.name, [])

    @cached_property
    def _by_cell(self) -> Mapping[str, Mapping[str, list[Measurement]]]:
        """Measurements by column title and cell."""
        found: dict[str, dict[str, list[Measurement]]] = {}
        for title, measured in self.measured.items():
            cells = found.setdefault(title, {})
            for one in measured:
                cells.setdefault(one.cell, []).append(one)
        return found

    def summary(self, cell: ReportCell, column: Column) -> CellSummary | None:
        return summarize(self.of_cell(cell, column))

    def run_values(self, run: ReportRun, column: Column) -> dict[int, list[float]]:
        """One run's values in one column by step, ascending: those of the repeats that the file asks for."""
        repeats = column.block.settings.repeats
        found = {step: self.sources.get((column.name, run.key, step)) for step in column.steps(run.view.run.cell)}
        values = {step: evaluation.series(column.metric, repeats) for step, evaluation in found.items() if evaluation}
        return {step: of_step for step, of_step in values.items() if of_step}

    def missing(self, cell: ReportCell, column: Column) -> int:
        """(run, checkpoint) pairs that this column asks of the cell and that are not fully measured."""
        wanted = self.runs_in(cell, column)
        repeats = column.block.settings.repeats
        return sum(
            not (found := self.sources.get((column.name, run.key, step))) or not found.has([column.metric], repeats)
            for run in wanted
            for step in column.steps(cell.cell)
        )

    def runs_in(self, cell: ReportCell, column: Column) -> list[ReportRun]:
        """The cell's runs that are measured under this column's protocol."""
        return [run for run in cell.runs if run.view.protocols[column.index] == column.protocol]

    def cells_in(self, column: Column) -> list[ReportCell]:
        """The cells that this column holds; others are measured under another protocol."""
        return [cell for cell in self.cells if self.runs_in(cell, column)]


def gather(view: ExperimentView, language: Language = ENGLISH, figure_language: Language = ENGLISH) -> Content:
    """Reads all that a report needs of `view`, once."""
    by_cell: dict[str, list[ReportRun]] = {}
    for run in view.runs:
        by_cell.setdefault(run.run.cell.name, []).append(_run(run))
    labels = _unique_labels([cell for cell in view.plan.cells if cell.name in by_cell])
    cells = tuple(
        ReportCell(number, labels[name], runs[0].view.run.cell, tuple(runs))
        for number, (name, runs) in enumerate(by_cell.items(), start=1)
    )
    columns = columns_of(view)
    sources = _sources(view, columns)
    return Content(
        view=view,
        cells=cells,
        columns=columns,
        left_out=tuple(block for block in view.blocks if not block.available),
        sources=sources,
        measured={column.title: _measured(view, column, sources) for column in columns},
        floors={column.title: floor for column in columns if (floor := _floor(column, sources))},
        language=language,
        figure_language=figure_language,
    )


def _run(view: RunView) -> ReportRun:
    training, hp = view.run.cell.training, view.run.cell.hyperparameters
    columns = view.columns()
    if columns and columns["step"][-1] > training.steps:
        inside = columns["step"] <= training.steps
        columns = {name: column[inside] for name, column in columns.items()}
    window = default_window(training.steps, training.log_every)
    curves = curves_of(columns)
    dynamics = loss_dynamics(curves, window, scale=scale_of(hp)) if len(curves.ends) else None
    numbers = run_dynamics(curves, dynamics) if dynamics else None
    return ReportRun(view, Intervals.of(columns), _checkpoints(view), curves, dynamics, numbers)


def scale_of(hp: Hyperparameters) -> LossScale:
    """How a cell's losses compare."""
    return loss_scale(hp.loss, hp.discriminator_loss_reduction, hp.real_label, hp.fake_label)


def _checkpoints(view: RunView) -> dict[int, str]:
    """Those up to the cell's steps: a file whose steps were lowered leaves the later ones out."""
    steps = view.run.cell.training.steps
    return {step: digest for step, digest in view.checkpoints().items() if step <= steps}


def _unique_labels(cells: Sequence[Cell]) -> dict[str, str]:
    """Labels by cell name; where two cells are labeled alike, the name is added."""
    plain = {cell.name: _label(cell) for cell in cells}
    often = Counter(plain.values())
    return {name: label if often[label] == 1 else f"{label} ({name})" for name, label in plain.items()}


def _label(cell: Cell) -> str:
    """On one line; where it is the name, with small numbers as people write them."""
    return plain_name(cell.name) if cell.label == cell.name else " ".join(cell.label.split()) or cell.name


def _sources(view: ExperimentView, columns: Iterable[Column]) -> Sources:
    """Evaluations at committed checkpoints that the file asks for; those of another checkpoint do not count."""
    found: dict[tuple[str, str, int], Evaluation] = {}
    for column in columns:
        for run in view.runs:
            if column.protocol is None or run.protocols[column.index] != column.protocol:
                continue
            checkpoints = _checkpoints(run)
            for step in column.steps(run.run.cell):
                evaluation = run.evaluation(column.index, step) if step in checkpoints else None
                if evaluation and evaluation.checkpoint_sha256 == checkpoints[step]:
                    found[column.name, run.run.key, step] = evaluation
    return found


def _measured(view: ExperimentView, column: Column, sources: Sources) -> list[Measurement]:
    """The column's measurements, of the repeats that the file asks for."""
    repeats = column.block.settings.repeats
    records = []
    for view_of_run in view.runs:
        run = view_of_run.run
        found = {step: sources.get((column.name, run.key, step)) for step in column.steps(run.cell)}
        _require_protocol(column, filter(None, found.values()))
        by_step = {
            step: {column.metric: values}
            for step, evaluation in found.items()
            if evaluation and (values := evaluation.series(column.metric, repeats))
        }
        records.append(RunEvaluations(run.cell.name, run.seed, run.key, evaluations={column.name: by_step}))
    return measurements(evaluation_frame(records))


def _floor(column: Column, sources: Sources) -> ColumnFloor | None:
    """From the first evaluation that has one."""
    floors = [found.floor for (name, _, _), found in sources.items() if name == column.name and found.floor]
    found = [
        (floor.samples, floor.reference, tuple(floor.values[column.floor_metric]))
        for floor in floors
        if floor.values.get(column.floor_metric)
    ]
    return ColumnFloor(*found[0], differing=len(set(found)) > 1) if found else None


def _require_protocol(column: Column, evaluations: Iterable[Evaluation]) -> None:
    """ProtocolError where one of them was measured under another protocol than the column's, with the differences."""
    for evaluation in evaluations:
        where = f"{column.title}, step {evaluation.step}, checkpoint {evaluation.checkpoint_sha256[:12]}"
        try:
            measured = Protocol(**evaluation.protocol)
        except TypeError:
            raise ProtocolError(
                "the evaluation does not say under which protocol it was measured",
                where=where,
                remedy="Remove that file under evaluations/; `harness evaluate FILE` measures the checkpoint again.",
            ) from None
        require_same([protocol for protocol in (column.protocol, measured) if protocol], where=where)
