"""Mode collapse: the classes of generated images, by the extractor's own classifier."""

from __future__ import annotations

from harness.report import prose
from harness.report.album import Album
from harness.report.chosen_cells import small_panels, with_styles
from harness.report.class_panels import class_panels
from harness.report.content import Content
from harness.report.figures.class_sheets import class_sheets
from harness.report.markdown import escape
from harness.report.mode_words import rules
from harness.report.modes import mode_parts
from harness.report.sheets import picture_sheets, shown_classes
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    say = content.language.say
    choice = small_panels(content)
    sheets = picture_sheets(content, with_styles(content, choice), "classes")
    shown = shown_classes(content)
    figures = (
        class_sheets(class_panels(content, sheets), shown.extractor, content.figure_language)
        if sheets.sources and shown
        else []
    )
    pictures = album.add("classes", say("Samples, each with its class"), figures, sheets.sources)
    album.lacks([say("Sheet of classes of {reason}", reason=reason) for reason in sheets.missing])
    return rendered(
        "sections/modes.md.jinja",
        content.language,
        modes=mode_parts(content),
        mode_rules=rules(content.language),
        pictures=pictures,
        choice=choice.text,
        classes_shown=prose.classes_shown(content, pictures),
        missing_classes=[escape(reason) for reason in sheets.missing],
    )
