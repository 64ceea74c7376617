"""Which cell a person means: by a name, a label, or levels."""

from __future__ import annotations

from collections.abc import Iterator

from harness.design.expansion import Cell, Plan
from harness.design.level_text import read_levels
from harness.errors import ExperimentFileError, HarnessError


def cell_meant(plan: Plan, text: str, where: str) -> Cell:
    """The cell that `text` names; HarnessError (at `where`) where there is none, or more than one."""
    named = [cell for cell in plan.cells if text in cell.names]
    named = named or [cell for cell in plan.cells if text == cell.label]
    if not named and "=" in text:
        named = list(plan.cells_at(read_levels(text, where=where)))
    if len(named) == 1:
        return named[0]
    if named:
        names = _some([cell.name for cell in named])
        raise HarnessError(f"{len(named)} cells are labeled {text!r}", where=where, remedy=f"Name one: {names}")
    names = _some([cell.name for cell in plan.cells])
    raise HarnessError(f"no cell is called {text!r}", where=where, remedy=f"There are: {names}")


def refuse_unknown_references(plan: Plan) -> None:
    """ExperimentFileError (where: a dotted key) where `[[claim]]` or `[report] side_by_side` names no cell, or a claim
    compares a cell with itself, repeats another one, or is about a metric that nothing measures."""
    for key, text in _references(plan):
        try:
            cell_meant(plan, text, key)
        except HarnessError as error:
            raise ExperimentFileError(error.what, where=key, remedy=error.remedy) from None
    measured = {metric for block in plan.experiment.evaluation for metric in block.metrics}
    claimed: dict[tuple[str, frozenset[str]], int] = {}
    for index, claim in enumerate(plan.experiment.claim):
        pair = frozenset(cell_meant(plan, text, "").name for text in (claim.cell, claim.against))
        if len(pair) == 1:
            raise ExperimentFileError("a claim compares two different cells", where=f"claim.{index}.against")
        if claimed.setdefault((claim.metric, pair), index) != index:
            raise ExperimentFileError(
                f"claim {claimed[claim.metric, pair] + 1} compares these two cells by {claim.metric} already",
                where=f"claim.{index}.cell",
                remedy="One question is one test: keep one of the two claims, with the smallest_effect that matters.",
            )
        if claim.metric not in measured:
            raise ExperimentFileError(
                f"no [[evaluation]] measures {claim.metric}",
                where=f"claim.{index}.metric",
                remedy="Add it to the metrics of an [[evaluation]].",
            )
    for index, (left, right) in enumerate(plan.experiment.report.side_by_side):
        if cell_meant(plan, left, "") == cell_meant(plan, right, ""):
            raise ExperimentFileError("names one cell twice", where=f"report.side_by_side.{index}")


def _references(plan: Plan) -> Iterator[tuple[str, str]]:
    for index, claim in enumerate(plan.experiment.claim):
        yield f"claim.{index}.cell", claim.cell
        yield f"claim.{index}.against", claim.against
    for index, pair in enumerate(plan.experiment.report.side_by_side):
        for position, text in enumerate(pair):
            yield f"report.side_by_side.{index}.{position}", text


def _some(names: list[str]) -> str:
    return ", ".join(names[:20]) + (" ..." if len(names) > 20 else "")
