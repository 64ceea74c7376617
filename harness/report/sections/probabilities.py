"""D(x) and D(G(z)): five curves per cell, both losses and what the discriminator answers."""

from __future__ import annotations

from dataclasses import dataclass

from harness.report import training_prose
from harness.report.album import Album, Picture
from harness.report.chosen_cells import choice_text, chosen_cells
from harness.report.content import Content
from harness.report.figures.answers import CELLS_PER_PAGE, five_curves
from harness.report.figures.style import pages
from harness.report.pictures import recorded, training_panels
from harness.report.templating import rendered


@dataclass(frozen=True)
class Page:
    """One picture, and a line for each of its cells."""

    picture: Picture
    settings: list[str]


def body(content: Content, album: Album) -> str:
    chosen, language = chosen_cells(content), content.language
    everyone = training_panels(content)
    panels = [everyone[cell.number - 1] for cell in chosen]
    figures = five_curves(panels, content.figure_language) if any(panel.curves for panel in panels) else []
    title = language.say("Five curves: losses, D(x) and D(G(z))")
    pictures = album.add("probabilities", title, figures, recorded(chosen))
    cells = pages(chosen, CELLS_PER_PAGE)
    return rendered(
        "sections/probabilities.md.jinja",
        language,
        pages=[
            Page(picture, [training_prose.cell_settings(content, cell) for cell in of_page])
            for picture, of_page in zip(pictures, cells, strict=False)  # no pictures where there is nothing to draw
        ],
        shared_settings=training_prose.shared_settings(content),
        choice=choice_text(content),
        answers_shown=training_prose.answers_shown(content),
        without_probabilities=training_prose.without_probabilities(content),
    )
