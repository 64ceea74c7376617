"""Writes a report: report.md and its other forms, figures, CSV files, and report.json, which says what all rests on.

Written by the parent process of `harness run` and by `harness report`; made anew each time, with equal bytes from
equal data. Only `notes/` is a person's, and is read but never written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from harness.errors import StoreError
from harness.report.album import Album
from harness.report.content import Content, gather
from harness.report.csv_files import comparison_csv, differences_csv, runs_csv
from harness.report.document import document
from harness.report.evidence import evidence
from harness.report.figures.fonts import figure_language
from harness.report.form import EVIDENCE, ReportForm
from harness.report.html import html_page
from harness.report.language import Language, language_named
from harness.report.latex import latex_tables
from harness.report.picture_texts import shown_runs
from harness.store import atomic
from harness.store.reading import read_bytes
from harness.tracking.integrity import require_intact
from harness.tracking.reader import ExperimentView

LIVE_PAGE = "live.html"
"""Of the run that goes on; it may lie with the report and is no part of it."""
TABLES = ("comparison.csv", "differences.csv", "runs.csv")
_OWN_FILE = re.compile(r"(?:(?:figures|tables)/)?\w[\w-]*\.(?:md|html|csv|tex|png|svg)")


def render_report(view: ExperimentView, output: Path, form: ReportForm | None = None) -> Path:
    """Writes the report of `view` into the folder `output`; returns the path of report.md.

    view: a snapshot where processes may be at work, so that all its files tell of one moment. Works at any stage, from
    no run at all to all complete. Files of an earlier report that this one does not have are removed. Raises
    EvidenceError where a file of a run is not what was committed, StoreError where `output` cannot be written or a note
    is not UTF-8.
    """
    require_intact(view)
    files, found = rendered_files(view, read_notes(output / "notes"), form or ReportForm())
    former = set(own_files(output))
    atomic.make_folder(output)
    for name, content in files.items():
        atomic.write_bytes(output / name, content)
    atomic.write_json(output / EVIDENCE, found)
    for name in former.difference(files, [EVIDENCE]):
        (output / name).unlink(missing_ok=True)
    return output / "report.md"


def rendered_files(
    view: ExperimentView, notes: dict[str, str], form: ReportForm
) -> tuple[dict[str, bytes], atomic.Json]:
    """Every file of a report but report.json, by its path, and what that says.

    notes: what a person wrote, by section.
    """
    language = language_named(form.language)
    content = gather(view, language, figure_language(language))
    album = Album(shown_runs(content), language)
    files = {"report.md": document(content, album, notes).encode()}
    for picture in album.pictures:
        files |= picture.files
    files |= _tables(content)
    if "latex" in form.formats:
        files |= latex_tables(content)
    if "html" in form.formats:
        shown = {picture.path: picture.content for picture in album.pictures}
        files["report.html"] = page_of(files["report.md"].decode(), shown, language, files)
    hashes = {name: atomic.sha256_of(files[name]) for name in sorted(files)}
    return files, {**evidence(content, album), "formats": list(form.formats), "files": hashes}


def page_of(text: str, pictures: Mapping[str, bytes], language: Language, names: Iterable[str]) -> bytes:
    """report.html of report.md's `text` and its PNG pictures by path; names: of all files of the report."""
    beside = {EVIDENCE, *(name for name in names if not name.startswith("figures/") and name != "report.html")}
    return html_page(text, pictures, language, sorted(beside)).encode()


def _tables(content: Content) -> dict[str, bytes]:
    return {
        "comparison.csv": comparison_csv(content).encode(),
        "differences.csv": differences_csv(content).encode(),
        "runs.csv": runs_csv(content).encode(),
    }


def read_notes(folder: Path) -> dict[str, str]:
    """What a person wrote, by note name."""
    notes = {}
    for path in sorted(folder.glob("*.md")) if folder.is_dir() else []:
        try:
            notes[path.stem] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise StoreError("not UTF-8 text", where=str(path), remedy="Save the note as UTF-8.") from None
    return notes


def strangers(output: Path, named: Collection[str]) -> list[str]:
    """Files in the report's folder that look like a report's own and are not among those `named`, by their path."""
    found = [path for folder in ("", "figures", "tables") for path in (output / folder).glob("*") if path.is_file()]
    paths = sorted(path.relative_to(output).as_posix() for path in found)
    return [path for path in paths if _OWN_FILE.fullmatch(path) and path != LIVE_PAGE and path not in named]


def own_files(output: Path) -> list[str]:
    """The files that the report standing in `output` says are its own, by their path in it; notes are a person's.

    report.json alone where it cannot be read: whatever else lies there is not known to be a report's.
    """
    try:
        named = json.loads(read_bytes(output / EVIDENCE))["files"]
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        named = {}
    return [EVIDENCE, *sorted(name for name in named if _OWN_FILE.fullmatch(name))]
