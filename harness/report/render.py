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
from harness.report import captions, floors, prose, settings, tables
from harness.report.columns import Column, joined_title
from harness.report.content import Content, gather
from harness.report.csv_files import comparison_csv, runs_csv
from harness.report.evidence import evidence
from harness.report.markdown import code, counted, escape, fenced
from harness.report.modes import RULES, is_asked_for, mode_parts
from harness.report.pictures import IN_PANELS, Picture, Pictures, draw
from harness.report.problems import left_out, problems
from harness.report.standard_errors import errors_note
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
    "modes": "Mode collapse",
    "interpolations": "Latent interpolations",
    "problems": "What failed, diverged or is missing",
    "reproduce": "How to reproduce",
}
"""Sections, in order: `notes/<name>.md` -> the section's heading."""

_SETS = re.compile(r"(?:# --set [^\n]*\n)*")
"""The lines that the kept copy of an experiment file has before the file's own text."""
_OWN_FIGURE = re.compile(r"figures/[\w.-]+\.png")


@dataclass(frozen=True)
class GroupSection:
    """What the template shows of one protocol's columns, as Markdown. title: of the first, which has figures and a
    table of its own; others: tables of the further ones."""

    title: str
    titles: str
    source: str
    protocol: str
    fingerprint: str
    caveat: str
    comparison: str
    floor_note: str
    rank_note: str
    pooled_note: str
    note: str
    others: list[str]
    errors_note: str
    abouts: list[str]
    against_step_caption: str
    at_last_caption: str
    against_step: list[Picture]
    at_last: list[Picture]
    panels: list[Picture]
    panel_titles: str
    without_panels: str


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
    atomic.write_bytes(output / "comparison.csv", comparison_csv(content).encode())
    atomic.write_bytes(output / "runs.csv", runs_csv(content).encode())
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
    sections = {name: title for name, title in NOTES.items() if _is_asked_for(content, name)}
    text = environment.get_template("report.md.jinja").render(
        **_context(content, pictures),
        heading=sections,
        notes={name: notes.get(name, "").strip() for name in NOTES},
        stray_notes=[escape(name) for name in sorted(notes) if name not in sections],
    )
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def _context(content: Content, pictures: Pictures) -> dict[str, Any]:
    experiment, manifest = content.view.plan.experiment, content.view.manifest
    summary = [prose.extent(content), prose.interim(content)]
    summary += [prose.measured_summary(content, group[0]) for group in content.groups]
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
        "left_out": left_out(content),
        "groups": [_group_section(content, group, pictures) for group in content.groups],
        "pictures": pictures,
        "states_table": tables.states_table(content),
        "crossings_table": tables.crossings_table(content),
        "losses_shown": prose.losses_shown(content),
        "uncounted_losses": prose.uncounted_losses(content),
        "without_probabilities": prose.without_probabilities(content),
        "answers_shown": prose.answers_shown(content),
        "samples": counted(experiment.report.samples, "image"),
        "missing_samples": [escape(reason) for reason in pictures.missing_samples],
        "modes": mode_parts(content),
        "mode_rules": RULES,
        "classes_shown": prose.classes_shown(content, pictures.classes),
        "missing_classes": [escape(reason) for reason in pictures.missing_classes],
        "interpolations_shown": prose.interpolations_shown(content),
        "missing_interpolations": [escape(reason) for reason in pictures.missing_interpolations],
        "problems": problems(content, pictures.missing()),
        "experiment_file": experiment_file,
        "overrides": "".join(f" --set {shlex.quote(override)}" for override in overrides),
        "threads": manifest.threads if manifest else None,
    }


def _is_asked_for(content: Content, name: str) -> bool:
    """Whether the file asks for what the section shows."""
    match name:
        case "protocol" | "against-step":
            return bool(content.columns)
        case "modes":
            return is_asked_for(content)
        case "interpolations":
            return content.view.plan.experiment.report.interpolations is not None
        case _:
            return True


def _group_section(content: Content, columns: list[Column], pictures: Pictures) -> GroupSection:
    first, others = columns[0], columns[1:]
    in_panels = [column for column in others if column.metric in IN_PANELS]
    return GroupSection(
        title=escape(first.title),
        titles=escape(joined_title(columns)),
        source=escape(first.source),
        protocol=settings.protocol_table(content, columns),
        fingerprint=floors.fingerprint(first),
        caveat=caveat(first.block.settings, content.view.plan.experiment.data),
        comparison=tables.comparison_table(content, first),
        floor_note=floors.floor_note(content, columns),
        rank_note=floors.rank_note(content, columns),
        pooled_note=captions.pooled_note(columns),
        note=prose.seeds_note(content, first),
        others=tables.other_metrics_tables(content, others),
        errors_note=errors_note(content, columns),
        abouts=[
            f"{escape(of.title)} ({code(of.name)}): {escape(of.about)}." for of in (one.measures for one in columns)
        ],
        against_step_caption=captions.against_step_caption(content, first),
        at_last_caption=captions.at_last_caption(first),
        against_step=pictures.against_step.get(first.title, []),
        at_last=pictures.at_last.get(first.title, []),
        panels=pictures.panels.get(first.title, []),
        panel_titles=escape(joined_title(in_panels)) if in_panels else "",
        without_panels=captions.without_panels(content, in_panels),
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
