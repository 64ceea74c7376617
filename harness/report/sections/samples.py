"""Sample grids: images of every cell's last checkpoint, not selected, beside real ones, with their settings."""

from __future__ import annotations

from harness.report.album import Album
from harness.report.chosen_cells import small_panels, with_styles
from harness.report.content import Content
from harness.report.figures.samples import sample_grids
from harness.report.markdown import escape
from harness.report.sample_settings import differing_settings, real_panels, shared_settings
from harness.report.sheets import sample_sheets
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    say = content.language.say
    choice = small_panels(content)
    sheets = sample_sheets(content, with_styles(content, choice))
    real, of_real, without_real = real_panels(content)
    shown = [*real, *sheets.panels]
    figures = sample_grids(shown, content.figure_language) if sheets.sources else []
    album.lacks([say("Sample grid of {reason}", reason=reason) for reason in sheets.missing])
    missing = [*without_real, *sheets.missing] if sheets.sources else sheets.missing
    return rendered(
        "sections/samples.md.jinja",
        content.language,
        pictures=album.add("samples", say("Sample grids"), figures, [*of_real, *sheets.sources]),
        count=content.view.plan.experiment.report.samples,
        has_real=bool(real),
        choice=choice.text,
        shared=shared_settings(content, sheets),
        differing=differing_settings(content, sheets),
        missing_samples=[escape(reason) for reason in missing],
    )
