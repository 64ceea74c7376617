"""Writes a report: report.md, its figures, comparison.csv, runs.csv and report.json.

Written by the parent process of `harness run` and by `harness report`; made anew each time, with equal bytes from
equal data. Only `notes/` is a person's, and is read but never written.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness import __version__
from harness.errors import DamagedFileError, StoreError
from harness.evaluation.protocol import caveat
from harness.report import prose, settings, tables
from harness.report.content import Column, Content, gather
from harness.report.evidence import evidence
from harness.report.markdown import counted, escape, fenced
from harness.report.pictures import Picture, Pictures, draw
from harness.store import atomic
from harness.store.reading import read_bytes
from harness.tracking.reader import ExperimentView

NOTES = {
    "summary": "Summary",
    "settings": "Settings",
    "protocol": "Protocol",
    "comparison": "Comparison of cells",
    "against-step": "Against the step",
    "loss-crossings": "Loss crossings",
    "probabilities": "D(x) and D(G(z))",
    "samples": "Sample grids",
    "problems": "What failed, diverged or is missing",
    "reproduce": "How to reproduce",
}
"""Sections, in order: `notes/<name>.md` -> the section's heading."""
MEASURED = frozenset({"protocol", "against-step"})
"""Sections that a file without `[[evaluation]]` does not ask for."""

_SETS = re.compile(r"(?:# --set [^\n]*\n)*")
"""The lines that the kept copy of an experiment file has before the file's own text."""
_OWN_FIGURE = re.compile(r"figures/[\w.-]+\.png")


@dataclass(frozen=True)
class ColumnSection:
    """What the template shows of one column, as Markdown."""

    title: str
    protocol: str
    caveat: str
    comparison: str
    note: str
    against_step: list[Picture]
    at_last: list[Picture]


def render_report(view: ExperimentView, output: Path) -> Path:
    """Writes the report of `view` into the folder `output`; returns the path of report.md.

    view: a snapshot where processes may be at work, so that all its files tell of one moment. Works at any stage, from
    no run at all to all complete. Figures of an earlier report that this one does not have
    are removed. Raises StoreError where `output` cannot be written or a note is not UTF-8.
    """
    content = gather(view)
    pictures = draw(content)
    notes = _read_notes(output / "notes")
    document = _document(content, pictures, notes)
    former = _former_figures(output)
    atomic.make_folder(output)
    for picture in pictures.all():
        atomic.write_bytes(output / picture.path, picture.content)
    atomic.write_bytes(output / "comparison.csv", tables.comparison_csv(content).encode())
    atomic.write_bytes(output / "runs.csv", tables.runs_csv(content).encode())
    atomic.write_json(output / "report.json", evidence(content, pictures))
    atomic.write_bytes(output / "report.md", document.encode())
    for path in former - {picture.path for picture in pictures.all()}:
        (output / path).unlink(missing_ok=True)
    return output / "report.md"


def _document(content: Content, pictures: Pictures, notes: dict[str, str]) -> str:
    """report.md's text."""
    environment = Environment(
        loader=PackageLoader("harness.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # Markdown, escaped by `markdown.escape` where text is a person's
    )
    sections = {name: title for name, title in NOTES.items() if content.columns or name not in MEASURED}
    text = environment.get_template("report.md.jinja").render(
        **_context(content, pictures),
        heading=sections,
        notes={name: notes.get(name, "").strip() for name in NOTES},
        stray_notes=[escape(name) for name in sorted(notes) if name not in sections],
    )
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def _context(content: Content, pictures: Pictures) -> dict[str, Any]:
    experiment, manifest = content.view.plan.experiment, content.view.manifest
    columns = [_column_section(content, column, pictures) for column in content.columns]
    summary = [prose.extent(content), prose.interim(content)]
    summary += [prose.measured_summary(content, column) for column in content.columns]
    summary.append(prose.crossings_summary(content))
    experiment_file, overrides = _experiment_file(content)
    return {
        "name": escape(experiment.name),
        "version": __version__,
        "summary": [sentence for sentence in summary if sentence],
        "baseline_table": settings.baseline_table(content),
        "training_lines": settings.training_lines(content),
        "environment_note": settings.environment_note(content),
        "environment_table": settings.environment_table(content),
        "left_out": prose.left_out(content),
        "columns": columns,
        "pictures": pictures,
        "states_table": tables.states_table(content),
        "crossings_table": tables.crossings_table(content),
        "losses_shown": prose.losses_shown(content),
        "uncounted_losses": prose.uncounted_losses(content),
        "without_probabilities": prose.without_probabilities(content),
        "answers_shown": prose.answers_shown(content),
        "samples": counted(experiment.report.samples, "image"),
        "missing_samples": [escape(reason) for reason in pictures.missing_samples],
        "problems": prose.problems(content, pictures.missing_samples),
        "experiment_file": experiment_file,
        "overrides": "".join(f" --set {shlex.quote(override)}" for override in overrides),
        "threads": manifest.threads if manifest else None,
    }


def _column_section(content: Content, column: Column, pictures: Pictures) -> ColumnSection:
    return ColumnSection(
        title=escape(column.title),
        protocol=settings.protocol_table(content, column),
        caveat=caveat(column.block.settings, content.view.plan.experiment.data),
        comparison=tables.comparison_table(content, column),
        note=prose.seeds_note(content, column),
        against_step=pictures.against_step.get(column.title, []),
        at_last=pictures.at_last.get(column.title, []),
    )


def _experiment_file(content: Content) -> tuple[str, list[str]]:
    """The experiment file as a fenced block, and what `--set` put over it; empty where there is no copy that is text.

    The next `harness run` that has something to do copies it again.
    """
    try:
        text = read_bytes(content.view.directory.file_copy).decode("utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return "", []
    found = _SETS.match(text)
    lines = found.group() if found else ""
    overrides = [line.removeprefix("# --set ") for line in lines.split("\n")[:-1]]
    return fenced(text[len(lines) :].replace("\r\n", "\n"), "toml"), overrides


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
