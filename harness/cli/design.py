"""Commands about what is asked for: init, plan, factors, schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from harness.cli.console import PAGE_WIDTH, columns, page_width, say, show, show_json
from harness.cli.documents import plan_document
from harness.cli.options import RUNS, File, Json, RunsDir, Sets, open_file, view_of
from harness.design.expansion import Plan
from harness.design.experiment import Experiment
from harness.design.factors import ALIASES, FACTORS, NO_LEVEL, Hyperparameters, canonical_level
from harness.design.naming import shown_levels
from harness.design.schema import allowed_levels, experiment_schema
from harness.errors import HarnessError
from harness.tracking.reader import ExperimentView


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")] = Path("experiment.toml"),
) -> None:
    """Write a commented starter file."""
    text = files("harness.cli").joinpath("starter.toml").read_text(encoding="utf-8")
    remedy = "Name another one: harness init FILE"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as starter:
            starter.write(text.replace("@NAME@", _experiment_name(file.stem)))
    except FileExistsError as error:
        what = "the file exists" if error.filename == str(file) else f"{error.filename} is no folder"
        raise HarnessError(what, where=str(file), remedy=remedy) from None
    except OSError as error:
        raise HarnessError(f"cannot be written: {error.strerror}", where=str(file), remedy=remedy) from None
    say(f"wrote {file}; next: harness plan {file}, then harness run {file}")


def plan(
    file: File,
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: Json = False,
    check: Annotated[
        bool, typer.Option("--check", help="Try every network: shapes, parameters, and the disk that the runs need.")
    ] = False,
    time: Annotated[
        bool, typer.Option("--time", help="With --check: time a few steps of every kind of cell; how long, what cost.")
    ] = False,
) -> None:
    """Show cells, runs, merged duplicates and what is done. Instant; trains nothing."""
    if time and not check:
        raise HarnessError("times are told of checked networks", where="--time", remedy="Add --check.")
    view = view_of(open_file(file, sets), runs_dir)
    if not as_json:
        show(plan_text(view, page_width()))
    document = plan_document(view) if as_json else {}
    if check:
        from harness.cli.preflight import check_document, check_plan, check_text

        pairs = check_plan(view.plan)
        document = check_document(view, pairs, document) if as_json else {}
        if not as_json:
            show(f"\n{check_text(view, pairs, runs_dir)}")
    if time:
        from harness.cli.estimate import time_document, time_text
        from harness.cli.timing import time_plan

        estimate = time_plan(view)
        document = time_document(view.plan, estimate, document) if as_json else {}
        if not as_json:
            show(f"\n{time_text(view.plan, estimate)}")
    if as_json:
        show_json(document)


def plan_text(view: ExperimentView, width: int = PAGE_WIDTH) -> str:
    """The plan for people: only what varies, a row per cell; a line per cell where the table is wider than `width`."""
    plan, experiment = view.plan, view.plan.experiment
    merged = f", {plan.merged} named twice and run once" if plan.merged else ""
    total = sum(run.status.is_settled for run in view.runs)
    head = (
        f"{experiment.name}: {len(plan.cells)} cells, {len(plan.runs)} runs of {_length(plan)} ({total} done){merged}"
    )
    rows = _plan_rows(view)
    body = columns([["cell", *plan.factors, "seeds", "done", "also named by"], *(row.in_table() for row in rows)])
    if max(map(len, body.splitlines())) > width:
        body = "\n".join([_baseline_line(plan), *(row.in_a_line() for row in rows)])
    idle = any(NO_LEVEL in row.levels.values() for row in rows)
    notes = [*(["-: the factor changes nothing in that cell"] if idle else []), *plan.folded]
    return "\n".join([head, "", body, *(["", *notes] if notes else [])])


@dataclass(frozen=True)
class _PlanRow:
    """One cell of a plan, as words. levels: of all that varies; differing: those unlike the baseline's."""

    name: str
    levels: Mapping[str, str]
    differing: Mapping[str, str]
    is_baseline: bool
    seeds: str
    done: str
    merged: str

    def in_table(self) -> list[str]:
        levels = [
            level if self.is_baseline or name in self.differing or level == NO_LEVEL else "."
            for name, level in self.levels.items()
        ]
        return [self.name, *levels, self.seeds, self.done, self.merged]

    def in_a_line(self) -> str:
        levels = ", ".join(f"{name}={level}" for name, level in self.differing.items())
        merged = f"; also named by {self.merged}" if self.merged else ""
        return f"{self.name}: {levels or 'as the baseline'}; seeds {self.seeds}; done {self.done}{merged}"


def _plan_rows(view: ExperimentView) -> list[_PlanRow]:
    plan, baseline = view.plan, _baseline_levels(view.plan)
    states: dict[str, list[str]] = {}
    for run in view.runs:
        states.setdefault(run.run.cell.name, []).append(run.status.state)
    rows = []
    for cell in plan.cells:
        shown = shown_levels(cell.hyperparameters, plan.factors, plan.parameters)
        levels = baseline if cell.is_baseline else {name: canonical_level(level) for name, level in shown.items()}
        done = sum(state in ("complete", "diverged") for state in states[cell.name])
        others = sorted({state for state in states[cell.name] if state not in ("complete", "pending")})
        rows.append(
            _PlanRow(
                name=cell.name,
                levels=levels,
                differing={name: level for name, level in levels.items() if level != baseline[name]},
                is_baseline=cell.is_baseline,
                seeds=_seeds(cell.seeds),
                done=f"{done}/{len(cell.seeds)}" + (f" {', '.join(others)}" if others else ""),
                merged=", ".join(name for name in cell.named_by if name != cell.name) if len(cell.named_by) > 1 else "",
            )
        )
    return rows


def _baseline_levels(plan: Plan) -> dict[str, str]:
    """The baseline's level of all that varies, whether or not it is among the cells."""
    shown = shown_levels(plan.experiment.baseline, plan.factors, plan.parameters)
    return {name: canonical_level(level) for name, level in shown.items()}


def _baseline_line(plan: Plan) -> str:
    levels = ", ".join(f"{name}={level}" for name, level in _baseline_levels(plan).items())
    return f"the baseline's levels: {levels or 'nothing varies'}"


def _length(plan: Plan) -> str:
    """How long the runs train: `5000 steps`, `30 epochs (14040 to 28110 steps)`."""
    steps = sorted({cell.training.steps for cell in plan.cells})
    told = f"{steps[0]} steps" if len(steps) == 1 else f"{steps[0]} to {steps[-1]} steps"
    epochs = plan.experiment.training.epochs
    return f"{epochs} epochs ({told})" if epochs else told


def factors(as_json: Json = False) -> None:
    """List every factor: its default, its levels, what it is."""
    if as_json:
        show_json(
            [
                {
                    "name": name,
                    "default": _field(name).default,
                    "allowed": allowed_levels(name),
                    "meaning": _field(name).description,
                }
                for name in FACTORS
            ]
        )
        return
    rows = [["factor", "default", "levels", "meaning"]]
    for name in FACTORS:
        field = _field(name)
        rows.append([name, canonical_level(field.default), allowed_levels(name), field.description or ""])
    aliases = [["alias", "sets"], *([alias, " and ".join(targets)] for alias, targets in ALIASES.items())]
    show(f"{columns(rows)}\n\n{columns(aliases)}")


def _field(name: str) -> FieldInfo:
    return Hyperparameters.model_fields[name]


def schema() -> None:
    """Print the JSON schema of experiment files, for editors."""
    show(json.dumps(experiment_schema(), indent=1))


def _experiment_name(stem: str) -> str:
    """The file's name where it can name an experiment, else `ablation`."""
    try:
        return Experiment(name=stem).name
    except ValidationError:
        return "ablation"


def _seeds(seeds: tuple[int, ...]) -> str:
    """`0-4` for a range, else a list."""
    if len(seeds) > 2 and seeds == tuple(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(map(str, seeds)) if len(seeds) <= 8 else f"{len(seeds)} seeds"
