"""What an extractor is, in words: whose features values are measured in, and what they compare with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.errors import HarnessError
from harness.evaluation.shipped import SHIPPED, shipped_note
from harness.report.columns import Column
from harness.report.content import Content
from harness.report.language import Language
from harness.report.markdown import code


@dataclass(frozen=True)
class Learned:
    """What a classifier that ships with harness learned from. accuracy: share of held-out images, at so many pixels."""

    train: int
    held_out: int
    accuracy: float
    pixels: int


def scale_note(content: Content, column: Column) -> str:
    """In whose features a protocol's values are measured and what they compare with: where values first stand."""
    language, extractor = content.language, code(column.block.settings.extractor_name)
    metric = language.say(column.measures.title)
    match column.block.settings.extractor:
        case "digits" | "mnist":
            return language.say(
                "{metric} is measured here with the features of {extractor}, a small classifier of handwritten "
                "digits: these values compare with one another only, not with those of papers.",
                metric=metric,
                extractor=extractor,
            )
        case "trained":
            return language.say(
                "{metric} is measured here with the features of {extractor}, a small classifier that was trained for "
                "this: these values compare with one another only, not with those of papers.",
                metric=metric,
                extractor=extractor,
            )
        case "inception":
            return _inception_scale(column, metric, language)


def _inception_scale(column: Column, metric: str, language: Language) -> str:
    if column.protocol is None or column.protocol.verified:
        return language.say(
            "{metric} is measured with the features of the Inception network of pytorch-fid; it compares with "
            "published values where data, numbers of images, resolution and resizing are the same.",
            metric=metric,
        )
    return language.say(
        "{metric} is measured with the features of an Inception network whose weights are not those of pytorch-fid: "
        "these values compare with one another only.",
        metric=metric,
    )


def extractor_text(content: Content, column: Column) -> str:
    """What the extractor is, for the protocol's table: its training data and accuracy where they are known."""
    language, name = content.language, code(column.block.settings.extractor_name)
    match column.block.settings.extractor:
        case "digits" | "mnist" as shipped:
            kind = language.say("{name}, a small classifier that ships with harness", name=name)
            trained = _trained_on(shipped, learned(column), language)
        case "trained":
            kind = language.say("{name}, a small classifier trained with `harness extractor train`", name=name)
            trained = language.say("the .json file beside its weights tells its images and accuracy")
        case "inception":
            kind, trained = _inception(column, name, language), ""
    return language.clauses(part for part in (kind, trained) if part)


def _trained_on(extractor: Literal["digits", "mnist"], of: Learned | None, language: Language) -> str:
    """Empty where that is not known."""
    if of is None:
        return ""
    shown = {"train": of.train, "held_out": of.held_out, "accuracy": f"{100 * of.accuracy:.1f}", "pixels": of.pixels}
    if extractor == "mnist":
        return language.say(
            "trained on MNIST's {train} training images; {accuracy} % right on its {held_out} test images at "
            "{pixels} × {pixels} pixels",
            **shown,
        )
    return language.say(
        "trained on {train} of scikit-learn's handwritten digits; {accuracy} % right on the {held_out} others at "
        "{pixels} × {pixels} pixels",
        **shown,
    )


def _inception(column: Column, name: str, language: Language) -> str:
    if column.protocol is None or column.protocol.verified:
        return language.say("{name}, the Inception network with the weights of pytorch-fid", name=name)
    return language.say("{name}, the Inception network with weights that are not those of pytorch-fid", name=name)


def metric_caveat(content: Content, column: Column) -> str:
    """What a reader must know of one metric's scale; empty where its description says enough."""
    language, extractor = content.language, column.block.settings.extractor
    match column.metric:
        case "kid":
            return language.say("Its scale is that of the extractor's features; compare the cells, never with papers.")
        case "inception_score" if extractor in SHIPPED:
            return language.say("It is of this classifier: at most {classes}, its number of classes.", classes=10)
        case "inception_score" if extractor == "trained":
            return language.say("It is of this classifier: at most its number of classes.")
        case "nearest_share":
            return language.say("Far above that: copies; 0: no sign of copies.")
        case _:
            return ""


def learned(column: Column) -> Learned | None:
    """What is noted beside the weights that ship; None for others, and for weights that are not the measured ones."""
    extractor, protocol = column.block.settings.extractor, column.protocol
    if extractor not in SHIPPED or protocol is None:
        return None
    try:
        note = shipped_note(extractor)
    except (OSError, HarnessError):
        return None
    if note["weights_sha256"] != protocol.extractor_sha256:
        return None
    split, accuracy = note["split"], note["accuracy"]
    for pixels in (protocol.resolution, note["resolution"]):
        found = [share for name, share in accuracy.items() if name.endswith(f"at {pixels}x{pixels}")]
        if found:
            return Learned(split["train"], split.get("held out", split.get("test", 0)), found[0], pixels)
    return None
