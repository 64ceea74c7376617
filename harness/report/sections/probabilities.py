"""D(x) and D(G(z)): what the discriminator of each cell answers to real and to generated images."""

from __future__ import annotations

from dataclasses import dataclass

from harness.report import answers_prose, training_prose
from harness.report.album import Album, Picture
from harness.report.chosen_cells import MOST_LARGE, large_panels
from harness.report.content import Content
from harness.report.figures.answers import answer_curves
from harness.report.figures.style import pages
from harness.report.pictures import recorded_by_seeds, training_panels
from harness.report.templating import rendered


@dataclass(frozen=True)
class Page:
    """One picture, and a line for each of its cells."""

    picture: Picture
    settings: list[str]


def body(content: Content, album: Album) -> str:
    language, everyone = content.language, training_panels(content)
    with_answers = [cell for cell in content.cells if everyone[cell.number - 1].curves]
    choice = large_panels(content, with_answers if len(content.cells) > MOST_LARGE else None)
    panels = [everyone[cell.number - 1] for cell in choice.cells]
    figures = answer_curves(panels, content.figure_language) if any(panel.curves for panel in panels) else []
    title = language.say("D(x) and D(G(z))")
    cells = pages(choice.cells)
    pictures = album.add_pages("probabilities", title, figures, [recorded_by_seeds(page) for page in cells])
    return rendered(
        "sections/probabilities.md.jinja",
        language,
        pages=[
            Page(picture, [training_prose.cell_settings(content, cell) for cell in of_page])
            for picture, of_page in zip(pictures, cells, strict=False)  # no pictures where there is nothing to draw
        ],
        shared_settings=training_prose.shared_settings(content),
        choice=choice.text,
        summary=answers_prose.answers_summary(content),
        answers_shown=answers_prose.answers_shown(content),
        without_probabilities=answers_prose.without_probabilities(content),
    )
