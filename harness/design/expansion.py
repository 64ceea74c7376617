"""From an experiment to its cells and runs: combinations counted, merged, named and keyed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harness.design.epochs import training_of
from harness.design.experiment import Experiment, TrainingSettings
from harness.design.factors import OWN, Hyperparameters, Level, as_fields, levels_of
from harness.design.folding import fold, idle_factors, one_limit, told
from harness.design.keys import run_key
from harness.design.labels import refuse_idle_labels, spelled_labels
from harness.design.naming import (
    BASELINE,
    ShownLevels,
    display_factors,
    name_and_label,
    names_and_levels,
    varied_levels,
)
from harness.design.own_parts import OwnSource
from harness.design.picture_sizes import refuse_large_pictures
from harness.design.proposals import Proposal, proposed
from harness.design.references import OwnParts, own_level, read_own_parts, refuse_idle_own_factors
from harness.errors import ExperimentFileError

RESERVED_NAMES = frozenset({BASELINE, "best"})


@dataclass(frozen=True)
class Cell:
    """One level for every factor: a row of the comparison table.

    name: for people and the command line; label: `name` as `[labels]` spells it; names, grids: all that the file
    calls this cell and the grids that name it; hyperparameters: with factors that cannot matter here at their default;
    varied: levels that differ from the baseline, by display name; training: what it trains, in steps; named_by: every
    entry of the file that names this cell, more than one where duplicates were merged.
    """

    name: str
    label: str
    names: tuple[str, ...]
    grids: tuple[str, ...]
    hyperparameters: Hyperparameters
    varied: dict[str, Level]
    seeds: tuple[int, ...]
    is_baseline: bool
    training: TrainingSettings
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
    """All cells of an experiment.

    factors: display names of what varies; merged: cells that were named twice; folded: sentences about levels that do
    not matter in some cell; sources, parameters: the user's files that the experiment refers to, by file, and what
    each own part takes, by reference.
    """

    experiment: Experiment
    factors: tuple[str, ...]
    cells: tuple[Cell, ...]
    runs: tuple[Run, ...]
    merged: int
    folded: tuple[str, ...] = ()
    sources: Mapping[str, OwnSource] = field(default_factory=dict)
    parameters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def source_hashes(self) -> dict[str, str]:
        """SHA-256 by own file, as `keys.run_key` takes them."""
        return {file: source.sha256 for file, source in self.sources.items()}

    def cells_at(self, levels: Mapping[str, Level]) -> tuple[Cell, ...]:
        """The cell with exactly these levels (by factor or alias) and the baseline's elsewhere, if there is one."""
        baseline = levels_of(self.experiment.baseline)
        if any(name.startswith(OWN) and name not in baseline for name in levels):
            return ()
        try:
            own = {name: own_level(name, level, baseline) for name, level in levels.items() if name.startswith(OWN)}
            wanted = Hyperparameters(**baseline | as_fields({**levels, **own}))
        except ValueError:  # no cell can be so
            return ()
        folded, _ = fold(one_limit(wanted, self.experiment.data.count), self.parameters)
        return tuple(cell for cell in self.cells if cell.hyperparameters == folded)


def expand(experiment: Experiment) -> Plan:
    """All cells and runs of `experiment`; ExperimentFileError (where: a dotted key) when they cannot be made."""
    count_runs(experiment)
    baseline = one_limit(experiment.baseline, experiment.data.count)
    experiment = experiment.model_copy(update={"baseline": baseline})
    parts = read_own_parts(experiment)
    proposals: dict[Hyperparameters, Proposal] = {}
    named = 0
    for proposal in proposed(experiment, parts):
        named += 1
        known = proposals.setdefault(proposal.hyperparameters, Proposal(proposal.hyperparameters))
        known.names += [name for name in proposal.names if name not in known.names]
        known.grids += [grid for grid in proposal.grids if grid not in known.grids]
        known.seeds |= proposal.seeds
        known.folded |= proposal.folded
    if not proposals:
        raise _nothing_left(experiment)
    refuse_idle_own_factors(experiment, {name for hp in proposals for name, _ in hp.own}, parts)
    cells, factors = _cells(experiment, parts, proposals)
    _refuse_missing_averages(experiment, cells)
    _refuse_steps_without_checkpoint(experiment, cells)
    refuse_large_pictures(experiment.report, {cell.hyperparameters.resolution: cell.name for cell in cells})
    _refuse_too_many(sum(len(cell.seeds) for cell in cells), experiment, "seeds")
    hashes = {file: source.sha256 for file, source in parts.sources.items()}
    runs = tuple(
        Run(cell, seed, run_key(cell.hyperparameters, seed, experiment.data, cell.training.steps, hashes))
        for cell in cells
        for seed in cell.seeds
    )
    _refuse_equal_keys(runs)
    folded = told((hp, tuple(proposal.folded)) for hp, proposal in proposals.items() if proposal.folded)
    merged = named - len(cells)
    return Plan(experiment, factors, cells, runs, merged, folded, parts.sources, parts.parameters)


def _cells(
    experiment: Experiment, parts: OwnParts, proposals: Mapping[Hyperparameters, Proposal]
) -> tuple[tuple[Cell, ...], tuple[str, ...]]:
    """The cells of all proposals, named, and the display names of what varies."""
    reference, _ = fold(experiment.baseline, parts.parameters)
    if reference in proposals:
        proposals[reference].seeds.update(*(proposal.seeds for proposal in proposals.values()))
    baseline = _shown(experiment.baseline, parts)
    shown = [_shown(hp, parts) for hp in proposals]
    factors = display_factors(baseline, shown)
    labels = spelled_labels(experiment.labels, baseline.levels)
    cells: list[Cell] = []
    for proposal, levels in zip(proposals.values(), shown, strict=True):
        varied = varied_levels(levels, baseline.levels, factors)
        is_baseline = proposal.hyperparameters == reference
        name, label, names = name_and_label(proposal.names, varied, labels, is_baseline=is_baseline)
        cells.append(
            Cell(
                name=name,
                label=label,
                names=names,
                grids=tuple(proposal.grids),
                hyperparameters=proposal.hyperparameters,
                varied=varied,
                seeds=tuple(sorted(proposal.seeds)),
                is_baseline=is_baseline,
                training=training_of(proposal.hyperparameters, experiment),
                named_by=(*proposal.names, *proposal.grids),
            )
        )
    _refuse_equal_names(cells, experiment)
    known = names_and_levels((cell.names, cell.varied) for cell in cells)
    refuse_idle_labels(experiment.labels, known, baseline.levels)
    return tuple(cells), tuple(factors)


def _shown(hp: Hyperparameters, parts: OwnParts) -> ShownLevels:
    levels, idle = levels_of(hp), set(idle_factors(hp, parts.parameters))
    return ShownLevels(levels, {name: level for name, level in levels.items() if name not in idle})


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


def _refuse_missing_averages(experiment: Experiment, cells: Iterable[Cell]) -> None:
    """ExperimentFileError where an evaluation asks for averaged weights that a cell does not keep."""
    without = next((cell for cell in cells if cell.hyperparameters.ema_decay == 0), None)
    for index, block in enumerate(experiment.evaluation):
        if block.generator_weights == "ema" and without:
            raise ExperimentFileError(
                f"cell {without.name} keeps no moving average of its generator's weights (ema_decay = 0)",
                where=f"evaluation.{index}.generator_weights",
                remedy="Give ema_decay a level above 0 in every cell, such as 0.999 in [baseline], or measure raw.",
            )


def _refuse_steps_without_checkpoint(experiment: Experiment, cells: Iterable[Cell]) -> None:
    """ExperimentFileError where an evaluation lists a step that has no checkpoint in some cell."""
    asked = {index: block.at for index, block in enumerate(experiment.evaluation) if not isinstance(block.at, str)}
    if not asked:
        return
    trained = {cell.training: cell for cell in cells}
    for training, cell in trained.items():
        known = set(training.checkpoint_steps())
        where_in_file = f" in cell {cell.name}" if experiment.training.in_epochs else ""
        for index, steps in asked.items():
            unknown = [step for step in steps if step not in known]
            if unknown:
                raise ExperimentFileError(
                    f"step {unknown[0]} has no checkpoint{where_in_file}; there is one every "
                    f"{training.checkpoint_every} steps and at {training.steps}",
                    where=f"evaluation.{index}.at",
                )


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
