"""Progress strips: how the images of the same noise change from checkpoint to checkpoint, of every cell."""

from __future__ import annotations

from harness.report.album import Album
from harness.report.chosen_cells import small_panels, with_styles
from harness.report.content import Content
from harness.report.epochs import epochs_text
from harness.report.figures.strips import strip_pages
from harness.report.markdown import escape
from harness.report.strips import MOST_CHECKPOINTS, Strips, cell_strip, evenly, shown_images, with_a_checkpoint
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    say = content.language.say
    strips, choice = Strips(), small_panels(content)
    thinned = False
    for cell, style in with_styles(content, choice):
        run = with_a_checkpoint(cell)
        steps = evenly(list(run.checkpoints))
        thinned = thinned or len(steps) < len(run.checkpoints)
        cell_strip(content, strips, (cell, style), run, steps)
    figures = strip_pages(strips.panels, content.figure_language) if strips.sources else []
    album.lacks([say("Progress strip of {reason}", reason=reason) for reason in strips.missing])
    return rendered(
        "sections/progress.md.jinja",
        content.language,
        pictures=album.add("progress", say("Progress strips"), figures, strips.sources),
        count=shown_images(content),
        choice=choice.text,
        epochs=epochs_text(content),
        most=MOST_CHECKPOINTS if thinned else None,
        missing=[escape(reason) for reason in strips.missing],
    )
