"""`[labels]`: which cell or level each key means, and that it means one."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping

from harness.design.factors import Level
from harness.design.level_text import canonical_text
from harness.errors import ExperimentFileError


def spelled_labels(labels: Mapping[str, str], baseline: Mapping[str, Level]) -> dict[str, str]:
    """`labels` by its keys as written, and by their levels as cells spell them; ExperimentFileError for a clash.

    baseline: levels by field.
    """
    canonical: dict[str, tuple[str, str]] = {}
    for key, label in labels.items():
        spelling = canonical_text(key, baseline) or key
        other, _ = canonical.setdefault(spelling, (key, label))
        if other != key:
            raise ExperimentFileError(f"means the same as {other!r}", where=f"labels.{key}")
    return {spelling: label for spelling, (_, label) in canonical.items()} | dict(labels)


def refuse_idle_labels(labels: Mapping[str, str], known: Collection[str], baseline: Mapping[str, Level]) -> None:
    """ExperimentFileError for a label that is neither a cell's name nor a level that varies (`known` has both)."""
    for key in labels:
        spelling = canonical_text(key, baseline) or key
        if key in known or spelling in known:
            continue
        near = difflib.get_close_matches(spelling, list(known), 1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        raise ExperimentFileError(
            "no cell is called so, and no cell has such a level instead of the baseline's",
            where=f"labels.{key}",
            remedy=f"{hint}`harness plan` shows names and levels once this line is gone.",
        )
