"""Commands that take results from one machine to another: pack and unpack."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import typer

from harness import __version__
from harness.cli.console import say, show, show_json
from harness.cli.options import REPORTS, RUNS, File, Json, RunsDir, Sets, open_file, view_of
from harness.cli.reporting import current_report
from harness.design.experiment_file import ExperimentFile
from harness.errors import DamagedFileError, HarnessError
from harness.execution.interruption import Interruption
from harness.store import atomic
from harness.store.commits import newest_commit
from harness.store.landing import Unpacked
from harness.store.left_behind import BRING_STATES, left_behind
from harness.store.pack_layout import REPORTS as PACKED_REPORTS
from harness.store.pack_manifest import PackManifest
from harness.store.pack_reading import opened_pack
from harness.store.packing import Contents, Packed, ReportToPack, RunToPack
from harness.store.packing import pack as write_pack
from harness.store.rundir import ExperimentDirectory, RunDirectory, experiment_directory
from harness.store.unpacking import unpack as unpack_into
from harness.tracking.reader import ExperimentView
from harness.tracking.report_files import EVIDENCE, NOTES, own_files

_MOST_NAMED = 5


def pack(
    file: File,
    sets: Sets = None,
    runs_dir: RunsDir = RUNS,
    as_json: Json = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The zip file to write.", show_default="NAME.zip")
    ] = None,
    with_states: Annotated[
        bool, typer.Option("--with-states", help="Add the newest states, so that runs can be trained further there.")
    ] = False,
    no_checkpoints: Annotated[
        bool, typer.Option("--no-checkpoints", help="Leave the generators out: no sample, no further evaluation there.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a zip that is there.")] = False,
) -> None:
    """Write runs and report into one zip file, to go on with them on another machine."""
    if with_states and no_checkpoints:
        raise HarnessError("a run is trained further only with its checkpoints", where="--with-states --no-checkpoints")
    opened = open_file(file, sets)
    target = output or Path(f"{opened.experiment.name}.zip")
    if target.exists() and not force:
        raise HarnessError("lies there already", where=str(target), remedy="Name another with -o, or add --force.")
    if not target.parent.is_dir():
        raise HarnessError("there is no such folder", where=str(target.parent), remedy="Make it, or name another.")
    view = view_of(opened, runs_dir)
    contents = _contents(opened, view, states=with_states, checkpoints=not no_checkpoints)
    with Interruption() as interruption, interruption.at_once():
        packed = write_pack(target, contents)
    for note in [*_notes_on_pack(view, packed, with_states=with_states), *_notes_on_files(opened, view, contents)]:
        say(note)
    if as_json:
        show_json(
            {
                "experiment": opened.experiment.name,
                "file": str(target),
                "bytes": packed.size,
                "sha256": packed.sha256,
                "files": packed.files,
                "runs": packed.runs,
                "left_out": packed.refused,
                "in_work": packed.busy,
                "stateless": packed.stateless,
                "report": contents.report is not None,
            }
        )
    else:
        show(f"{target}: {len(packed.runs)} runs, {_megabytes(packed.size)}, SHA-256 {packed.sha256}")
    raise typer.Exit(1 if packed.refused else 0)


def unpack(
    file: Annotated[Path, typer.Argument(metavar="ZIP", help="What `harness pack` wrote.", show_default=False)],
    runs_dir: RunsDir = RUNS,
    as_json: Json = False,
) -> None:
    """Bring runs and report out of a zip of `harness pack`, as if they had been made here."""
    with Interruption() as interruption, interruption.at_once(), opened_pack(file) as opened:
        manifest = opened.manifest
        output = REPORTS / manifest.experiment
        done = unpack_into(opened, runs_dir, output)
    directory = experiment_directory(runs_dir, manifest.experiment)
    for note in _notes_on_unpacking(manifest, done, directory, output):
        say(note)
    if as_json:
        show_json(
            {
                "experiment": manifest.experiment,
                "file": str(directory.file_copy),
                "landed": done.landed,
                "replaced": done.replaced,
                "completed": done.completed,
                "same": done.same,
                "kept": done.kept,
                "in_work": done.busy,
                "report": str(output) if done.report else None,
                "packed_with": manifest.made_with,
                "machines": manifest.machines,
            }
        )
    else:
        show(_outcome(manifest, done))
    raise typer.Exit(1 if done.busy else 0)


def _contents(file: ExperimentFile, view: ExperimentView, *, states: bool, checkpoints: bool) -> Contents:
    directory, name = view.directory, file.experiment.name
    runs = tuple(
        RunToPack(
            run.directory, run.run.key, run.run.cell.name, run.run.seed, run.status.state, run.run.cell.training.steps
        )
        for run in view.runs
        if run.directory is not None
    )
    if not runs:
        raise HarnessError(
            "there is nothing to pack", where=str(directory.root), remedy="Start where runs/ lies, or use --runs-dir."
        )
    return Contents(
        name=name,
        directory=directory,
        runs=runs,
        own=file.plan.sources,
        made_with={"harness": __version__, "python": platform.python_version(), "torch": _version("torch")},
        report=_report(view, REPORTS / name),
        states=states,
        checkpoints=checkpoints,
    )


def _report(view: ExperimentView, output: Path) -> ReportToPack | None:
    if not (output / EVIDENCE).is_file():
        return None
    notes = sorted(f"{NOTES}/{path.name}" for path in (output / NOTES).glob("*.md") if path.name[0] != ".")
    noted = _noted(view.directory).get(str(output.absolute()))
    return ReportToPack(output, (*own_files(output), *notes), noted if isinstance(noted, dict) else None)


def _noted(directory: ExperimentDirectory) -> dict[str, Any]:
    try:
        return atomic.read_json(directory.reports)
    except (FileNotFoundError, DamagedFileError):
        return {}


def _notes_on_pack(view: ExperimentView, packed: Packed, *, with_states: bool) -> list[str]:
    notes = [f"left out: {folder}: {reason}" for folder, reason in packed.refused.items()]
    if packed.busy:
        notes.append(f"a process works on {_named(packed.busy)}: packed as committed until now; pack again at the end")
    if packed.stateless:
        remedy = "their states are not here" if with_states else "with --with-states they can"
        notes.append(f"not at the last step, so that they cannot go on elsewhere: {_named(packed.stateless)}; {remedy}")
    begun = {run.directory.root.name[-8:] for run in view.runs if run.directory}
    if absent := sum(run.directory is None for run in view.runs):
        notes.append(f"{absent} runs of the file have not begun and are not in it")
    if others := len(view.directory.runs().keys() - begun):
        notes.append(f"{others} run folders that the file does not name are not in it")
    return notes


def _notes_on_files(file: ExperimentFile, view: ExperimentView, contents: Contents) -> list[str]:
    notes = []
    used = view.directory.file_copy.read_text(encoding="utf-8")
    if "".join(line for line in used.splitlines(keepends=True) if not line.startswith("# --set ")) != file.text:
        notes.append(f"{file.path} was edited since it was run: the zip holds it as the runs used it")
    if contents.report is None:
        notes.append("no report lies here: none is in it")
    elif current_report(view, contents.report.output) is None:
        notes.append(f"{contents.report.output} is not the report of the runs as they are now; it goes along as it is")
    return notes


def _notes_on_unpacking(
    manifest: PackManifest, done: Unpacked, directory: ExperimentDirectory, output: Path
) -> list[str]:
    notes = [f"kept as it is here: {folder}: {why}" for folder, why in done.kept.items()]
    if done.busy:
        notes.append(f"a process works on {_named(done.busy)}: not touched; unpack again at its end")
    here = directory.runs()
    away = [run.folder for run in manifest.runs if run.step < run.steps and _is_stateless(here.get(run.key[:8]))]
    if away:
        notes.append(f"without their states, so that they cannot go on here: {_named(away)}; use {BRING_STATES}")
    if any(name.startswith(f"{PACKED_REPORTS}/") for name in manifest.files) and not done.report:
        notes.append(f"{output} holds another report, and stays; `harness report FILE` makes it anew")
    for own, place in manifest.own_files.items():
        if not Path(own).is_file():
            copy = directory.root.joinpath(*place.split("/")[2:])
            notes.append(f"the experiment file names {own}, which is not here; a copy lies at {copy}")
    notes.append(f"the experiment file as it was used: {directory.file_copy}; next: harness status FILE")
    return notes


def _is_stateless(run: RunDirectory | None) -> bool:
    """Whether the run stands at a commit whose state was left elsewhere."""
    commit = newest_commit(run) if run else None
    return run is not None and commit is not None and left_behind(run, commit) is not None


def _outcome(manifest: PackManifest, done: Unpacked) -> str:
    counts = {
        "new": len(done.landed),
        "replaced": len(done.replaced),
        "completed": len(done.completed),
        "here already": len(done.same),
        "kept as they were": len(done.kept),
        "in work": len(done.busy),
    }
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"{manifest.experiment}: {len(manifest.runs)} runs: {told or 'none'}" + ("; report" if done.report else "")


def _named(folders: list[str]) -> str:
    more = f" and {len(folders) - _MOST_NAMED} more" if len(folders) > _MOST_NAMED else ""
    return ", ".join(folders[:_MOST_NAMED]) + more


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
