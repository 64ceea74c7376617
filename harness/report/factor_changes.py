"""What cells change against the baseline, and which cells together make a factorial grid."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.design.expansion import Plan
from harness.design.experiment import Grid
from harness.design.factors import ALIASES, Level, canonical_level, fields_of, levels_of
from harness.report.content import Content, ReportCell
from harness.report.markdown import code, escape
from harness.report.rounding import plain_level


@dataclass(frozen=True)
class Change:
    """One factor (or alias) that a cell has at another level than the baseline, levels as people write them."""

    factor: str
    before: str
    after: str

    @property
    def text(self) -> str:
        """As Markdown: `latent_dim` 16 → 100."""
        return f"{code(self.factor)} {escape(self.before)} → {escape(self.after)}"


@dataclass(frozen=True, eq=False)
class Factorial:
    """Cells that cross factors. name: of the grid, None where cells of no one grid do so.

    levels: by factor, the first one the reference; cells: by levels in the order of `factors`, every combination.
    """

    name: str | None
    factors: tuple[str, ...]
    levels: Mapping[str, tuple[str, ...]]
    cells: Mapping[tuple[str, ...], ReportCell]


def changes(content: Content, cell: ReportCell) -> tuple[Change, ...]:
    """What the cell changes; an alias in place of its fields where these go from one level to one other."""
    baseline = levels_of(content.view.plan.experiment.baseline)
    varied = dict(cell.cell.varied)
    found = {
        name: Change(name, *(plain_level(canonical_level(level)) for level in (_level(baseline, name), to)))
        for name, to in varied.items()
    }
    for alias, fields in ALIASES.items():
        ways = {(found[field].before, found[field].after) for field in fields if field in found}
        if len(ways) == 1 and all(field in found for field in fields):
            joined = Change(alias, *ways.pop())
            found = {
                (alias if name == fields[0] else name): (joined if name == fields[0] else change)
                for name, change in found.items()
                if name not in fields[1:]
            }
    return tuple(found.values())


def _level(baseline: Mapping[str, Level], name: str) -> object:
    return next((baseline[field] for field in fields_of(name) if field in baseline), "–")


def factorials(content: Content) -> list[Factorial]:
    """The file's factorial grids of two factors or more, then four cells of other entries that cross two factors."""
    plan = content.view.plan
    declared = [
        found
        for index, grid in enumerate(plan.experiment.grid)
        if grid.kind == "factorial" and (found := _declared(content, grid, grid.name or f"grid {index + 1}"))
    ]
    held = [set(map(id, one.cells.values())) for one in declared]
    implied = [
        found
        for cell in content.cells
        if len(cell.cell.varied) == 2
        and (found := _crossing(content, None, {name: [_own(plan, name), to] for name, to in cell.cell.varied.items()}))
        and not any(set(map(id, found.cells.values())) <= cells for cells in held)
    ]
    return [*declared, *implied]


def _declared(content: Content, grid: Grid, name: str) -> Factorial | None:
    """A grid with the baseline's level first where it lists it, or where the cells at that level are there as well."""
    plan = content.view.plan
    lists = {factor: _unique(levels) for factor, levels in grid.lists().items()}
    fixed = {factor: levels for factor, levels in lists.items() if len(levels) == 1}
    with_own = {factor: _unique([_own(plan, factor), *levels]) for factor, levels in lists.items()}
    for levels in (with_own, {factor: _reference_first(plan, factor, given) for factor, given in lists.items()}):
        crossed = {factor: given for factor, given in levels.items() if len(given) > 1}
        held = {factor: given[0] for factor, given in fixed.items() if factor not in crossed}
        if len(crossed) > 1 and (found := _crossing(content, name, crossed, held)):
            return found
    return None


def _crossing(
    content: Content, name: str | None, levels: Mapping[str, Sequence[Any]], held: Mapping[str, Any] | None = None
) -> Factorial | None:
    """None where a combination is no cell, or two are one and the same."""
    by_name = {cell.cell.name: cell for cell in content.cells}
    cells: dict[tuple[str, ...], ReportCell] = {}
    for combination in itertools.product(*levels.values()):
        wanted = dict(zip(levels, combination, strict=True)) | dict(held or {})
        at = content.view.plan.cells_at(wanted)
        if len(at) != 1 or at[0].name not in by_name or by_name[at[0].name] in cells.values():
            return None
        cells[tuple(map(canonical_level, combination))] = by_name[at[0].name]
    spelled = {factor: tuple(map(canonical_level, given)) for factor, given in levels.items()}
    return Factorial(name, tuple(levels), spelled, cells)


def _own(plan: Plan, factor: str) -> Any:
    """The baseline's level."""
    return _level(levels_of(plan.experiment.baseline), factor)


def _reference_first(plan: Plan, factor: str, levels: Sequence[Any]) -> list[Any]:
    own = canonical_level(_own(plan, factor))
    return sorted(levels, key=lambda level: canonical_level(level) != own)


def _unique(levels: Sequence[Any]) -> list[Any]:
    return list({canonical_level(level): level for level in levels}.values())
