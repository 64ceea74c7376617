"""Mode collapse: the classes of generated images, by the extractor's own classifier."""

from __future__ import annotations

from harness.report import prose
from harness.report.album import Album
from harness.report.content import Content
from harness.report.figures.samples import wide_sheets
from harness.report.markdown import escape
from harness.report.modes import mode_parts, rules
from harness.report.pictures import styles_of
from harness.report.sheets import picture_sheets
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    say = content.language.say
    sheets = picture_sheets(content, styles_of(content), "classes")
    figures = wide_sheets(sheets.panels, content.figure_language) if sheets.sources else []
    pictures = album.add("classes", say("Samples of all cells, each with its class"), figures, sheets.sources)
    album.lacks([say("Sheet of classes of {reason}", reason=reason) for reason in sheets.missing])
    return rendered(
        "sections/modes.md.jinja",
        content.language,
        modes=mode_parts(content),
        mode_rules=rules(content.language),
        pictures=pictures,
        classes_shown=prose.classes_shown(content, pictures),
        missing_classes=[escape(reason) for reason in sheets.missing],
    )
