"""Losses of G and D: both losses of every cell, raw and smoothed, and how often they change places."""

from __future__ import annotations

from harness.report import training_prose
from harness.report.album import Album
from harness.report.chosen_cells import small_panels
from harness.report.content import Content, ReportCell
from harness.report.crossings import covered_text, crossings_table, has_comparable_losses
from harness.report.figures.style import pages
from harness.report.figures.training import loss_crossings, loss_overlay
from harness.report.pictures import recorded, recorded_by_seeds, training_panels
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    language, choice = content.language, small_panels(content)
    records = [recorded_by_seeds(page) for page in pages(choice.cells)]
    panels = training_panels(content)
    of_shown = [panels[cell.number - 1] for cell in choice.cells]
    figures = loss_crossings(of_shown, content.figure_language) if any(records) else []
    overlaid, left_out = _overlaid(content)
    over = [panels[cell.number - 1] for cell in overlaid]
    return rendered(
        "sections/loss-crossings.md.jinja",
        language,
        losses=album.add_pages("losses", language.say("Losses of G and D"), figures, records),
        choice=choice.text,
        losses_shown=training_prose.losses_shown(content),
        uncounted_losses=training_prose.uncounted_losses(content),
        overlay=album.add(
            "losses-overlay",
            language.say("Smoothed losses of all cells"),
            loss_overlay(over, content.figure_language) if over else [],
            recorded(overlaid),
        ),
        overlay_shown=training_prose.overlay_shown(content, overlaid, left_out),
        summary=training_prose.crossings_summary(content),
        crossings_table=crossings_table(content),
        covered=covered_text(content),
    )


def _overlaid(content: Content) -> tuple[list[ReportCell], list[ReportCell]]:
    """Cells with smoothed losses on one scale, and those of other scales.

    The scale is that of most cells: nats at one meeting point, or else one loss. No cells where there are fewer than
    two.
    """
    smoothed = [c for c in content.cells if (run := c.shown_run()).dynamics and run.dynamics.covered > 0]
    scales = [_scale(cell) for cell in smoothed]
    most = max(scales, key=scales.count, default="")
    shown = [cell for cell in smoothed if _scale(cell) == most]
    if len(shown) < 2:
        return [], []
    return shown, [cell for cell in smoothed if _scale(cell) != most]


def _scale(cell: ReportCell) -> str:
    return "meeting" if has_comparable_losses(cell) else cell.cell.hyperparameters.loss
