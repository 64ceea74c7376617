"""Colors of cells where no plotting library is loaded: those of the report's figures (`figures.style.cell_styles`)."""

from __future__ import annotations

from collections.abc import Sequence

BASELINE = "#000000"
OTHERS = ("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc", "#56b4e9", "#ca9161")
"""Seaborn's color-blind-safe palette without its gray and its two palest colors."""


def cell_colors(are_baseline: Sequence[bool]) -> list[str]:
    """One color per cell, in the report's order; colors of others than the baseline repeat after seven cells."""
    colors, others = [], 0
    for is_baseline in are_baseline:
        colors.append(BASELINE if is_baseline else OTHERS[others % len(OTHERS)])
        others += not is_baseline
    return colors
