"""Latent interpolations: walks between two latents at every cell's last checkpoint."""

from __future__ import annotations

from harness.report import prose
from harness.report.album import Album
from harness.report.chosen_cells import small_panels, with_styles
from harness.report.content import Content
from harness.report.figures.samples import wide_sheets
from harness.report.markdown import escape
from harness.report.sheets import picture_sheets
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    say = content.language.say
    choice = small_panels(content)
    sheets = picture_sheets(content, with_styles(content, choice), "interpolations")
    figures = wide_sheets(sheets.panels, content.figure_language) if sheets.sources else []
    album.lacks([say("Interpolations of {reason}", reason=reason) for reason in sheets.missing])
    return rendered(
        "sections/interpolations.md.jinja",
        content.language,
        pictures=album.add("interpolations", say("Latent interpolations"), figures, sheets.sources),
        choice=choice.text,
        interpolations_shown=prose.interpolations_shown(content),
        missing_interpolations=[escape(reason) for reason in sheets.missing],
    )
