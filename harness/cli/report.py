"""The command that writes a report, and checks a finished one again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.console import say, show_json
from harness.cli.options import REPORTS, RUNS, Json, RunsDir, Sets, TrackingUri, open_file
from harness.cli.report_hints import report_hints
from harness.cli.reporting import write_report
from harness.cli.results import note_absence
from harness.cli.verification import show_verification
from harness.design.experiment_file import ExperimentFile
from harness.errors import HarnessError
from harness.report.form import form_named
from harness.store.looks import Looks
from harness.store.rundir import ExperimentDirectory, experiment_directory

if TYPE_CHECKING:
    from harness.report.verify import Verification

ReportFile = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="The experiment file (TOML); --verify also works without.", show_default=False),
]


def report(
    context: typer.Context,
    file: ReportFile = None,
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: Json = False,
    output: Annotated[
        Path | None, typer.Option("--output", help="Folder of the report; default: reports/NAME.")
    ] = None,
    formats: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="md,html,latex", help="Forms of the report; default: all. md is always there."
        ),
    ] = None,
    language: Annotated[str, typer.Option("--language", metavar="en|zh", help="Language of the text.")] = "en",
    source: Annotated[
        str, typer.Option("--source", metavar="runs|mlflow", help="Where the runs are read from.")
    ] = "runs",
    tracking_uri: TrackingUri = None,
    verify: Annotated[
        Path | None,
        typer.Option(
            "--verify",
            metavar="DIR",
            help="Write nothing; check the report in DIR against its own hashes and the runs. Exit 0 if all holds.",
        ),
    ] = None,
) -> None:
    """Write the report from what the runs hold now, or check a finished one again with --verify."""
    form = form_named(formats, language)
    if source not in ("runs", "mlflow"):
        raise HarnessError(f"{source!r} holds no runs; allowed: runs, mlflow", where="--source")
    if source == "mlflow" and tracking_uri == "none":
        raise HarnessError("there is no store to read from", where="--tracking-uri none")
    if verify is not None:
        told = context.get_parameter_source("runs_dir")
        needs_runs = file is not None or (told is not None and told.name != "DEFAULT")
        found = _verification(verify, file, sets, (runs_dir, source, tracking_uri), needs_runs)
        show_verification(found, verify, as_json)
        return
    if file is None:
        raise HarnessError(
            "FILE is missing", where="harness report", remedy="Name the experiment file, or use --verify."
        )
    opened = open_file(file, sets)
    with _runs(opened, runs_dir, source, tracking_uri) as directory:
        path = write_report(opened.plan, directory, output or REPORTS / opened.experiment.name, form)
    if as_json:
        show_json({"experiment": opened.experiment.name, "report": str(path)})
    else:
        say(f"report: {path}")
        for hint in report_hints(opened.experiment, path.parent):
            say(hint)


@contextmanager
def _runs(file: ExperimentFile, runs_dir: Path, source: str, tracking_uri: str | None) -> Iterator[ExperimentDirectory]:
    """The runs of `file`: their own directories, or a copy of what the store keeps of them, without weights."""
    if source == "runs":
        directory = experiment_directory(runs_dir, file.experiment.name, looks=Looks())
        note_absence(directory)
        yield directory
        return
    from harness.tracking.download import downloaded
    from harness.tracking.stores import resolve_address

    meant = experiment_directory(runs_dir, file.experiment.name)
    with downloaded(file.plan, resolve_address(tracking_uri, runs_dir), meant) as folder:
        yield experiment_directory(folder, file.experiment.name, has_weights=False)


def _verification(
    output: Path, file: Path | None, sets: list[str] | None, place: tuple[Path, str, str | None], needs_runs: bool
) -> Verification:
    """place: runs folder, source and tracking address; needs_runs: whether it is a fault that no runs lie there."""
    from harness.report.verify import experiment_of, verify_report
    from harness.tracking.snapshot import read_snapshot

    runs_dir, source, tracking_uri = place
    name = experiment_of(output)
    if file is None:
        if source == "mlflow":
            raise HarnessError(
                "without FILE it is not known which runs to ask the store for",
                where="--source mlflow",
                remedy="Name the experiment file too.",
            )
        return verify_report(output, experiment_directory(runs_dir, name), None, needs_runs=needs_runs)
    opened = open_file(file, sets)
    if opened.experiment.name != name:
        raise HarnessError(f"the report is of {name!r}, FILE is {opened.experiment.name!r}", where=str(output))
    with _runs(opened, runs_dir, source, tracking_uri) as directory:
        snapshot = read_snapshot(opened.plan, directory.root.parent, directory.looks)
        return verify_report(output, directory, snapshot, needs_runs=needs_runs)
