"""What cells are compared by: a column's values by seed at one checkpoint of each cell, and what the tests find."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.analysis.multiplicity import holm
from harness.analysis.statistics import Asked, CellValues, Comparison, Difference, compare
from harness.analysis.verdicts import is_beyond_chance, with_seeds_needed
from harness.design.cell_reference import cell_meant
from harness.design.report_settings import Claim
from harness.report.columns import Column
from harness.report.content import Content, ReportCell, ReportRun

_SETTLED = ("diverged", "failed")


@dataclass(frozen=True, eq=False)
class CellClaim:
    """One `[[claim]]` with the cells that it means."""

    claim: Claim
    cell: ReportCell
    against: ReportCell


@dataclass(frozen=True, eq=False)
class ColumnComparison:
    """One column's cells, compared.

    values, steps: by cell name; steps: the checkpoint that a cell's values are of, of every cell of the column.
    claims: the file's claims on this column. is_whole_family: whether the file has no claims, so that every cell is
    tested against the baseline.
    """

    column: Column
    comparison: Comparison
    cells: tuple[ReportCell, ...]
    values: Mapping[str, CellValues]
    steps: Mapping[str, int]
    claims: tuple[CellClaim, ...]
    is_whole_family: bool

    @property
    def baseline(self) -> ReportCell | None:
        """None where the baseline is no cell, or is measured under another protocol."""
        return next((cell for cell in self.cells if cell.cell.is_baseline), None)

    @property
    def others(self) -> list[ReportCell]:
        return [cell for cell in self.cells if not cell.cell.is_baseline]

    @property
    def has_several_seeds(self) -> bool:
        """Whether any cell was measured with two seeds."""
        return any(len(values.values) > 1 for values in self.values.values())

    def of(self, cell: ReportCell, against: ReportCell | None = None) -> Difference | None:
        """None where there is nothing to compare with, and for the baseline itself."""
        reference = against or self.baseline
        if reference is None or reference is cell:
            return None
        return self.comparison.of(cell.cell.name, reference.cell.name)


def compared(content: Content) -> dict[str, ColumnComparison]:
    """By column title: the first column of every protocol, and those that claims are about."""
    claims = _claims(content)
    titles = dict.fromkeys([*(group[0].title for group in content.groups), *(column.title for column, _ in claims)])
    by_title = {column.title: column for column in content.columns}
    asks = bool(content.view.plan.experiment.claim)
    found = {
        title: _comparison(content, by_title[title], tuple(claim for column, claim in claims if column.title == title))
        for title in titles
    }
    return _one_family(found) if asks else found


def claim_column(content: Content, claim: Claim) -> Column | None:
    """The column that a claim is about: the first that has its metric; None where its block was left out."""
    return next((column for column in content.columns if column.metric == claim.metric), None)


def _claims(content: Content) -> list[tuple[Column, CellClaim]]:
    """The file's claims on measured columns whose two cells the column holds."""
    plan, found = content.view.plan, []
    by_name = {cell.cell.name: cell for cell in content.cells}
    for claim in plan.experiment.claim:
        cell = by_name[cell_meant(plan, claim.cell, "claim").name]
        against = by_name[cell_meant(plan, claim.against, "claim").name]
        both = [
            column
            for column in content.columns
            if column.metric == claim.metric and {cell, against} <= set(content.cells_in(column))
        ]
        column = both[0] if both else claim_column(content, claim)
        if column:
            found.append((column, CellClaim(claim, cell, against)))
    return found


def _comparison(content: Content, column: Column, claims: tuple[CellClaim, ...]) -> ColumnComparison:
    cells = tuple(content.cells_in(column))
    baseline = next((cell for cell in cells if cell.cell.is_baseline), None)
    steps = {cell.cell.name: _step(content, column, cell, baseline) for cell in cells}
    values = {cell.cell.name: _values(content, column, cell, steps[cell.cell.name]) for cell in cells}
    asked = None
    if content.view.plan.experiment.claim:
        asked = [
            Asked(one.cell.cell.name, one.against.cell.name, one.claim.smallest_effect)
            for one in claims
            if one.cell in cells and one.against in cells
        ]
    comparison = compare(
        list(values.values()),
        metric=column.metric,
        baseline=baseline.cell.name if baseline else None,
        asked=asked,
    )
    return ColumnComparison(column, comparison, cells, values, steps, claims, asked is None)


def _one_family(found: Mapping[str, ColumnComparison]) -> dict[str, ColumnComparison]:
    """Claims on several metrics are one family: Holm's adjustment counts them all."""
    tested = [
        (title, one, one.p)
        for title, of in found.items()
        for one in of.comparison.differences
        if one.p is not None and one.p_holm is not None
    ]
    adjusted = holm([p for _, _, p in tested])
    again: dict[tuple[str, str, str], Difference] = {
        (title, one.cell, one.against): _adjusted(found[title], one, p, len(tested))
        for (title, one, _), p in zip(tested, adjusted, strict=True)
    }
    return {title: _with_differences(title, of, again, len(tested)) for title, of in found.items()}


def _adjusted(of: ColumnComparison, one: Difference, p: float, family: int) -> Difference:
    """With the p of the larger family: what is no longer beyond chance is inconclusive."""
    was_sure, found = is_beyond_chance(one), replace(one, p_holm=p)
    if was_sure and not is_beyond_chance(found) and one.verdict in ("helps", "hurts", "differs"):
        found = replace(found, verdict="inconclusive")
    return with_seeds_needed(found, family, of.values[one.cell], of.values[one.against])


def _with_differences(
    title: str, of: ColumnComparison, again: Mapping[tuple[str, str, str], Difference], family: int
) -> ColumnComparison:
    differences = tuple(again.get((title, one.cell, one.against), one) for one in of.comparison.differences)
    return replace(of, comparison=replace(of.comparison, differences=differences, family=family))


def _step(content: Content, column: Column, cell: ReportCell, baseline: ReportCell | None) -> int:
    """The checkpoint that a cell is compared at: the file's last, or the last that all seeds of the baseline have.

    So that cells compare at equal steps while runs are under way; a run that failed or diverged holds nobody up.
    """
    last = column.steps(cell.cell)[-1]
    if baseline is None:
        return last
    reached = _shared_step(content, column, baseline)
    at_end = reached is None or reached == column.steps(baseline.cell)[-1]
    return last if at_end or reached is None else reached


def _shared_step(content: Content, column: Column, cell: ReportCell) -> int | None:
    runs = [run for run in content.runs_in(cell, column) if run.view.status.state not in _SETTLED]
    measured = [set(found) for run in runs if (found := content.run_values(run, column))]
    return max(set.intersection(*measured), default=None) if measured else None


def _values(content: Content, column: Column, cell: ReportCell, step: int) -> CellValues:
    runs = content.runs_in(cell, column)
    values = {run.seed: found for run in runs if (found := content.run_values(run, column).get(step))}
    diverged = frozenset(run.seed for run in runs if run.view.status.state == "diverged")
    return CellValues(
        cell=cell.cell.name,
        values=values,
        seeds=len(runs),
        diverged=len(diverged | {seed for seed, repeats in values.items() if not all(map(math.isfinite, repeats))}),
        minutes_per_run=_minutes(content, runs),
        diverged_seeds=diverged,
    )


def _minutes(content: Content, runs: Sequence[ReportRun]) -> float | None:
    """Of training and evaluating one run, mean over those that are complete; None where none is."""
    complete = [run for run in runs if run.view.status.state == "complete" and run.metrics]
    if not complete:
        return None
    training = sum(run.metrics.total("seconds") for run in complete)
    keys = {run.key for run in complete}
    measuring = sum(found.seconds for (_, key, _), found in content.sources.items() if key in keys)
    return (training + measuring) / 60 / len(complete)
