"""How the discriminator's answers moved against 1/2 in the later half of training, in sentences."""

from __future__ import annotations

from statistics import fmean

from harness.analysis.equilibrium import STAYED, drift
from harness.report.content import Content, ReportCell
from harness.report.crossings import has_comparable_losses
from harness.report.language import Language
from harness.report.markdown import escape


def drift_text(content: Content) -> str:
    """In which cells D(x) and D(G(z)) moved away from 1/2, came closer to it or stayed; empty where that is not known.

    By the mean over the cell's complete runs.
    """
    language = content.language
    found = [(cell, by) for cell in content.cells if (by := _drift(cell)) is not None]
    away = [cell for cell, by in found if by >= STAYED]
    closer = [cell for cell, by in found if by <= -STAYED]
    stayed = [cell for cell, by in found if abs(by) < STAYED]
    if not found:
        return ""
    return language.paragraph(
        _away(language, len(away), len(found)),
        language.say("They come closer to 1/2 in {cells}.", cells=_named(language, closer)) if closer else "",
        language.say("They stay, within {stayed}, in {cells}.", stayed=STAYED, cells=_named(language, stayed))
        if stayed
        else "",
    )


def _away(language: Language, n: int, asked: int) -> str:
    if n == 0:
        return language.plural(
            "From the second to the last quarter of training, D(x) and D(G(z)) do not move away from 1/2 in the one "
            "cell that can be judged.",
            "From the second to the last quarter of training, D(x) and D(G(z)) move away from 1/2 in none of {n} "
            "cells.",
            asked,
        )
    return language.plural(
        "From the second to the last quarter of training, D(x) and D(G(z)) move away from 1/2 in the one cell that can "
        "be judged.",
        "From the second to the last quarter of training, D(x) and D(G(z)) move away from 1/2 in {away} of {n} cells.",
        asked,
        away=n,
    )


def _drift(cell: ReportCell) -> float | None:
    if not has_comparable_losses(cell):
        return None
    complete = [run for run in cell.runs if run.metrics and run.view.status.state == "complete"]
    found = [by for run in complete if (by := drift(run.curves)) is not None]
    return fmean(found) if found else None


def _named(language: Language, cells: list[ReportCell]) -> str:
    return language.shortened_clauses([escape(cell.label) for cell in cells])
