"""Sample grids: images of every cell's last checkpoint, not selected."""

from __future__ import annotations

from harness.report.album import Album
from harness.report.content import Content
from harness.report.figures.samples import sample_grids
from harness.report.markdown import counted, escape
from harness.report.pictures import styles_of
from harness.report.sheets import sample_sheets
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    sheets = sample_sheets(content, styles_of(content))
    figures = sample_grids(sheets.panels) if sheets.sources else []
    album.lacks([f"Sample grid of {reason}" for reason in sheets.missing])
    return rendered(
        "sections/samples.md.jinja",
        content.language,
        pictures=album.add("samples", "Sample grids of all cells", figures, sheets.sources),
        samples=counted(content.view.plan.experiment.report.samples, "image"),
        missing_samples=[escape(reason) for reason in sheets.missing],
    )
