"""Arguments and options that several commands share, and how they turn into objects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.design.expansion import Plan
from harness.design.experiment_file import ExperimentFile, read_experiment_file
from harness.design.factors import as_fields, canonical_level, fields_of
from harness.errors import HarnessError
from harness.tracking.reader import ExperimentView, read_experiment

File = Annotated[Path, typer.Argument(metavar="FILE", help="The experiment file (TOML).", show_default=False)]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=V", help="Override a value of the file; may be repeated."),
]
RunsDir = Annotated[Path, typer.Option("--runs-dir", help="Folder that holds the runs.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="CELL", help="Only this cell: a name, levels such as latent_dim=100, or best."),
]
SeedRange = Annotated[str | None, typer.Option("--seeds", metavar="0-4", help="Only these seeds: 0-4 or 0,2,5.")]
TrackingUri = Annotated[
    str | None,
    typer.Option(
        "--tracking-uri",
        metavar="URI|none",
        help="MLflow server or store; none leaves MLflow out. Default: MLFLOW_TRACKING_URI, else RUNS_DIR/mlflow.db.",
    ),
]

RUNS = Path("runs")
REPORTS = Path("reports")


def open_file(path: Path, sets: list[str] | None) -> ExperimentFile:
    return read_experiment_file(path, tuple(sets or ()))


def view_of(file: ExperimentFile, runs_dir: Path) -> ExperimentView:
    return read_experiment(file.plan, runs_dir)


def chosen_keys(view: ExperimentView, only: list[str] | None, seeds: str | None) -> frozenset[str]:
    """Keys of the runs that `--only` and `--seeds` leave; HarnessError where a cell or seed is unknown."""
    names = {find_cell(view, text) for text in only} if only else {cell.name for cell in view.plan.cells}
    wanted = parse_seeds(seeds) if seeds else None
    keys = frozenset(
        run.key for run in view.plan.runs if run.cell.name in names and (wanted is None or run.seed in wanted)
    )
    if not keys:
        known = sorted({run.seed for run in view.plan.runs if run.cell.name in names})
        raise HarnessError(f"no run has these seeds; the file names {known}", where=f"--seeds {seeds}")
    return keys


def find_cell(view: ExperimentView, text: str) -> str:
    """The name of the cell that `text` means: a name, a list of levels, or `best`."""
    plan = view.plan
    if text == "best":
        return best_cell(view)
    for cell in plan.cells:
        if text in cell.names or text == cell.label:
            return cell.name
    if "=" in text and (name := _cell_with_levels(plan, text)):
        return name
    known = ", ".join(cell.name for cell in plan.cells[:20]) + (" ..." if len(plan.cells) > 20 else "")
    raise HarnessError(f"no cell is called {text!r}", where="cell", remedy=f"There are: {known}")


def best_cell(view: ExperimentView) -> str:
    """The cell with the lowest mean FID at its runs' last measured checkpoint, under the first protocol."""
    scores: dict[str, list[float]] = {}
    for run in view.runs:
        evaluation = view.last_measured(run)
        if evaluation:
            values = evaluation.values["fid"]
            scores.setdefault(run.run.cell.name, []).append(sum(values) / len(values))
    if not scores:
        raise HarnessError("nothing was measured yet, so no cell is best", remedy="Run the experiment first.")
    return min(scores, key=lambda name: sum(scores[name]) / len(scores[name]))


def parse_seeds(text: str) -> frozenset[int]:
    """`0-4`, `0,2,5` or both mixed."""
    seeds: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise HarnessError(f"{text!r} is no range of seeds", where="--seeds", remedy="Write 0-4 or 0,2,5.")
        end = int(last) if dash else int(first)
        if end - int(first) > 100_000:
            raise HarnessError(f"{text!r} are too many seeds", where="--seeds")
        seeds.update(range(int(first), end + 1))
    return frozenset(seeds)


def _cell_with_levels(plan: Plan, text: str) -> str | None:
    """The one cell with exactly these levels and the baseline's elsewhere."""
    levels = dict(part.strip().split("=", 1) for part in _split_levels(text))
    unknown = next((name for name in levels if not fields_of(name)), None)
    if unknown:
        raise HarnessError(f"{unknown!r} is no factor", where="cell", remedy="`harness factors` lists them.")
    baseline = {name: canonical_level(value) for name, value in plan.experiment.baseline.model_dump().items()}
    wanted = baseline | as_fields(levels)
    for cell in plan.cells:
        have = {name: canonical_level(value) for name, value in cell.hyperparameters.model_dump().items()}
        if have == wanted:
            return cell.name
    return None


def _split_levels(text: str) -> list[str]:
    """Splits at commas that are followed by another `name=`, so that `betas=0.5,0.9` stays whole."""
    parts: list[str] = []
    for piece in text.split(","):
        if "=" in piece or not parts:
            parts.append(piece)
        else:
            parts[-1] += f",{piece}"
    return parts
