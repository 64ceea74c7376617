"""What report.json says of differences, effects of crossed factors and claims: each with the runs behind it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from harness.report.claims import answers
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content
from harness.report.effect_pictures import sources
from harness.report.factorial_tables import crossed_effects


def comparisons_evidence(content: Content) -> list[dict[str, Any]]:
    """A JSON object per compared column: its error, differences, effects and claims.

    sources: by cell name, the checkpoints (key, seed, step, hash, protocol) that its values are of.
    """
    return [_column(content, against) for against in content.comparisons.values()]


def _column(content: Content, against: ColumnComparison) -> dict[str, Any]:
    comparison = against.comparison
    return {
        "column": against.column.title,
        "metric": against.column.metric,
        "protocol_sha256": against.column.protocol.sha256 if against.column.protocol else None,
        "scale": comparison.scale,
        "alpha": comparison.alpha,
        "baseline": comparison.baseline,
        "family": comparison.family,
        "pool": asdict(comparison.pool),
        "components": {cell: asdict(found) for cell, found in comparison.components.items()},
        "differences": [asdict(one) for one in comparison.differences if one.cell != one.against],
        "crossed": [
            {
                "grid": crossed.grid.name,
                "factors": list(crossed.grid.factors),
                "cells": {",".join(levels): cell.cell.name for levels, cell in crossed.grid.cells.items()},
                "effects": [
                    asdict(one.effect) | {"p_holm": one.p_holm, "family": one.family} for one in crossed.judged
                ],
            }
            for crossed in crossed_effects(content, against)
        ],
        "claims": [
            {
                "cell": answer.cell.cell.name,
                "against": answer.reference.cell.name,
                "smallest_effect": answer.smallest_effect,
            }
            for answer in answers(content)
            if answer.against is against and content.view.plan.experiment.claim
        ],
        "sources": {cell.cell.name: sources(content, against, [cell]) for cell in against.cells},
    }
