"""What numbers are read by: the floor, standard errors, and where a covariance is not of full rank."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import stdev

from harness.evaluation.frechet import fid_infinity_standard_error
from harness.report.columns import Column
from harness.report.content import Content, ReportCell, ReportRun
from harness.report.markdown import code, counted, escape, shortened, spread

REAL = "real images against real images"

_FEATURES = {"digits": 64, "mnist": 64, "inception": 2048}
"""Features of extractors that evaluations may not have noted; those of a trained one are its own."""
_GAUSSIAN = ("fid", "fid_pooled", "fid_infinity")
"""Metrics that take a covariance of the features."""
_ERROR_FROM = {"kid": "kid", "fid_infinity": "fid"}
"""Metrics with a standard error, and the metric whose repeats give it."""


def times_floor(content: Content, column: Column, mean: float) -> float | None:
    """How many times the floor a mean is. None but for FID: the others' floors are no unit (KID's is 0 on average)."""
    floor = content.floors.get(column.title) if column.metric == "fid" else None
    return mean / floor.mean if floor and floor.mean > 0 else None


def real_images(content: Content, columns: Sequence[Column]) -> str:
    """`real images against real images`, with how many where they are fewer than the protocol's."""
    floors = [floor for column in columns if (floor := content.floors.get(column.title))]
    protocol = columns[0].protocol
    if not floors or protocol is None:
        return REAL
    floor = floors[0]
    whole = (floor.samples, floor.reference) == (protocol.samples, protocol.reference)
    return REAL if whole else f"{REAL} ({floor.samples} against {floor.reference})"


def floor_note(content: Content, columns: Sequence[Column]) -> str:
    """What the row of real images is, or that there is none yet."""
    floors = [floor for column in columns if (floor := content.floors.get(column.title))]
    if not floors:
        return (
            "How real images compare with other real ones under this protocol (the floor) was not measured: these "
            "evaluations are older. It comes with the next one under this protocol."
        )
    text = (
        f"The row in italics is the floor: {floors[0].samples} real images in the place of the generated ones, "
        f"against {floors[0].reference} others, mean over {counted(len(floors[0].values), 'random split')}. "
        "A generator without fault would stand near it, not at 0 or 1."
    )
    protocol = columns[0].protocol
    real = _real_count(content, protocol.reference) if protocol else None
    if protocol and (floors[0].samples < protocol.samples or floors[0].reference < (real or 0)):
        text += (
            " There are too few real images to fill both sides with the protocol's numbers and none on both; with "
            "fewer images FID's bias is larger, so that a generator may stand below this row."
        )
    return text


def differing_floors(content: Content) -> list[str]:
    """A sentence per column whose evaluations do not agree on the floor."""
    return [
        f"{escape(column.title)}: evaluations hold different floors (real images against real images); the first one "
        "is shown. One floor belongs to one protocol, so files under `evaluations/` were mixed or changed."
        for column in content.columns
        if (floor := content.floors.get(column.title)) and floor.differing
    ]


def standard_error(content: Content, run: ReportRun, column: Column, step: int) -> float | None:
    """Of one checkpoint's value, from its repeats: SD / sqrt(K). Of KID, and of FID∞ by its repeats' FIDs.

    None for other metrics, and with fewer than two repeats. It says nothing about other seeds.
    """
    evaluation = content.sources.get((column.name, run.key, step))
    if column.metric not in _ERROR_FROM or evaluation is None:
        return None
    values = evaluation.series(_ERROR_FROM[column.metric], column.block.settings.repeats)
    if len(values) < 2:
        return None
    return (
        fid_infinity_standard_error(values) if column.metric == "fid_infinity" else stdev(values) / len(values) ** 0.5
    )


def standard_errors_of(content: Content, cell: ReportCell, column: Column, step: int) -> list[float]:
    """The standard errors of a cell's seeds at one step, of those that have one."""
    found = (standard_error(content, run, column, step) for run in content.runs_in(cell, column))
    return [error for error in found if error is not None]


def error_notes(content: Content, columns: Sequence[Column]) -> list[str]:
    """A sentence per column with standard errors: their range over the cells' last checkpoints."""
    notes = []
    for column in columns:
        errors = [
            error
            for cell in content.cells_in(column)
            if (summary := content.summary(cell, column))
            for error in standard_errors_of(content, cell, column, summary.last.step)
        ]
        if errors:
            low, high = spread(min(errors)), spread(max(errors))
            between = low if low == high else f"{low} to {high}"
            of = " of the repeats' FIDs" if column.metric == "fid_infinity" else ""
            notes.append(
                f"{escape(column.title)}: standard error of one checkpoint's value, from its repeats (SD{of} / √K): "
                f"{between}."
            )
    if notes:
        notes.append(
            "A standard error tells how exact the measurement is; how far training varies is the SD over seeds."
        )
    return notes


def rank_note(content: Content, columns: Sequence[Column]) -> str:
    """That N images give no covariance of full rank in d dimensions, where N - 1 < d; empty where they do."""
    protocol = columns[0].protocol
    noted = (found.feature_dims for (name, _, _), found in content.sources.items() if name == columns[0].name)
    dims = next(filter(None, noted), _FEATURES.get(columns[0].block.settings.extractor, 0))
    if protocol is None or not dims:
        return ""
    named = [column.measures.title for column in columns if column.metric in _GAUSSIAN]
    counts = {
        "generated images per repeat": protocol.samples if "fid" in [column.metric for column in columns] else None,
        "real images": _real_count(content, protocol.reference),
    }
    few = [f"{count} {what}" for what, count in counts.items() if count is not None and count - 1 < dims]
    if not named or not few:
        return ""
    return (
        f"{' and '.join(few)} are fewer than the {dims} features + 1: the covariance is not of full rank, and "
        f"{shortened(', '.join(named))} depends on the number of images more than on anything else. "
        "Compare cells only, never with other numbers of images."
    )


def fingerprint(column: Column) -> str:
    """What stands with every table of numbers: `Protocol 1a2b3c4d`."""
    return f"Protocol {code(column.protocol.sha256[:8])}." if column.protocol else "The protocol is not known yet."


def _real_count(content: Content, reference: int | str) -> int | None:
    manifest, data = content.view.manifest, content.view.plan.experiment.data
    there = manifest.image_count_of(data.declared()) if manifest else None
    if isinstance(reference, int):
        return reference if there is None else min(reference, there)
    return there
