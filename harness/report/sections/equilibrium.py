"""Equilibrium: whether training came to D = 1/2, where the best discriminator is once both densities are equal."""

from __future__ import annotations

from harness.report import answers_drift, equilibrium
from harness.report.album import Album
from harness.report.content import Content
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    language = content.language
    return rendered(
        "sections/equilibrium.md.jinja",
        language,
        has_numbers=any(equilibrium.judged(cell) for cell in content.cells),
        rule=equilibrium.rule(language),
        table=equilibrium.equilibrium_table(content),
        table_note=equilibrium.table_note(content),
        summary=equilibrium.equilibrium_summary(content),
        moved=answers_drift.drift_text(content),
        answers=equilibrium.answers(content),
        caution=equilibrium.caution(language),
        without=equilibrium.without_equilibrium(content),
    )
