"""Whether a report is there and says what the runs say; and writing it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from harness import __version__
from harness.design.expansion import Plan
from harness.errors import DamagedFileError, HarnessError, StoreError
from harness.report.form import FORMATS, ReportForm
from harness.report.language import language_named
from harness.report.made_with import made_with
from harness.store import atomic
from harness.store.locks import WAIT_FOR_EVER, held
from harness.store.manifest import read_experiment_manifest
from harness.store.pictures import PICTURE_KINDS
from harness.store.presence import require_experiment_folder
from harness.store.real_images import asked_real_images
from harness.store.rundir import ExperimentDirectory
from harness.tracking.reader import ExperimentView, read_experiment
from harness.tracking.report_files import BEGUN, EVIDENCE, LOCK, NOTES, own_files
from harness.tracking.snapshot import read_snapshot

WHOLE = ReportForm()
"""What `harness run` writes: English, in every form."""


def report_is_current(view: ExperimentView, output: Path, form: ReportForm = WHOLE) -> bool:
    """Whether the report in `output` was made from exactly what the runs hold now, in this form, and is as it was
    written.

    A file of it that was changed, damaged or removed makes it outdated: a person's own words belong into `notes/`.
    Without pandas.
    """
    view = _without_weights(view)
    noted = _noted(view).get(str(output.absolute()))
    if not isinstance(noted, dict) or noted["made_from"] != _fingerprint(view, output, form):
        return False
    try:
        return all(atomic.file_sha256(output / name) == digest for name, digest in noted["files"].items())
    except (OSError, StoreError):
        return False


def current_report(view: ExperimentView, output: Path) -> Path | None:
    """`output` where a report lies there that is current in the form that it was written in."""
    try:
        document = atomic.read_json(output / EVIDENCE)
        formats = tuple(name for name in FORMATS if name in document["formats"])
        form = ReportForm(language_named(str(document["language"])).code, formats)
    except (FileNotFoundError, HarnessError, KeyError, TypeError):
        return None
    return output if report_is_current(view, output, form) else None


def write_report(plan: Plan, directory: ExperimentDirectory, output: Path, form: ReportForm = WHOLE) -> Path:
    """Writes the report of one moment and notes what it was made from; returns the path of report.md.

    directory: of the plan's runs. Processes that write into one folder do so one after the other.
    EvidenceError where a file of a run is not what was committed; the report that was there stays.
    """
    from harness.report.figures.garbage import seldom_collected
    from harness.report.render import render_report

    with suppress(DamagedFileError):
        read_experiment_manifest(directory)  # what cannot be read at all is told before anything is made
    directory.runs()
    atomic.make_folder(output)
    with held(output / LOCK, timeout_s=WAIT_FOR_EVER), seldom_collected():
        snapshot = read_snapshot(plan, directory.root.parent, directory.looks)
        made_from = _fingerprint(snapshot, output, form)  # before rendering: what changes meanwhile makes it outdated
        for name in (*own_files(output), BEGUN):
            atomic.remove_leftovers(output / name)
        path = render_report(snapshot, output, form)
        files = {name: atomic.file_sha256(output / name) for name in own_files(output)}
        _note(snapshot, output, {"made_from": made_from, "files": files})
    return path


def _fingerprint(view: ExperimentView, output: Path, form: ReportForm) -> str:
    """A hash of all that the report in `output` is made from, and of what makes it."""
    notes = sorted((output / NOTES).glob("*.md"))
    document = {
        "harness": __version__,
        "made_with": made_with(),
        "form": [form.language, *form.formats],
        "view": view.fingerprint(),
        "notes": [[path.name, _sha256(path)] for path in notes],
        "experiment_file": _sha256(view.directory.file_copy),
        "pictures": [_sha256(path) for path in _pictures(view)],
    }
    return atomic.sha256_of(atomic.canonical_json(document))


def _without_weights(view: ExperimentView) -> ExperimentView:
    """`view` as `read_snapshot` sees it: for a report, files of weights that are gone change no run's state."""
    if not any(run.status.damage or run.status.missing for run in view.runs):
        return view
    directory = view.directory
    return read_experiment(view.plan, directory.root.parent, has_weights=False, looks=directory.looks)


def _pictures(view: ExperimentView) -> Iterator[Path]:
    """What workers drew and noted: of each run and each of its checkpoints, and real images."""
    for grid in asked_real_images(view.plan, view.manifest):
        yield view.directory.real_images(grid.resolution)
    for run in view.runs:
        directory = run.directory
        if directory is None:
            continue
        yield directory.networks
        for step in run.checkpoints():
            yield directory.samples(step)
            yield from (directory.picture(step, kind) for kind in PICTURE_KINDS)


def _sha256(path: Path) -> str | None:
    """None where the file is missing or cannot be read, which the report says."""
    try:
        return atomic.file_sha256(path)
    except (OSError, StoreError):
        return None


def _note(view: ExperimentView, output: Path, entry: atomic.Json) -> None:
    """Notes it beside the runs. Where nobody may write there, it is made again whenever it is asked for."""
    with suppress(StoreError):
        require_experiment_folder(view.directory)  # a lock makes its folder, and one that was moved must not come back
        with held(view.directory.reports.with_suffix(".lock"), timeout_s=WAIT_FOR_EVER):
            atomic.write_json(view.directory.reports, {**_noted(view), str(output.absolute()): entry})


def _noted(view: ExperimentView) -> atomic.Json:
    """What is noted of each report, by its folder."""
    try:
        return atomic.read_json(view.directory.reports)
    except (FileNotFoundError, DamagedFileError):
        return {}
