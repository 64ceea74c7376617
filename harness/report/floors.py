"""What numbers are read by: the floor of real images against real ones, and where a covariance is not of full rank."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.columns import Column, ColumnFloor
from harness.report.content import Content
from harness.report.markdown import code, counted, escape, number, shortened, spread

REAL = "real vs real"

_FEATURES = {"digits": 64, "mnist": 64, "inception": 2048}
"""Features of extractors that evaluations may not have noted; those of a trained one are its own."""
_GAUSSIAN = ("fid", "fid_pooled", "fid_infinity")
"""Metrics that take a covariance of the features."""
_UNBIASED = ("kid",)
"""Metrics whose expected value no number of images changes."""


def times_floor(content: Content, column: Column, mean: float) -> float | None:
    """How many times the floor a mean is. None but for FID: the others' floors are no unit (KID's is 0 on average)."""
    floor = content.floors.get(column.title) if column.metric == "fid" else None
    return mean / floor.mean if floor and floor.mean > 0 else None


def ratio_text(content: Content, column: Column, mean: float) -> str:
    """`4.95`, with ≈ before it where the floor is of other numbers of images than the protocol's."""
    ratio = times_floor(content, column, mean)
    return f"{'' if is_of_equal_numbers(content, column) else '≈'}{number(ratio, 3)}" if ratio is not None else "–"


def is_of_equal_numbers(content: Content, column: Column) -> bool:
    """Whether a column's floor has as many images on both sides as its protocol."""
    floor, protocol = content.floors.get(column.title), column.protocol
    if floor is None or protocol is None:
        return False
    return (floor.samples, floor.reference) == (protocol.samples, _real_count(content, protocol.reference))


def floor_text(column: Column, floor: ColumnFloor | None) -> str:
    """`4.000 ± 0.71 (SD over 3 splits)`; of pooled values, that it is FID's and of how many images."""
    if floor is None:
        return "–"
    of_fid = f"FID at n = {floor.samples}; " if column.measures.pooled else ""
    if floor.sd is None:
        return f"{number(floor.mean)} ({of_fid}1 split)"
    return f"{number(floor.mean)} ± {spread(floor.sd)} ({of_fid}SD over {len(floor.values)} splits)"


def floor_note(content: Content, columns: Sequence[Column]) -> str:
    """What the row of real images is, or why there is none yet."""
    floors = [floor for column in columns if (floor := content.floors.get(column.title))]
    if not floors:
        lacking = _lacking(content, columns)
        return f"How real images compare with other real ones under this protocol (the floor) {lacking}"
    floor = floors[0]
    text = (
        f"The row in italics is the floor: {floor.samples} real images in the place of the generated ones, against "
        f"{floor.reference} others, mean over random splits, as many as stand there. A generator without fault would "
        "stand near it, not at 0 or 1."
    )
    if any(column.measures.pooled for column in columns):
        text += (
            f" Pooled values have no floor of their own: theirs is FID's at {counted(floor.samples, 'image')}, so no "
            "ratio to it is given."
        )
    if times_floor(content, columns[0], 1.0) is not None and not is_of_equal_numbers(content, columns[0]):
        text += " ≈: the floor is of other numbers of images than the cells, so the ratio is a rough one."
    return f"{text}{_too_few(content, columns, floor)}"


def _lacking(content: Content, columns: Sequence[Column]) -> str:
    """Why there is no floor, as the end of a sentence."""
    found = [evaluation for (name, _, _), evaluation in content.sources.items() if name == columns[0].name]
    if not found:
        return "is not measured yet: it comes with the first evaluation."
    if any(evaluation.floor for evaluation in found):
        return "was not measured: there are too few real images for two sides."
    return (
        "was not measured: these evaluations are older. The next `harness run` or `harness evaluate` of the file adds "
        "it."
    )


def _too_few(content: Content, columns: Sequence[Column], floor: ColumnFloor) -> str:
    """That the data do not suffice for a floor of the protocol's numbers, and what it does to metrics with a bias."""
    protocol = columns[0].protocol
    real = _real_count(content, protocol.reference) if protocol else None
    if not protocol or (floor.samples >= protocol.samples and floor.reference >= (real or 0)):
        return ""
    text = " There are too few real images to fill both sides with the protocol's numbers and none on both."
    if any(column.metric in _GAUSSIAN for column in columns):
        text += " With fewer images FID's bias is larger, so that a generator may stand below this row."
    others = [c.measures.title for c in columns if c.metric not in _GAUSSIAN and c.metric not in _UNBIASED]
    if others:
        verb = "depends" if len(others) == 1 else "depend"
        text += f" {shortened(', '.join(map(escape, others)), most=5)} {verb} on the numbers of images as well."
    return text


def differing_floors(content: Content) -> list[str]:
    """A sentence per column whose evaluations do not agree on the floor."""
    return [
        f"{escape(column.title)}: evaluations hold different floors (real images against real images); the first one "
        "is shown. One floor belongs to one protocol, so files under `evaluations/` were mixed or changed."
        for column in content.columns
        if (floor := content.floors.get(column.title)) and floor.differing
    ]


def rank_note(content: Content, columns: Sequence[Column]) -> str:
    """That N images give no covariance of full rank in d dimensions, where N - 1 < d; empty where they do."""
    protocol = columns[0].protocol
    noted = (found.feature_dims for (name, _, _), found in content.sources.items() if name == columns[0].name)
    dims = next(filter(None, noted), _FEATURES.get(columns[0].block.settings.extractor, 0))
    if protocol is None or not dims:
        return ""
    real = _real_count(content, protocol.reference)
    by_reason: dict[str, list[str]] = {}
    for column in columns:
        if column.metric in _GAUSSIAN:
            counts = [_generated(column, protocol.samples), (real, "real images")]
            few = [f"{count} {what}" for count, what in counts if count is not None and count - 1 < dims]
            if few:
                by_reason.setdefault(" and ".join(few), []).append(column.measures.title)
    notes = [
        f"{few} are fewer than the {dims} features + 1: the covariance is not of full rank, and "
        f"{', '.join(titles)} {'depends' if len(titles) == 1 else 'depend'} on the number of images more than on "
        "anything else."
        for few, titles in by_reason.items()
    ]
    return " ".join([*notes, "Compare cells only, never with other numbers of images."]) if notes else ""


def _generated(column: Column, samples: int) -> tuple[int, str]:
    """How many generated images a covariance is fitted to."""
    repeats = column.block.settings.repeats
    if column.metric == "fid_pooled":
        return repeats * samples, "generated images of all repeats together"
    return samples, "generated images per repeat"


def fingerprint(column: Column) -> str:
    """What stands with every table of numbers: `Protocol 1a2b3c4d`."""
    return f"Protocol {code(column.protocol.sha256[:8])}." if column.protocol else "The protocol is not known yet."


def _real_count(content: Content, reference: int | str) -> int | None:
    manifest, data = content.view.manifest, content.view.plan.experiment.data
    there = manifest.image_count_of(data.declared()) if manifest else None
    if isinstance(reference, int):
        return reference if there is None else min(reference, there)
    return there
