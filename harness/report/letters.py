"""What a report says where this machine's fonts lack the letters of its language or of cells' names."""

from __future__ import annotations

from harness.report.content import Content
from harness.report.figures.fonts import can_show
from harness.report.markdown import escape


def letters_note(content: Content) -> str:
    """That labels in figures are in English, and which cells' names figures cannot show; empty where all is shown."""
    language = content.language
    say = language.say
    notes = []
    if content.figure_language != language:
        notes.append(
            say(
                "This machine has no font with Chinese characters, so the labels in figures are in English. Install "
                "one, such as Noto Sans CJK SC (package `fonts-noto-cjk`), and write the report again."
            )
        )
    if unshown := [cell for cell in content.cells if not can_show(cell.label)]:
        notes.append(
            say(
                "No font of this machine has all letters of these names: {cells}. Figures show such a cell by its "
                "number in the tables.",
                cells=language.shortened([f"{escape(cell.label)} (#{cell.number})" for cell in unshown]),
            )
        )
    return language.paragraph(*notes)
