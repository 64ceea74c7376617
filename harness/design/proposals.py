"""The combinations of levels that a file names: expanded, excluded, checked, and folded."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from harness.design.experiment import Experiment, Grid
from harness.design.factors import OWN, Hyperparameters, as_fields, canonical_level, levels_of
from harness.design.folding import fold, one_limit
from harness.design.naming import BASELINE
from harness.design.references import OwnParts, own_level
from harness.errors import ExperimentFileError


@dataclass
class Proposal:
    """A combination of levels on its way to a cell. folded: the factors that were put back, of all that named it."""

    hyperparameters: Hyperparameters
    names: list[str] = field(default_factory=list)
    grids: list[str] = field(default_factory=list)
    seeds: set[int] = field(default_factory=set)
    folded: dict[str, None] = field(default_factory=dict)


def proposed(experiment: Experiment, parts: OwnParts) -> Iterator[Proposal]:
    """Every combination that is not excluded, in the order of the file; ExperimentFileError where one cannot train."""
    seeds = set(experiment.seeds)
    resolver = _Resolver(experiment, parts)
    if experiment.include_baseline and (proposal := resolver.resolve({}, "baseline")):
        proposal.names, proposal.seeds = [BASELINE], set(seeds)
        yield proposal
    for index, grid in enumerate(experiment.grid):
        for levels in _combinations(grid):
            where = f"grid.{index}.levels" + (f".{next(iter(levels))}" if len(levels) == 1 else "")
            if proposal := resolver.resolve(levels, where):
                proposal.grids, proposal.seeds = [grid.name or f"grid {index + 1}"], set(grid.seeds or seeds)
                yield proposal
    for index, cell in enumerate(experiment.cell):
        if proposal := resolver.resolve(cell.given(), f"cell.{index}"):
            proposal.names, proposal.seeds = [cell.name] if cell.name else [], set(cell.seeds or seeds)
            yield proposal


def _combinations(grid: Grid) -> Iterator[dict[str, Any]]:
    levels = grid.lists()
    match grid.kind:
        case "factorial":
            for combined in itertools.product(*levels.values()):
                yield dict(zip(levels, combined, strict=True))
        case "one-at-a-time":
            for name, values in levels.items():
                for value in values:
                    yield {name: value}
        case "paired":
            for walked in zip(*levels.values(), strict=True):
                yield dict(zip(levels, walked, strict=True))


class _Resolver:
    """Levels over the baseline's, checked and folded."""

    def __init__(self, experiment: Experiment, parts: OwnParts) -> None:
        self.baseline = levels_of(experiment.baseline)
        self.parameters = parts.parameters
        self.images = experiment.data.count
        self.excluded = [self._fields(levels.given()) for levels in experiment.exclude]

    def resolve(self, levels: Mapping[str, Any], where: str) -> Proposal | None:
        """None for what is excluded, as written or as folded; ExperimentFileError (at `where`) if it cannot train."""
        fields = self.baseline | self._fields(levels)
        if self._is_excluded(fields):
            return None  # before anything is checked: what is impossible may be excluded
        try:
            asked = Hyperparameters(**fields)
        except ValidationError as error:
            combination = ", ".join(f"{name} = {canonical_level(value)}" for name, value in levels.items())
            message = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise ExperimentFileError(f"{combination}: {message}", where=where) from None
        hyperparameters, changed = fold(one_limit(asked, self.images), self.parameters)
        if hyperparameters.limit != asked.limit:
            changed = (*changed, "limit")
        if changed and self._is_excluded(self._seen(hyperparameters, changed, fields)):
            return None
        told = [name for name in changed if not _is_quiet(name) or fields[name] != self.baseline[name]]
        return Proposal(hyperparameters, folded=dict.fromkeys(told))

    def _fields(self, levels: Mapping[str, Any]) -> dict[str, Any]:
        """Levels by field, those of own parts' factors in the baseline's kind."""
        return {
            name: own_level(name, level, self.baseline) if name.startswith(OWN) else level
            for name, level in as_fields(levels).items()
        }

    def _seen(self, hp: Hyperparameters, changed: Iterable[str], written: Mapping[str, Any]) -> dict[str, Any]:
        """A folded cell's levels as somebody reads them: a default that is not the baseline's was written by nobody."""
        levels = levels_of(hp)
        return levels | {name: written[name] for name in changed if levels.get(name) != self.baseline[name]}

    def _is_excluded(self, fields: Mapping[str, Any]) -> bool:
        return any(
            all(name in fields and fields[name] == level for name, level in levels.items()) for levels in self.excluded
        )


def _is_quiet(name: str) -> bool:
    """Whether a factor that was put back is told only of cells in which it is not at the baseline's level."""
    return name == "limit" or name.startswith(OWN)
