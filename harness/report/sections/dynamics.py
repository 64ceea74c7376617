"""Training dynamics: numbers of every cell's curves, and how they go with the quality of its images."""

from __future__ import annotations

from harness.report import correlations, dynamics_tables
from harness.report.album import Album
from harness.report.content import Content
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    found = correlations.correlations(content)
    return rendered(
        "sections/dynamics.md.jinja",
        content.language,
        has_numbers=any(run.numbers for run in content.runs),
        summary=dynamics_tables.interleaving_summary(content),
        table=dynamics_tables.numbers_table(content),
        note=dynamics_tables.numbers_note(content.language),
        strongest=correlations.strongest_text(content, found) if found else "",
        correlations=correlations.correlations_table(content, found) if found else "",
        correlations_note=correlations.correlations_note(content, found) if found else "",
    )
