"""The report's text: which sections it has, in which order, with a person's notes set in."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from harness import __version__
from harness.design.report_settings import SectionName
from harness.report import modes as class_tables
from harness.report.album import Album
from harness.report.content import Content
from harness.report.heading import dates, title
from harness.report.letters import letters_note
from harness.report.markdown import escape
from harness.report.numbering import numbering
from harness.report.sections import (
    against_step,
    comparison,
    cost,
    diagnosis,
    dynamics,
    effects,
    equilibrium,
    interpolations,
    loss_crossings,
    modes,
    probabilities,
    problems,
    progress,
    protocol,
    reproduce,
    samples,
    settings,
    side_by_side,
    summary,
)
from harness.report.templating import rendered
from harness.report.typography import in_chinese, unbroken


def _always(content: Content) -> bool:
    return True


def _measures(content: Content) -> bool:
    return bool(content.columns)


def _interpolates(content: Content) -> bool:
    return content.view.plan.experiment.report.interpolations is not None


@dataclass(frozen=True)
class Section:
    """name: of its note, `notes/NAME.md`, and in the file's `[report] sections`; title: its heading in English.

    is_asked_for: whether the file asks for what it shows; body: its Markdown, whose pictures go into the album.
    """

    name: SectionName
    title: str
    body: Callable[[Content, Album], str]
    is_asked_for: Callable[[Content], bool] = _always


SECTIONS = (
    Section("summary", "Summary", summary.body),
    Section("comparison", "Comparison of cells", comparison.body),
    Section("samples", "Sample grids", samples.body),
    Section("progress", "Progress strips", progress.body),
    Section("side-by-side", "Side by side", side_by_side.body, side_by_side.is_asked_for),
    Section("modes", "Mode collapse", modes.body, class_tables.is_asked_for),
    Section("interpolations", "Latent interpolations", interpolations.body, _interpolates),
    Section("effects", "Effects of the factors", effects.body, _measures),
    Section("against-step", "Against the step", against_step.body, _measures),
    Section("loss-crossings", "Losses of G and D", loss_crossings.body),
    Section("probabilities", "D(x) and D(G(z))", probabilities.body),
    Section("equilibrium", "Equilibrium", equilibrium.body),
    Section("dynamics", "Training dynamics", dynamics.body),
    Section("diagnosis", "Diagnosis", diagnosis.body),
    Section("cost", "Cost", cost.body),
    Section("problems", "What failed, diverged or is missing", problems.body),
    Section("settings", "Settings", settings.body),
    Section("protocol", "Protocol", protocol.body, _measures),
    Section("reproduce", "How to reproduce", reproduce.body),
)
"""Every section, in the order of a report whose file names none: that of `design.report_settings.SectionName`."""


class WrittenSection(NamedTuple):
    heading: str
    body: str
    note: str


def document(content: Content, album: Album, notes: Mapping[str, str]) -> str:
    """report.md's text; draws its pictures into `album`. notes: what a person wrote, by section."""
    shown = _shown(content)
    in_turn = sorted(shown, key=lambda section: section.name == "problems")  # it tells what others lack
    bodies = {section.name: section.body(content, album) for section in in_turn}
    say, names, numbers = content.language.say, [section.name for section in shown], numbering(content, album.pictures)
    typeset = in_chinese if content.language.code == "zh" else unbroken
    text = rendered(
        "report.md.jinja",
        content.language,
        title=title(content),
        dates=dates(content),
        version=__version__,
        letters_note=letters_note(content),
        sections=[
            WrittenSection(
                say(section.title),
                typeset(numbers.numbered(bodies[section.name], say(section.title))),
                notes.get(section.name, "").strip(),
            )
            for section in shown
        ],
        stray_notes=content.language.listed(escape(name) for name in sorted(notes) if name not in names),
    )
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def _shown(content: Content) -> list[Section]:
    """The sections that the file names, in its order; else all that it asks for."""
    named = content.view.plan.experiment.report.sections
    if named is None:
        return [section for section in SECTIONS if section.is_asked_for(content)]
    by_name = {section.name: section for section in SECTIONS}
    return [by_name[name] for name in named]
