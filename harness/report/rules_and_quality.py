"""Do the rules of the diagnosis follow the quality of images in this experiment?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from harness.analysis.correlation import spearman
from harness.report.content import Content, ReportCell
from harness.report.diagnoses import ON_CURVES, Diagnosis
from harness.report.language import Language
from harness.report.markdown import escape, number
from harness.report.quality import best_cell, leading_column, quality, quality_text

CLEAR = 0.5
"""Of a rank correlation, for the text to read it as a direction."""

Broken = Mapping[ReportCell, tuple[int, int]]


def follows_text(content: Content, diagnoses: Sequence[Diagnosis]) -> str:
    """How many rules on curves the best cell breaks, which cells break none, and what that says of the rules here.

    Empty where nothing is measured or judged.
    """
    best, column, language = best_cell(content), leading_column(content), content.language
    broken = _all_broken(content, diagnoses)
    if best is None or column is None or best not in broken:
        return ""
    n, asked = broken[best]
    first = language.say(
        "The cell closest to the real images, {cell} ({quality}), breaks {n} of {asked} rules on curves.",
        cell=escape(best.label),
        quality=quality_text(content, best),
        n=n,
        asked=asked,
    )
    return language.paragraph(_direction(content, broken), first, _clean(content, broken, best))


def do_not_follow(content: Content, diagnoses: Sequence[Diagnosis]) -> bool:
    """Whether it is known that more broken rules do not go with worse images here."""
    worse = _worse(content, _all_broken(content, diagnoses))
    return worse is not None and worse < CLEAR


def _all_broken(content: Content, diagnoses: Sequence[Diagnosis]) -> Broken:
    """Of the cells that are measured and can be judged."""
    return {
        one.cell: count for one in diagnoses if (count := _broken(one))[1] and quality(content, one.cell) is not None
    }


def _broken(diagnosis: Diagnosis) -> tuple[int, int]:
    """Rules on curves whose symptom any seed has, and rules that can be judged."""
    judged = [found for rule in ON_CURVES if (found := diagnosis.of_rule(rule))]
    return sum(any(one.holds for one in found.values()) for found in judged), len(judged)


def _clean(content: Content, broken: Broken, best: ReportCell) -> str:
    """The cells that break none, with their quality."""
    language = content.language
    cells = [
        language.say("{cell} ({quality})", cell=escape(cell.label), quality=quality_text(content, cell))
        for cell, (n, _) in broken.items()
        if n == 0 and cell is not best
    ]
    return language.say("Those that break none: {cells}.", cells=language.shortened_clauses(cells)) if cells else ""


def _direction(content: Content, broken: Broken) -> str:
    """Whether more broken rules go with worse images."""
    worse = _worse(content, broken)
    return "" if worse is None else _read(content.language, worse, number(worse, 2))


def _worse(content: Content, broken: Broken) -> float | None:
    """Rank correlation of the share of rules that a cell breaks with how far its images are from the real ones."""
    column = leading_column(content)
    values = [(n / asked, quality(content, cell) or 0.0) for cell, (n, asked) in broken.items()]
    pairs = np.array(values, dtype=np.float64).reshape(-1, 2)
    rho, _ = spearman(pairs[:, 0], pairs[:, 1])
    if rho is None or column is None or column.measures.better == "neither":
        return None
    return rho if column.measures.better == "lower" else -rho


def _read(language: Language, worse: float, rho: str) -> str:
    if worse >= CLEAR:
        return language.say(
            "In this experiment the rules follow the quality of images: the more of them a cell breaks, the farther "
            "its images are from the real ones (rank correlation {rho}).",
            rho=rho,
        )
    if worse <= -CLEAR:
        return language.say(
            "In this experiment the rules do not follow the quality of images, on the contrary: the more of them a "
            "cell breaks, the closer its images are to the real ones (rank correlation {rho}).",
            rho=rho,
        )
    return language.say(
        "In this experiment the rules do not follow the quality of images: how many of them a cell breaks says little "
        "of how close its images are to the real ones (rank correlation {rho}).",
        rho=rho,
    )
