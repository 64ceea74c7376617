"""From an experiment to its cells and runs: grids counted, expanded, excluded, merged, named and keyed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from harness.design.experiment import Experiment, Grid
from harness.design.factors import ALIASES, Hyperparameters, Level, as_fields, canonical_level
from harness.design.keys import run_key
from harness.design.labels import refuse_idle_labels, spelled_labels
from harness.errors import ExperimentFileError

BASELINE = "baseline"
RESERVED_NAMES = frozenset({BASELINE, "best"})


@dataclass(frozen=True)
class Cell:
    """One level for every factor: a row of the comparison table.

    name: for people and the command line; label: `name` as `[labels]` spells it; names, grids: all that the file
    calls this cell and the grids that name it; varied: levels that differ from the baseline, by display name;
    named_by: every entry of the file that names this cell, more than one where duplicates were merged.
    """

    name: str
    label: str
    names: tuple[str, ...]
    grids: tuple[str, ...]
    hyperparameters: Hyperparameters
    varied: dict[str, Level]
    seeds: tuple[int, ...]
    is_baseline: bool
    named_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """One cell trained with one seed."""

    cell: Cell
    seed: int
    key: str

    @property
    def name(self) -> str:
        return f"{self.cell.name} seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """All cells of an experiment. factors: display names of what varies; merged: cells that were named twice."""

    experiment: Experiment
    factors: tuple[str, ...]
    cells: tuple[Cell, ...]
    runs: tuple[Run, ...]
    merged: int


@dataclass
class _Proposal:
    """A combination of levels on its way to a cell."""

    hyperparameters: Hyperparameters
    names: list[str] = field(default_factory=list)
    grids: list[str] = field(default_factory=list)
    seeds: set[int] = field(default_factory=set)


def expand(experiment: Experiment) -> Plan:
    """All cells and runs of `experiment`; ExperimentFileError (where: a dotted key) when they cannot be made."""
    count_runs(experiment)
    proposals: dict[Hyperparameters, _Proposal] = {}
    named = 0
    for proposal in _proposals(experiment):
        named += 1
        known = proposals.setdefault(proposal.hyperparameters, _Proposal(proposal.hyperparameters))
        known.names += [name for name in proposal.names if name not in known.names]
        known.grids += [grid for grid in proposal.grids if grid not in known.grids]
        known.seeds |= proposal.seeds
    if not proposals:
        raise _nothing_left(experiment)
    all_seeds = set().union(*(proposal.seeds for proposal in proposals.values()))
    if experiment.baseline in proposals:
        proposals[experiment.baseline].seeds |= all_seeds
    factors = display_factors(experiment.baseline, proposals)
    labels = spelled_labels(experiment.labels)
    cells = tuple(_cell(proposal, experiment.baseline, factors, labels) for proposal in proposals.values())
    _refuse_equal_names(cells, experiment)
    refuse_idle_labels(experiment.labels, _names_and_levels(cells))
    _refuse_too_many(sum(len(cell.seeds) for cell in cells), experiment, "seeds")
    runs = tuple(
        Run(cell, seed, run_key(cell.hyperparameters, seed, experiment.data)) for cell in cells for seed in cell.seeds
    )
    _refuse_equal_keys(runs)
    return Plan(experiment, tuple(factors), cells, runs, merged=named - len(cells))


def count_runs(experiment: Experiment) -> int:
    """Runs before merging and excluding, counted without making them; ExperimentFileError above `max_runs`."""
    counts = {"seeds": len(experiment.seeds) if experiment.include_baseline else 0}
    for index, grid in enumerate(experiment.grid):
        counts[f"grid.{index}"] = grid.count() * len(grid.seeds or experiment.seeds)
    for index, cell in enumerate(experiment.cell):
        counts[f"cell.{index}"] = len(cell.seeds or experiment.seeds)
    total = sum(counts.values())
    _refuse_too_many(total, experiment, max(counts, key=lambda entry: counts[entry]))
    return total


def _refuse_too_many(runs: int, experiment: Experiment, where: str) -> None:
    if runs > experiment.max_runs:
        raise ExperimentFileError(
            f"the file asks for {runs:,} runs, more than max_runs = {experiment.max_runs:,}",
            where=where,
            remedy="Name fewer levels or seeds, or set max_runs at the top of the file.",
        )


def _nothing_left(experiment: Experiment) -> ExperimentFileError:
    if experiment.exclude:
        return ExperimentFileError("no cell is left to run", where="exclude", remedy="Exclude fewer levels.")
    return ExperimentFileError(
        "no cell is left to run", where="include_baseline", remedy="Name a [[grid]] or a [[cell]], or leave this out."
    )


def display_factors(baseline: Hyperparameters, cells: Iterable[Hyperparameters]) -> dict[str, tuple[str, ...]]:
    """What varies: display name -> fields. An alias stands for its fields where these agree in every cell."""
    everything = [baseline.model_dump(), *(cell.model_dump() for cell in cells)]
    varying = [name for name in everything[0] if any(cell[name] != everything[0][name] for cell in everything[1:])]
    shown: dict[str, tuple[str, ...]] = {}
    for name in varying:
        alias = next((alias for alias, fields in ALIASES.items() if name in fields), None)
        if alias and all(cell[field] == cell[name] for cell in everything for field in ALIASES[alias]):
            shown[alias] = ALIASES[alias]
        else:
            shown[name] = (name,)
    return shown


def _proposals(experiment: Experiment) -> Iterator[_Proposal]:
    baseline = experiment.baseline.model_dump()
    seeds = set(experiment.seeds)
    excluded = [as_fields(levels.given()) for levels in experiment.exclude]
    if experiment.include_baseline and not _matches(baseline, excluded):
        yield _Proposal(experiment.baseline, names=[BASELINE], seeds=seeds)
    for index, grid in enumerate(experiment.grid):
        for levels in _combinations(grid):
            fields = baseline | as_fields(levels)
            if _matches(fields, excluded):
                continue  # before anything is checked: what is impossible may be excluded
            where = f"grid.{index}.levels" + (f".{next(iter(levels))}" if len(levels) == 1 else "")
            hyperparameters = _resolve(fields, levels, where)
            grids = [grid.name or f"grid {index + 1}"]
            yield _Proposal(hyperparameters, grids=grids, seeds=set(grid.seeds or seeds))
    for index, cell in enumerate(experiment.cell):
        fields = baseline | as_fields(cell.given())
        if _matches(fields, excluded):
            continue
        hyperparameters = _resolve(fields, cell.given(), f"cell.{index}")
        names = [cell.name] if cell.name else []
        yield _Proposal(hyperparameters, names=names, seeds=set(cell.seeds or seeds))


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


def _resolve(fields: Mapping[str, Any], levels: Mapping[str, Any], where: str) -> Hyperparameters:
    try:
        return Hyperparameters(**fields)
    except ValidationError as error:
        combination = ", ".join(f"{name} = {canonical_level(value)}" for name, value in levels.items())
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ExperimentFileError(f"{combination}: {message}", where=where) from None


def _matches(fields: Mapping[str, Any], excluded: Iterable[Mapping[str, Any]]) -> bool:
    return any(all(fields[name] == level for name, level in levels.items()) for levels in excluded)


def _cell(
    proposal: _Proposal,
    baseline: Hyperparameters,
    factors: Mapping[str, tuple[str, ...]],
    labels: Mapping[str, str],
) -> Cell:
    varied: dict[str, Level] = {
        shown: getattr(proposal.hyperparameters, fields[0])
        for shown, fields in factors.items()
        if getattr(proposal.hyperparameters, fields[0]) != getattr(baseline, fields[0])
    }
    is_baseline = proposal.hyperparameters == baseline
    given = [name for name in proposal.names if name != BASELINE]
    parts = _spelled(varied)
    name = given[0] if given and not is_baseline else ",".join(parts) or BASELINE
    names = tuple(dict.fromkeys([name, *proposal.names]))
    label = name if given or is_baseline else ", ".join(labels.get(part, part) for part in parts)
    return Cell(
        name=name,
        label=next((labels[called] for called in names if called in labels), label),
        names=names,
        grids=tuple(proposal.grids),
        hyperparameters=proposal.hyperparameters,
        varied=varied,
        seeds=tuple(sorted(proposal.seeds)),
        is_baseline=is_baseline,
        named_by=(*proposal.names, *proposal.grids),
    )


def _spelled(varied: Mapping[str, Level]) -> list[str]:
    """`latent_dim=8` for each level."""
    return [f"{name}={canonical_level(level)}" for name, level in varied.items()]


def _names_and_levels(cells: Iterable[Cell]) -> set[str]:
    """All that `[labels]` may name."""
    return {text for cell in cells for text in (*cell.names, *_spelled(cell.varied))}


def _refuse_equal_names(cells: Iterable[Cell], experiment: Experiment) -> None:
    named = {cell.name: f"cell.{index}.name" for index, cell in enumerate(experiment.cell)}
    owners: dict[str, Cell] = {}
    for cell in cells:
        for name in cell.names:
            if name in RESERVED_NAMES and not (name == BASELINE and cell.is_baseline):
                raise ExperimentFileError(
                    f"{name!r} means something else on the command line", where=named.get(name, "cell")
                )
            if owners.setdefault(name, cell) is not cell:
                raise ExperimentFileError(f"two different cells are called {name!r}", where=named.get(name, "cell"))


def _refuse_equal_keys(runs: Iterable[Run]) -> None:
    owners: dict[str, Run] = {}
    for run in runs:
        other = owners.setdefault(run.key[:8], run)
        if other is not run:
            raise ExperimentFileError(
                f"the keys of {other.name} and {run.name} begin alike ({run.key[:8]})",
                where="seeds",
                remedy="One chance in four billion per pair: change one seed.",
            )
