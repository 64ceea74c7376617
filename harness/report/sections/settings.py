"""Settings: what varies, data, training, seeds, what the runs were trained with, and what all cells share."""

from __future__ import annotations

from harness.report import factor_tables, settings
from harness.report.album import Album
from harness.report.content import Content
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    return rendered(
        "sections/settings.md.jinja",
        content.language,
        count=len(content.view.plan.factors),
        cells=len(content.cells),
        varying_table=factor_tables.varying_table(content),
        shared_table=factor_tables.shared_table(content),
        training_lines=settings.training_lines(content),
        environment_note=settings.environment_note(content),
        environment_table=settings.environment_table(content),
    )
