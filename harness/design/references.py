"""The own parts that an experiment file refers to, and the factors of these parts."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.design.experiment import Experiment
from harness.design.factors import OWN, Level, canonical_level, levels_of
from harness.design.own_parts import (
    NoSuchPartError,
    OwnSource,
    is_own,
    parameters_of,
    read_own_source,
    split_reference,
)
from harness.errors import ExperimentFileError


@dataclass(frozen=True)
class OwnParts:
    """sources: by file; parameters: names that each part takes, by its reference."""

    sources: Mapping[str, OwnSource] = field(default_factory=dict)
    parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_own_parts(experiment: Experiment) -> OwnParts:
    """Reads every file that the experiment refers to.

    ExperimentFileError (where: a dotted key) for a file or name that is not there; OwnSourceError (where: a line of the
    user's file) for a file that cannot be used.
    """
    _refuse_unknown_own_factors(experiment)
    sources: dict[str, OwnSource] = {}
    parameters: dict[str, tuple[str, ...]] = {}
    for where, reference in _references(experiment):
        if reference in parameters:
            continue
        file, name = split_reference(reference)
        if file not in sources:
            if not Path(file).is_file():
                raise _no_such_file(file, where)
            sources[file] = read_own_source(file)
        try:
            parameters[reference] = parameters_of(sources[file], name)
        except NoSuchPartError as error:
            raise ExperimentFileError(error.what, where=where, remedy=error.remedy) from None
    return OwnParts(sources, parameters)


def own_level(name: str, level: Level, baseline: Mapping[str, Level]) -> Level:
    """A level of `own.NAME` as the baseline's kind; ValueError for another kind.

    Whole numbers for a factor that is real in the baseline become real, and real ones that are whole become whole
    where it is not, so that 1 and 1.0 are one level.
    """
    reference = baseline[name]
    if _kind(level) != _kind(reference):
        known = canonical_level(reference)
        raise ValueError(f"expected {_kind(reference)} like the baseline's {known}, got {canonical_level(level)}")
    if isinstance(reference, float) and isinstance(level, int):
        return float(level)
    if isinstance(level, float) and isinstance(reference, int) and level.is_integer():
        return int(level)
    return level


def refuse_idle_own_factors(experiment: Experiment, taken: Collection[str], parts: OwnParts) -> None:
    """ExperimentFileError for an own factor that no part of any cell takes. taken: names that some cell has."""
    for name, _ in experiment.baseline.own:
        if name not in taken:
            data = experiment.data.source
            of_parts = [names for reference, names in parts.parameters.items() if reference != data]
            near = difflib.get_close_matches(name, sorted({known for names in of_parts for known in names}), 1)
            remedy = f"Did you mean {near[0]!r}?" if near else "Leave it out, or name it in a part's signature."
            if name in parts.parameters.get(data, ()) and not near:
                remedy = f"{data} names it, but images are the same for all cells and take no factors."
            raise ExperimentFileError(
                f"no own part of any cell takes a parameter {name!r}", where=f"baseline.{OWN}{name}", remedy=remedy
            )


def _kind(level: Level) -> str:
    match level:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
    return "a text"


def _references(experiment: Experiment) -> Iterator[tuple[str, str]]:
    for where, name, level in _levels(experiment):
        if not name.startswith(OWN) and isinstance(level, str) and is_own(level):
            yield where, level
    if is_own(experiment.data.source):
        yield "data.source", experiment.data.source


def _levels(experiment: Experiment) -> Iterator[tuple[str, str, Any]]:
    """Every level of every cell, with its dotted key and its factor or alias."""
    for name, level in levels_of(experiment.baseline).items():
        yield f"baseline.{name}", name, level
    for index, grid in enumerate(experiment.grid):
        for name, levels in grid.lists().items():
            for position, level in enumerate(levels):
                yield f"grid.{index}.levels.{name}.{position}", name, level
    for index, cell in enumerate(experiment.cell):
        for name, level in cell.given().items():
            yield f"cell.{index}.{name}", name, level
    for index, excluded in enumerate(experiment.exclude):
        for name, level in excluded.given().items():
            yield f"exclude.{index}.{name}", name, level


def _refuse_unknown_own_factors(experiment: Experiment) -> None:
    baseline = levels_of(experiment.baseline)
    for where, name, level in _levels(experiment):
        if not name.startswith(OWN):
            continue
        if name not in baseline:
            known = [other.removeprefix(OWN) for other in baseline if other.startswith(OWN)]
            near = difflib.get_close_matches(name.removeprefix(OWN), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else "write its reference level there"
            raise ExperimentFileError(f"has no level in [baseline.own]; {hint}", where=where)
        try:
            own_level(name, level, baseline)
        except ValueError as error:
            raise ExperimentFileError(str(error), where=where) from None


def _no_such_file(file: str, where: str) -> ExperimentFileError:
    path = Path(file)
    others = [other.name for other in path.parent.glob("*.py")]
    near = difflib.get_close_matches(path.name, others, 1)
    return ExperimentFileError(
        f"there is no file {file}, seen from {Path.cwd()}",
        where=where,
        remedy=f"Did you mean {path.parent / near[0]}?" if near else "Own files are named from the current folder on.",
    )
