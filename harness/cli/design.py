"""Commands about what is asked for: init, plan, factors, schema."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from harness.cli.console import columns, say, show, show_json
from harness.cli.documents import plan_document
from harness.cli.options import RUNS, File, Json, RunsDir, Sets, open_file, view_of
from harness.design.experiment import Experiment
from harness.design.factors import ALIASES, Hyperparameters, canonical_level
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
    check: Annotated[bool, typer.Option("--check", hidden=True)] = False,
    time: Annotated[bool, typer.Option("--time", hidden=True)] = False,
) -> None:
    """Show cells, runs, merged duplicates and what is done. Instant; trains nothing."""
    if check or time:
        raise HarnessError("--check and --time are not part of this version", where="plan")
    view = view_of(open_file(file, sets), runs_dir)
    if as_json:
        show_json(plan_document(view))
    else:
        show(plan_text(view))


def plan_text(view: ExperimentView) -> str:
    """The plan for people: only what varies, a row per cell."""
    plan, experiment = view.plan, view.plan.experiment
    states: dict[str, list[str]] = {}
    for run in view.runs:
        states.setdefault(run.run.cell.name, []).append(run.status.state)
    rows = [["cell", *plan.factors, "seeds", "done", "also named by"]]
    fields = {name: ALIASES.get(name, (name,))[0] for name in plan.factors}
    for cell in plan.cells:
        levels = [
            canonical_level(getattr(cell.hyperparameters, fields[name]))
            if name in cell.varied or cell.is_baseline
            else "."
            for name in plan.factors
        ]
        done = sum(state in ("complete", "diverged") for state in states[cell.name])
        others = sorted({state for state in states[cell.name] if state not in ("complete", "pending")})
        progress = f"{done}/{len(cell.seeds)}" + (f" {', '.join(others)}" if others else "")
        merged = ", ".join(name for name in cell.named_by if name != cell.name) if len(cell.named_by) > 1 else ""
        rows.append([cell.name, *levels, _seeds(cell.seeds), progress, merged])
    merged = f", {plan.merged} named twice and run once" if plan.merged else ""
    total = sum(run.status.is_settled for run in view.runs)
    head = (
        f"{experiment.name}: {len(plan.cells)} cells, {len(plan.runs)} runs of {experiment.training.steps} steps "
        f"({total} done){merged}"
    )
    return f"{head}\n\n{columns(rows)}"


def factors(as_json: Json = False) -> None:
    """List every factor: its default, its levels, what it is."""
    if as_json:
        show_json(
            [
                {
                    "name": name,
                    "default": field.default,
                    "allowed": allowed_levels(name),
                    "meaning": field.description,
                }
                for name, field in Hyperparameters.model_fields.items()
            ]
        )
        return
    rows = [["factor", "default", "levels", "meaning"]]
    for name, field in Hyperparameters.model_fields.items():
        rows.append([name, canonical_level(field.default), allowed_levels(name), field.description or ""])
    aliases = [["alias", "sets"], *([alias, " and ".join(targets)] for alias, targets in ALIASES.items())]
    show(f"{columns(rows)}\n\n{columns(aliases)}")


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
