"""Settings: the baseline's levels, data, training, seeds, and what the runs were trained with."""

from __future__ import annotations

from harness.report import settings
from harness.report.album import Album
from harness.report.content import Content
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    return rendered(
        "sections/settings.md.jinja",
        content.language,
        baseline_table=settings.baseline_table(content),
        training_lines=settings.training_lines(content),
        environment_note=settings.environment_note(content),
        environment_table=settings.environment_table(content),
    )
