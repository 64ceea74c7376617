"""Writes a report: report.md, its figures, comparison.csv, runs.csv and report.json.

Written by the parent process of `harness run` and by `harness report`; made anew each time, with equal bytes from
equal data. Only `notes/` is a person's, and is read but never written.
"""

from __future__ import annotations

import re
from pathlib import Path

from harness.errors import DamagedFileError, StoreError
from harness.report.album import Album
from harness.report.content import gather
from harness.report.csv_files import comparison_csv, runs_csv
from harness.report.document import document
from harness.report.evidence import evidence
from harness.store import atomic
from harness.tracking.reader import ExperimentView

_OWN_FIGURE = re.compile(r"figures/[\w.-]+\.png")


def render_report(view: ExperimentView, output: Path) -> Path:
    """Writes the report of `view` into the folder `output`; returns the path of report.md.

    view: a snapshot where processes may be at work, so that all its files tell of one moment. Works at any stage, from
    no run at all to all complete. Figures of an earlier report that this one does not have
    are removed. Raises StoreError where `output` cannot be written or a note is not UTF-8.
    """
    content = gather(view)
    album = Album(view.plan.experiment.name)
    text = document(content, album, _read_notes(output / "notes"))
    former = _former_figures(output)
    atomic.make_folder(output)
    for picture in album.pictures:
        atomic.write_bytes(output / picture.path, picture.content)
    atomic.write_bytes(output / "comparison.csv", comparison_csv(content).encode())
    atomic.write_bytes(output / "runs.csv", runs_csv(content).encode())
    atomic.write_json(output / "report.json", evidence(content, album))
    atomic.write_bytes(output / "report.md", text.encode())
    for path in former - {picture.path for picture in album.pictures}:
        (output / path).unlink(missing_ok=True)
    return output / "report.md"


def _read_notes(folder: Path) -> dict[str, str]:
    """What a person wrote, by note name."""
    notes = {}
    for path in sorted(folder.glob("*.md")) if folder.is_dir() else []:
        try:
            notes[path.stem] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise StoreError("not UTF-8 text", where=str(path), remedy="Save the note as UTF-8.") from None
    return notes


def own_files(output: Path) -> list[str]:
    """The files of the report standing in `output`, by their path in it; notes are a person's."""
    return ["report.md", "comparison.csv", "runs.csv", "report.json", *sorted(_former_figures(output))]


def _former_figures(output: Path) -> set[str]:
    """The figures that the report standing in `output` says are its own."""
    try:
        pictures = atomic.read_json(output / "report.json").get("pictures", [])
    except (FileNotFoundError, DamagedFileError):
        return set()  # whatever lies there is not known to be a report's own
    paths = (picture["path"] for picture in pictures)
    return {path for path in paths if _OWN_FIGURE.fullmatch(path)}
