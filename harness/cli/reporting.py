"""Whether a report is there and says what the runs say; and writing it."""

from __future__ import annotations

from pathlib import Path

from harness import __version__
from harness.errors import DamagedFileError
from harness.store import atomic
from harness.tracking.reader import ExperimentView


def report_is_current(view: ExperimentView, output: Path) -> bool:
    """Whether the report in `output` was made from exactly what the runs hold now. Without pandas."""
    try:
        noted = atomic.read_json(_note(view))
    except (FileNotFoundError, DamagedFileError):
        return False
    return (output / "report.md").exists() and noted.get(str(output.absolute())) == _fingerprint(view, output)


def write_report(view: ExperimentView, output: Path) -> Path:
    """Writes the report and notes what it was made from; returns the path of report.md."""
    from harness.report.render import render_report

    path = render_report(view, output)
    try:
        noted = atomic.read_json(_note(view))
    except (FileNotFoundError, DamagedFileError):
        noted = {}
    view.directory.root.mkdir(parents=True, exist_ok=True)
    atomic.write_json(_note(view), {**noted, str(output.absolute()): _fingerprint(view, output)})
    return path


def _fingerprint(view: ExperimentView, output: Path) -> str:
    notes = sorted((output / "notes").glob("*.md")) if (output / "notes").is_dir() else []
    document = {
        "harness": __version__,
        "view": view.fingerprint(),
        "notes": [[path.name, atomic.sha256_of(path.read_bytes())] for path in notes],
    }
    return atomic.sha256_of(atomic.canonical_json(document))


def _note(view: ExperimentView) -> Path:
    return view.directory.reports
