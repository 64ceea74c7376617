"""Writes a report: report.md and its other forms, figures, CSV files, and report.json, which says what all rests on.

Written by the parent process of `harness run` and by `harness report`; made anew each time, with equal bytes from
equal data. Only `notes/` is a person's, and is read but never written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from harness.report.album import Album
from harness.report.content import Content, gather
from harness.report.csv_files import comparison_csv, differences_csv, runs_csv
from harness.report.document import document
from harness.report.evidence import evidence
from harness.report.figures.fonts import figure_language
from harness.report.figures.garbage import seldom_collected
from harness.report.form import ReportForm
from harness.report.html import html_page
from harness.report.language import Language, language_named
from harness.report.latex import latex_tables
from harness.report.made_with import made_with
from harness.report.notes import read_notes
from harness.report.picture_texts import shown_runs
from harness.store import atomic
from harness.tracking.integrity import require_intact
from harness.tracking.reader import ExperimentView
from harness.tracking.report_files import EVIDENCE, NOTES, begin_report, end_report, own_files


def render_report(view: ExperimentView, output: Path, form: ReportForm | None = None) -> Path:
    """Writes the report of `view` into the folder `output`; returns the path of report.md.

    view: a snapshot where processes may be at work, so that all its files tell of one moment. Works at any stage, from
    no run at all to all complete. Files of an earlier report that this one does not have are removed. Raises
    EvidenceError where a file of a run is not what was committed, StoreError where `output` cannot be written or a note
    is not UTF-8.
    """
    require_intact(view)
    files, found = rendered_files(view, read_notes(output / NOTES), form or ReportForm())
    former = set(own_files(output))
    atomic.make_folder(output)
    begin_report(output, files)
    for name, content in files.items():
        atomic.write_bytes(output / name, content)
    atomic.write_json(output / EVIDENCE, found)
    for name in former.difference(files, [EVIDENCE]):
        (output / name).unlink(missing_ok=True)
    end_report(output)
    return output / "report.md"


@seldom_collected()
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
    files |= _tables(content)
    files |= album.files()
    if "latex" in form.formats:
        files |= latex_tables(content)
    if "html" in form.formats:
        shown = {picture.path: files[picture.path] for picture in album.pictures}
        files["report.html"] = page_of(files["report.md"].decode(), shown, language, files)
    hashes = {name: atomic.sha256_of(files[name]) for name in sorted(files)}
    return files, {
        **evidence(content, album),
        "made_with": made_with(),
        "formats": list(form.formats),
        "files": hashes,
    }


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
