"""Training dynamics: numbers of every cell's curves, and how they go with the quality of its images."""

from __future__ import annotations

from harness.report import dynamics_tables
from harness.report.album import Album
from harness.report.content import Content
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    found = dynamics_tables.correlations(content)
    return rendered(
        "sections/dynamics.md.jinja",
        content.language,
        has_numbers=any(run.numbers for run in content.runs),
        losses=dynamics_tables.numbers_table(content, dynamics_tables.LOSSES),
        answers=dynamics_tables.numbers_table(content, dynamics_tables.ANSWERS),
        note=dynamics_tables.numbers_note(content.language),
        correlations=dynamics_tables.correlations_table(content, found[1]) if found else "",
        correlations_note=dynamics_tables.correlations_note(content, *found) if found else "",
    )
