"""Whether cells were still learning when training ended, in sentences: what comparing them there means."""

from __future__ import annotations

from harness.analysis.unfinished import STILL, Progress, Unfinished, unfinished
from harness.report.columns import Column
from harness.report.content import Content
from harness.report.markdown import escape
from harness.report.verdicts import level_text, ratio_number

MOST_NAMED = 4
"""Cells that are named when most of them have ended."""


def unfinished_of(content: Content, column: Column) -> Unfinished:
    """The column's cells between their last two measured checkpoints."""
    floor = content.floors.get(column.title)
    measured = {cell.cell.name: content.of_cell(cell, column) for cell in content.cells_in(column)}
    return unfinished(measured, floor.mean if floor else None)


def unfinished_text(content: Content, column: Column) -> str:
    """In how many cells the metric still came closer to the real images, by how much, and which have not begun to.

    Empty where no cell has two checkpoints.
    """
    found = unfinished_of(content, column)
    if not found.measured:
        return ""
    return content.language.paragraph(_improving(content, column, found), _stuck(content, column, found))


def _improving(content: Content, column: Column, found: Unfinished) -> str:
    language, n = content.language, len(found.improving)
    shown: dict[str, object] = {
        "metric": escape(language.say(column.measures.title)),
        "cells": found.measured,
        "percent": f"{100 * STILL:.0f}",
    }
    if found.median is None:
        return language.say(
            "Between the last two checkpoints {metric} came closer to the real images by less than {percent} % in each "
            "of {cells} cells.",
            **shown,
        )
    shown["ratio"] = ratio_number(found.median)
    if 2 * n <= found.measured:
        shown["names"] = language.shortened_clauses([_named(content, one) for one in found.improving], MOST_NAMED)
        return language.plural(
            "{metric} was still improving at the last checkpoint in {n} of {cells} cells, so where it ends is open: "
            "{names}.",
            "{metric} was still improving at the last checkpoint in {n} of {cells} cells, so where they end is open: "
            "{names}.",
            n,
            **shown,
        )
    if column.measures.better == "lower":
        return language.say(
            "{metric} was still falling at the last checkpoint in {n} of {cells} cells (median × {ratio} since the one "
            "before): this compares how fast cells learn, not where they end.",
            n=n,
            **shown,
        )
    return language.say(
        "{metric} was still rising at the last checkpoint in {n} of {cells} cells (median × {ratio} since the one "
        "before): this compares how fast cells learn, not where they end.",
        n=n,
        **shown,
    )


def _named(content: Content, one: Progress) -> str:
    """`MLP (× 0.73 since step 280)`."""
    label = _labels(content)[one.cell]
    return content.language.say(
        "{cell} (× {ratio} since step {step})", cell=label, ratio=ratio_number(one.since_before), step=one.before_step
    )


def _stuck(content: Content, column: Column, found: Unfinished) -> str:
    language = content.language
    if not found.stuck:
        return ""
    labels = _labels(content)
    cells = [
        language.say(
            "{cell} ({metric} {first} at step {first_step}, {last} at step {step})",
            cell=labels[one.cell],
            metric=escape(language.say(column.measures.title)),
            first=level_text(one.first),
            first_step=one.first_step,
            last=level_text(one.last),
            step=one.step,
        )
        for one in found.stuck
    ]
    return language.plural(
        "Hardly changed since its first checkpoint and far from the real images, so its generator has not begun to "
        "learn: {cells}.",
        "Hardly changed since their first checkpoints and far from the real images, so their generators have not begun "
        "to learn: {cells}.",
        len(cells),
        cells=language.shortened_clauses(cells),
    )


def _labels(content: Content) -> dict[str, str]:
    return {cell.cell.name: escape(cell.label) for cell in content.cells}
