"""What numbers are read by: the floor of real images against real ones, and where a covariance is not of full rank."""

from __future__ import annotations

from collections.abc import Sequence

from harness.evaluation.protocol import Protocol
from harness.report.columns import Column, ColumnFloor
from harness.report.content import Content
from harness.report.language import Language
from harness.report.markdown import code, escape, number
from harness.report.rounding import rounded

REAL = "real vs real"
"""The name of the row of real images, in English."""

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


def floor_text(column: Column, floor: ColumnFloor | None, language: Language) -> str:
    """`8.2 ± 2.0`: mean and SD over the random splits; of pooled values, that it is FID's."""
    if floor is None:
        return "–"
    text = rounded(floor.mean, floor.sd)
    return language.say("{floor} (of FID)", floor=text) if column.measures.pooled else text


def floor_note(content: Content, columns: Sequence[Column]) -> str:
    """What the row of real images is, or why there is none yet: under the table of a protocol's first metric."""
    floors = [floor for column in columns if (floor := content.floors.get(column.title))]
    if not floors:
        return _lacking(content, columns)
    floor, language = floors[0], content.language
    row = language.plural(
        "Floor (in italics): {samples} real images in the place of the generated ones, against {reference} others, of "
        "one random split. A generator without fault would stand near it, not at 0 or 1.",
        "Floor (in italics): {samples} real images in the place of the generated ones, against {reference} others, "
        "mean ± SD of {n} random splits. A generator without fault would stand near it, not at 0 or 1.",
        len(floor.values),
        samples=floor.samples,
        reference=floor.reference,
    )
    return language.paragraph(row, _few_note(content, columns[0], floor), pooled_floor_note(content, columns[:1]))


def _few_note(content: Content, column: Column, floor: ColumnFloor) -> str:
    """What other numbers of images than the protocol's do to the floor of one metric; empty where they are its own."""
    if is_of_equal_numbers(content, column) or column.measures.pooled:
        return ""
    say, has_ratio = content.language.say, times_floor(content, column, 1.0) is not None
    if _is_too_small(content, column, floor):
        if has_ratio:
            return say(
                "The data are too few for two disjoint sets of the protocol's size, so the floor is higher than it "
                "would be, a good generator may stand below it, and the ratios (≈) are rough."
            )
        return say("The data are too few for two disjoint sets of the protocol's size, so the floor is a rough one.")
    return (
        say("≈: the floor is of other numbers of images than the cells, so the ratios are rough.") if has_ratio else ""
    )


def others_floor_note(content: Content, columns: Sequence[Column]) -> str:
    """What the floors of a protocol's further metrics need to be read; empty where nothing."""
    few = [
        column
        for column in columns
        if column.metric not in (*_GAUSSIAN, *_UNBIASED)
        and (floor := content.floors.get(column.title))
        and _is_too_small(content, column, floor)
    ]
    language = content.language
    biased = language.plural(
        "{metrics} depends on the number of images, and its floor is of fewer than the cells' values are.",
        "{metrics} depend on the number of images, and their floors are of fewer than the cells' values are.",
        len(few),
        metrics=language.shortened([escape(language.say(column.measures.title)) for column in few], most=6),
    )
    return language.paragraph(pooled_floor_note(content, columns), biased if few else "")


def pooled_floor_note(content: Content, columns: Sequence[Column]) -> str:
    """That pooled metrics have no floor of their own; empty where none is among these."""
    language = content.language
    pooled = [column for column in columns if column.measures.pooled and column.title in content.floors]
    if not pooled:
        return ""
    return language.plural(
        "{metrics} has no floor: FID's is shown, of {samples} images, and no ratio to it is given.",
        "{metrics} have no floor: FID's is shown, of {samples} images, and no ratio to it is given.",
        len(pooled),
        metrics=language.all_of([escape(language.say(column.measures.title)) for column in pooled]),
        samples=content.floors[pooled[0].title].samples,
    )


def _is_too_small(content: Content, column: Column, floor: ColumnFloor) -> bool:
    """Whether the real images do not suffice for a floor of the protocol's numbers."""
    protocol = column.protocol
    if protocol is None:
        return False
    return floor.samples < protocol.samples or floor.reference < (_real_count(content, protocol.reference) or 0)


def _lacking(content: Content, columns: Sequence[Column]) -> str:
    """Why there is no floor."""
    say = content.language.say
    found = [evaluation for (name, _, _), evaluation in content.sources.items() if name == columns[0].name]
    if not found:
        return say(
            "How real images compare with other real ones under this protocol (the floor) is not measured yet: it "
            "comes with the first evaluation."
        )
    if any(evaluation.floor for evaluation in found):
        return say(
            "How real images compare with other real ones under this protocol (the floor) was not measured: there are "
            "too few real images for two sides."
        )
    return say(
        "How real images compare with other real ones under this protocol (the floor) was not measured: these "
        "evaluations are older. The next `harness run` or `harness evaluate` of the file adds it."
    )


def differing_floors(content: Content) -> list[str]:
    """A sentence per column whose evaluations do not agree on the floor."""
    return [
        content.language.say(
            "{column}: evaluations hold different floors (real images against real images); the first one is shown. "
            "One floor belongs to one protocol, so files under `evaluations/` were mixed or changed.",
            column=escape(column.title_in(content.language)),
        )
        for column in content.columns
        if (floor := content.floors.get(column.title)) and floor.differing
    ]


def rank_note(content: Content, columns: Sequence[Column]) -> str:
    """That N images give no covariance of full rank in d dimensions, where N - 1 < d; empty where they do."""
    protocol, language = columns[0].protocol, content.language
    noted = (found.feature_dims for (name, _, _), found in content.sources.items() if name == columns[0].name)
    dims = next(filter(None, noted), _FEATURES.get(columns[0].block.settings.extractor, 0))
    if protocol is None or not dims:
        return ""
    real = _real_count(content, protocol.reference)
    by_reason: dict[str, list[str]] = {}
    for column in columns:
        if column.metric in _GAUSSIAN:
            few = [_generated(column, protocol.samples, language)] if _samples(column, protocol) - 1 < dims else []
            few += [language.say("{n} real images", n=real)] if real is not None and real - 1 < dims else []
            if few:
                by_reason.setdefault(language.all_of(few), []).append(language.say(column.measures.title))
    notes = [
        language.plural(
            "{few} are fewer than the {dims} features + 1: the covariance is not of full rank, and {metrics} depends "
            "on the number of images more than on anything else.",
            "{few} are fewer than the {dims} features + 1: the covariance is not of full rank, and {metrics} depend "
            "on the number of images more than on anything else.",
            len(titles),
            few=few,
            dims=dims,
            metrics=language.listed(titles),
        )
        for few, titles in by_reason.items()
    ]
    if not notes:
        return ""
    return language.paragraph(*notes, language.say("Compare cells only, never with other numbers of images."))


def _samples(column: Column, protocol: Protocol) -> int:
    """How many generated images a covariance is fitted to."""
    return protocol.samples * (column.block.settings.repeats if column.metric == "fid_pooled" else 1)


def _generated(column: Column, samples: int, language: Language) -> str:
    if column.metric == "fid_pooled":
        return language.say("{n} generated images of all repeats together", n=samples * column.block.settings.repeats)
    return language.say("{n} generated images per repeat", n=samples)


def fingerprint(column: Column, language: Language) -> str:
    """What stands with every table of numbers: `Protocol 1a2b3c4d`."""
    if column.protocol is None:
        return language.say("The protocol is not known yet.")
    return language.say("Protocol {fingerprint}.", fingerprint=code(column.protocol.sha256[:8]))


def _real_count(content: Content, reference: int | str) -> int | None:
    manifest, data = content.view.manifest, content.view.plan.experiment.data
    there = manifest.image_count_of(data.declared()) if manifest else None
    if isinstance(reference, int):
        return reference if there is None else min(reference, there)
    return there
