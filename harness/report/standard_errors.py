"""Standard errors: how exact a measurement of one checkpoint is. They say nothing about other seeds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import stdev

from harness.evaluation.frechet import fid_infinity_standard_error
from harness.report.columns import Column
from harness.report.content import Content, ReportCell, ReportRun
from harness.store.evaluations import Evaluation

_FROM = {"kid": "kid", "fid_infinity": "fid"}
"""Metrics with a standard error, and the metric whose repeats give it."""


def standard_error(content: Content, run: ReportRun, column: Column, step: int) -> float | None:
    """Of one checkpoint's value, from its repeats: SD / sqrt(K). Of KID, and of FID∞ by its repeats' FIDs.

    None for other metrics, and with fewer than two repeats.
    """
    evaluation = content.sources.get((column.name, run.key, step))
    return error_of(evaluation, column.metric, column.block.settings.repeats) if evaluation else None


def error_of(evaluation: Evaluation, metric: str, repeats: int) -> float | None:
    """As `standard_error`, of the first `repeats` repeats."""
    values = evaluation.series(_FROM[metric], repeats) if metric in _FROM else []
    if len(values) < 2:
        return None
    return fid_infinity_standard_error(values) if metric == "fid_infinity" else stdev(values) / len(values) ** 0.5


def cell_error(content: Content, cell: ReportCell, column: Column, step: int) -> float | None:
    """Of one seed's value at one step: the root mean square over a cell's seeds; None where no seed has one."""
    found = [standard_error(content, run, column, step) for run in content.runs_in(cell, column)]
    errors = [error for error in found if error is not None]
    return (sum(error**2 for error in errors) / len(errors)) ** 0.5 if errors else None


def errors_note(content: Content, columns: Sequence[Column]) -> str:
    """What the standard errors in these columns' cells are; empty where none has one."""
    having = [column.metric for column in columns if _has_errors(content, column)]
    if not having:
        return ""
    how = {
        "kid": content.language.say("KID: SD / √K"),
        "fid_infinity": content.language.say("FID∞: SD of the repeats' FIDs / √K"),
    }
    return content.language.say(
        "SE: the standard error of one seed's value, from its K repeats ({how}); of several seeds the root mean "
        "square. It tells how exact the measurement is; how far training varies is the SD over seeds.",
        how=content.language.clauses(text for metric, text in how.items() if metric in having),
    )


def _has_errors(content: Content, column: Column) -> bool:
    return any(
        cell_error(content, cell, column, summary.last.step) is not None
        for cell in content.cells_in(column)
        if (summary := content.summary(cell, column))
    )
