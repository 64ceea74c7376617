"""How long an epoch is, in images and steps."""

from __future__ import annotations

from harness.report.content import Content
from harness.report.cost import images_per_epoch
from harness.report.markdown import escape


def epochs_text(content: Content) -> str:
    """How many images and steps an epoch has; empty where that is not known."""
    language = content.language
    found: dict[tuple[int, float], list[str]] = {}
    for cell in content.cells:
        hp, images = cell.cell.hyperparameters, images_per_epoch(content, cell)
        if images is not None:
            steps = images // hp.batch_size / hp.discriminator_steps
            found.setdefault((images, steps), []).append(escape(cell.label))
    if not found:
        return ""
    if len(found) == 1:
        (images, steps), _ = next(iter(found.items()))
        return language.say("An epoch: {images} images, {steps} steps.", images=images, steps=f"{steps:g}")
    return language.paragraph(
        *(
            language.say(
                "An epoch of {cells}: {images} images, {steps} steps.",
                cells=language.shortened(cells),
                images=images,
                steps=f"{steps:g}",
            )
            for (images, steps), cells in found.items()
        )
    )
