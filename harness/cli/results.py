"""Commands that look at results: status, sync."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.console import columns, say, show, show_json
from harness.cli.documents import last_value, status_document
from harness.cli.explain import explain_text
from harness.cli.explanation import explanation_document, explanations
from harness.cli.jobs import ShownJob, with_jobs
from harness.cli.options import REPORTS, RUNS, File, Json, RunsDir, Sets, TrackingUri, open_file, view_of
from harness.cli.reporting import current_report
from harness.design.metrics import METRICS
from harness.errors import HarnessError
from harness.store.left_behind import BRING_STATES
from harness.store.rundir import ExperimentDirectory
from harness.tracking.network_files import why_no_default_store
from harness.tracking.reader import ExperimentView, RunView

_STATELESS = f"unpacked without its state, so that it cannot go on here; use {BRING_STATES}"


def status(
    file: File,
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: Json = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show what each run's key is made of, its attempts, and what changed.")
    ] = False,
) -> None:
    """One row per run: state, step, last FID, attempts, log."""
    view = view_of(open_file(file, sets), runs_dir)
    note_absence(view.directory)
    view, jobs = with_jobs(view)
    found = explanations(view) if explain else []
    if as_json:
        document = status_document(view, jobs)
        for entry, explanation in zip(document["runs"], found, strict=False):
            entry["explain"] = explanation_document(explanation)
        show_json(document)
        return
    show(status_text(view, jobs))
    if found:
        show(f"\n{explain_text(found)}")


def status_text(view: ExperimentView, jobs: Mapping[str, ShownJob] | None = None) -> str:
    """jobs: by key, of runs that are or were in the hands of one; without any, there is no column for them."""
    metric = _shown_metric(view)
    title = METRICS[metric].title
    column = f"{title} ({view.blocks[0].title})" if view.blocks else title
    rows = [["cell", "seed", "state", "step", column, "attempts", *(["job"] if jobs else []), "log"]]
    for run in view.runs:
        value = last_value(view, run, metric)
        rows.append(
            [
                run.run.cell.name,
                str(run.run.seed),
                run.status.state,
                f"{run.status.step}/{run.run.cell.training.steps}",
                "" if value is None else f"{value:.4g}",
                str(len(run.status.attempts)),
                *([jobs[run.run.key].text if run.run.key in jobs else ""] if jobs else []),
                _relative(run.directory.log) if run.directory else "",
            ]
        )
    reasons = [f"{run.run.name}: {run.status.reason}" for run in view.runs if run.status.reason]
    reasons += [f"{run.run.name}: {_STATELESS}" for run in view.runs if _is_stuck(run)]
    return "\n".join([columns(rows, right=frozenset({3, 4, 5})), *reasons])


def _is_stuck(run: RunView) -> bool:
    """Whether a run that was brought here is not done and cannot go on."""
    return run.status.is_stateless and run.status.step < run.run.cell.training.steps


def _shown_metric(view: ExperimentView) -> str:
    """FID where the first evaluation measures it, else that evaluation's first metric."""
    metrics = view.blocks[0].settings.metrics if view.blocks else ("fid",)
    return "fid" if "fid" in metrics else metrics[0]


def sync(
    file: File,
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: Json = False,
    tracking_uri: TrackingUri = None,
) -> None:
    """Project what the runs hold into MLflow; nothing else."""
    if tracking_uri == "none":
        raise HarnessError("there is nothing to sync into", where="--tracking-uri none")
    if reason := why_no_default_store(tracking_uri, runs_dir):
        raise HarnessError(
            f"the default store is left out: {reason}",
            where="--tracking-uri",
            remedy="Name a server, or a file on a local disk: --tracking-uri sqlite:////LOCAL/mlflow.db",
        )
    from harness.tracking.projection import project_and_finish
    from harness.tracking.stores import resolve_address

    opened = open_file(file, sets)
    view = view_of(opened, runs_dir)
    if not view.directory.root.is_dir():
        raise HarnessError(
            "there is nothing to sync",
            where=str(view.directory.root),
            remedy="Start where runs/ lies, or use --runs-dir.",
        )
    address = resolve_address(tracking_uri, runs_dir)
    output = REPORTS / opened.experiment.name
    report = current_report(view, output)
    if report is None and (output / "report.md").exists():
        say(f"left out: {output}: not the report of these runs as they are now; `harness report FILE` writes it")
    projected = project_and_finish(view, address, report)
    unread = {run.run.name: run.status.reason for run in view.runs if run.directory and not run.status.is_readable}
    left_out = unread | {name: str(error) for name, error in projected.refused.items()}
    for name, reason in left_out.items():
        say(f"left out: {name}: {reason}")
    if as_json:
        show_json({"experiment": opened.experiment.name, "runs": projected.runs, "points": projected.points})
    else:
        say(f"{projected.runs} runs are in MLflow; {projected.points} points were new")
    if left_out:
        raise typer.Exit(1)


def note_absence(directory: ExperimentDirectory) -> None:
    """Runs are looked for under the current folder; who starts elsewhere is told."""
    if not directory.root.is_dir():
        say(f"note: no runs at {directory.root}; if there should be, start where runs/ lies or use --runs-dir")


def _relative(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
