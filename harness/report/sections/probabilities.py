"""D(x) and D(G(z)): what the discriminator answers, against the step."""

from __future__ import annotations

from harness.report import prose
from harness.report.album import Album
from harness.report.content import Content
from harness.report.figures.training import probabilities
from harness.report.pictures import recorded, training_panels
from harness.report.templating import rendered


def body(content: Content, album: Album) -> str:
    panels = training_panels(content)
    figures = probabilities(panels) if any(panel.curves for panel in panels) else []
    return rendered(
        "sections/probabilities.md.jinja",
        content.language,
        probabilities=album.add("probabilities", "D(x) and D(G(z)) against the step", figures, recorded(content)),
        answers_shown=prose.answers_shown(content),
        without_probabilities=prose.without_probabilities(content),
    )
