"""Arguments and options that several commands share, and how they turn into objects."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import fmean
from typing import Annotated

import typer

from harness.data.own_code import OwnCode, checked_code
from harness.design.cell_reference import cell_meant
from harness.design.expansion import Plan
from harness.design.experiment_file import ExperimentFile, read_experiment_file
from harness.design.metrics import METRICS
from harness.errors import HarnessError
from harness.store.looks import Looks
from harness.tracking.reader import ExperimentView, RunView, read_experiment

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

MAX_SEED_DIGITS = 10
MAX_SEEDS = 100_000
RUN_FIRST = "Run the experiment first: harness run FILE"


def open_file(path: Path, sets: list[str] | None) -> ExperimentFile:
    return read_experiment_file(path, tuple(sets or ()))


def view_of(file: ExperimentFile, runs_dir: Path, looks: Looks | None = None) -> ExperimentView:
    """looks: where the same files are looked at again afterwards."""
    return read_experiment(file.plan, runs_dir, looks=looks)


def own_code_of(plan: Plan) -> OwnCode:
    """The user's own files as the plan read them, imported: where nothing is trained, no copy is kept."""
    return checked_code(plan)


def chosen_keys(view: ExperimentView, only: list[str] | None, seeds: str | None) -> frozenset[str]:
    """Keys of the runs that `--only` and `--seeds` leave; HarnessError where a cell or seed is unknown."""
    names = {find_cell(view, text, "--only") for text in only} if only else {cell.name for cell in view.plan.cells}
    wanted = None if seeds is None else parse_seeds(seeds)
    keys = frozenset(
        run.key for run in view.plan.runs if run.cell.name in names and (wanted is None or run.seed in wanted)
    )
    if not keys:
        known = sorted({run.seed for run in view.plan.runs if run.cell.name in names})
        raise HarnessError(f"no run has these seeds; the file names {known}", where=f"--seeds {seeds}")
    return keys


def find_cell(view: ExperimentView, text: str, option: str = "cell") -> str:
    """The name of the cell that `text` means: a name, a label, a list of levels, or `best`.

    option: what the person wrote `text` behind, for the HarnessError where no cell is meant.
    """
    where = f"{option} {text}".rstrip()
    return best_cell(view, where) if text == "best" else cell_meant(view.plan, text, where).name


def best_cell(view: ExperimentView, where: str = "best") -> str:
    """The cell with the best mean of the first `[[evaluation]]`'s first metric at the last checkpoint measured.

    Only cells whose runs are all complete take part, and only under one protocol do they compare; else HarnessError.
    """
    if not view.blocks:
        raise HarnessError("the file has no [[evaluation]], so no cell is best", where=where)
    runs: dict[str, list[RunView]] = {}
    for run in view.runs:
        runs.setdefault(run.run.cell.name, []).append(run)
    complete = {name: rows for name, rows in runs.items() if all(run.status.state == "complete" for run in rows)}
    if not complete:
        if not any(view.last_measured(run) for run in view.runs):
            raise HarnessError("nothing was measured yet, so no cell is best", where=where, remedy=RUN_FIRST)
        raise HarnessError("no cell has all of its runs complete, so none is best", where=where, remedy=RUN_FIRST)
    protocols = {run.protocols[0] for rows in complete.values() for run in rows}
    if None in protocols:
        raise HarnessError("the first [[evaluation]] was left out, so no cell is best", where=where)
    if len(protocols) > 1:
        raise HarnessError(
            "the cells were measured under different protocols, so their values do not compare and none is best",
            where=where,
            remedy='In generator_mode = "train" the batch size is part of the protocol. Name the cell that you mean.',
        )
    metric = METRICS[view.blocks[0].settings.metrics[0]]
    if metric.better == "neither":
        raise HarnessError(
            f"{metric.name} has no better or worse, so no cell is best",
            where=where,
            remedy="Put another metric first in the first [[evaluation]], or name the cell that you mean.",
        )
    scores = {name: fmean(_score(view, run) for run in rows) for name, rows in complete.items()}
    known = {name: score for name, score in scores.items() if not math.isnan(score)}
    if not known:
        raise HarnessError("nothing was measured yet, so no cell is best", where=where, remedy=RUN_FIRST)
    return (min if metric.better == "lower" else max)(known, key=lambda name: known[name])


def _score(view: ExperimentView, run: RunView) -> float:
    """Mean over the repeats that the file asks for; nan where the evaluation went away since the run was read."""
    settings = view.blocks[0].settings
    evaluation = view.last_measured(run)
    values = evaluation.series(settings.metrics[0], settings.repeats) if evaluation else []
    return fmean(values) if values else math.nan


def parse_seeds(text: str) -> frozenset[int]:
    """`0-4`, `0,2,5` or both mixed."""
    seeds: set[int] = set()
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        if not _is_seed(first) or (dash and not _is_seed(last)):
            shown = repr(text) if len(text) <= 60 else f"{text[:57]!r}..."
            raise HarnessError(f"{shown} is no range of seeds", where="--seeds", remedy="Write 0-4 or 0,2,5.")
        end = int(last) if dash else int(first)
        if end < int(first):
            raise HarnessError(f"{part.strip()!r} ends before it begins", where="--seeds", remedy="Write 0-4.")
        if end - int(first) >= MAX_SEEDS:
            raise HarnessError(f"{part.strip()!r} are too many seeds", where="--seeds")
        seeds.update(range(int(first), end + 1))
    return frozenset(seeds)


def _is_seed(text: str) -> bool:
    """Digits as `int` takes them, and no more than a seed may have."""
    return text.isascii() and text.isdigit() and len(text) <= MAX_SEED_DIGITS
