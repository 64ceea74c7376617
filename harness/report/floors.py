"""What numbers are read by: the floor of real images against real ones, and where a covariance is not of full rank."""

from __future__ import annotations

from collections.abc import Sequence

from harness.evaluation.protocol import Protocol
from harness.report.columns import Column, ColumnFloor
from harness.report.content import Content
from harness.report.language import Language
from harness.report.markdown import code, escape, number, spread

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
    """`4.000 ± 0.71 (SD over 3 splits)`; of pooled values, that it is FID's and of how many images."""
    if floor is None:
        return "–"
    mean, sd, n, say = number(floor.mean), floor.sd, floor.samples, language.say
    match sd, column.measures.pooled:
        case None, False:
            return say("{mean} (1 split)", mean=mean)
        case None, True:
            return say("{mean} (FID at n = {n}; 1 split)", mean=mean, n=n)
        case _, False:
            return say("{mean} ± {sd} (SD over {splits} splits)", mean=mean, sd=spread(sd), splits=len(floor.values))
        case _:
            return say(
                "{mean} ± {sd} (FID at n = {n}; SD over {splits} splits)",
                mean=mean,
                sd=spread(sd),
                n=n,
                splits=len(floor.values),
            )


def floor_note(content: Content, columns: Sequence[Column]) -> str:
    """What the row of real images is, or why there is none yet."""
    floors = [floor for column in columns if (floor := content.floors.get(column.title))]
    if not floors:
        return _lacking(content, columns)
    floor, language = floors[0], content.language
    row = language.say(
        "The row in italics is the floor: {samples} real images in the place of the generated ones, against "
        "{reference} others, mean over random splits, as many as stand there. A generator without fault would "
        "stand near it, not at 0 or 1.",
        samples=floor.samples,
        reference=floor.reference,
    )
    pooled = language.plural(
        "Pooled values have no floor of their own: theirs is FID's at {n} image, so no ratio to it is given.",
        "Pooled values have no floor of their own: theirs is FID's at {n} images, so no ratio to it is given.",
        floor.samples,
    )
    about = language.say("≈: the floor is of other numbers of images than the cells, so the ratio is a rough one.")
    is_rough = times_floor(content, columns[0], 1.0) is not None and not is_of_equal_numbers(content, columns[0])
    return language.paragraph(
        row,
        pooled if any(column.measures.pooled for column in columns) else "",
        about if is_rough else "",
        *_too_few(content, columns, floor),
    )


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


def _too_few(content: Content, columns: Sequence[Column], floor: ColumnFloor) -> list[str]:
    """That the data do not suffice for a floor of the protocol's numbers, and what it does to metrics with a bias."""
    protocol, language = columns[0].protocol, content.language
    real = _real_count(content, protocol.reference) if protocol else None
    if not protocol or (floor.samples >= protocol.samples and floor.reference >= (real or 0)):
        return []
    found = [
        language.say("There are too few real images to fill both sides with the protocol's numbers and none on both.")
    ]
    if any(column.metric in _GAUSSIAN for column in columns):
        found.append(
            language.say("With fewer images FID's bias is larger, so that a generator may stand below this row.")
        )
    others = [
        escape(language.say(column.measures.title))
        for column in columns
        if column.metric not in _GAUSSIAN and column.metric not in _UNBIASED
    ]
    if others:
        found.append(
            language.plural(
                "{metrics} depends on the numbers of images as well.",
                "{metrics} depend on the numbers of images as well.",
                len(others),
                metrics=language.shortened(others, most=6),
            )
        )
    return found


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
