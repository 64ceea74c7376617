"""Loss crossings: both losses of every cell, raw and smoothed, and how often they change places."""

from __future__ import annotations

from harness.report import prose, tables
from harness.report.album import Album
from harness.report.content import Content
from harness.report.figures.training import loss_crossings
from harness.report.pictures import recorded, training_panels
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    records = recorded(content)
    figures = loss_crossings(training_panels(content)) if records else []
    return rendered(
        "sections/loss-crossings.md.jinja",
        content.language,
        losses=album.add("losses", "Loss crossings", figures, records),
        losses_shown=prose.losses_shown(content),
        uncounted_losses=prose.uncounted_losses(content),
        crossings_table=tables.crossings_table(content),
    )
