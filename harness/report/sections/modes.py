"""Mode collapse: the classes of generated images, by the extractor's own classifier."""

from __future__ import annotations

from harness.report import prose
from harness.report.album import Album
from harness.report.content import Content
from harness.report.figures.samples import wide_sheets
from harness.report.markdown import escape
from harness.report.modes import RULES, mode_parts
from harness.report.pictures import styles_of
from harness.report.sheets import picture_sheets
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    sheets = picture_sheets(content, styles_of(content), "classes")
    figures = wide_sheets(sheets.panels) if sheets.sources else []
    pictures = album.add("classes", "Samples of all cells, each with its class", figures, sheets.sources)
    album.lacks([f"Sheet of classes of {reason}" for reason in sheets.missing])
    return rendered(
        "sections/modes.md.jinja",
        content.language,
        modes=mode_parts(content),
        mode_rules=RULES,
        pictures=pictures,
        classes_shown=prose.classes_shown(content, pictures),
        missing_classes=[escape(reason) for reason in sheets.missing],
    )
