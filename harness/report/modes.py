"""Mode coverage: the classes of generated images beside those of the real ones, and what they amount to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.analysis.modes import LEAST_PRECISION, ModeVerdict, modes_verdict
from harness.design.metrics import CLASS_METRICS
from harness.report.columns import Column
from harness.report.content import Content, ReportCell
from harness.report.floors import fingerprint
from harness.report.language import Language
from harness.report.markdown import code, escape, table
from harness.report.mode_words import short_verdict, verdict_lines, verdicts_summary
from harness.report.quality import precision
from harness.report.tables import cell_name, mean_text, with_arrow
from harness.store.evaluations import Evaluation

MOST_CLASSES = 12
"""Classes that a table shows the share of each of."""


@dataclass(frozen=True)
class ModePart:
    """What the template shows of one protocol's classes, as Markdown."""

    source: str
    summary: str
    table: str
    fingerprint: str
    note: str
    verdicts: list[str]


@dataclass(frozen=True, eq=False)
class CellClasses:
    """One cell's generated images by class at one step: by_seed[seed] is summed over the repeats that are asked for.

    precisions: of the seeds where Precision is measured.
    """

    cell: ReportCell
    step: int
    classes: Sequence[str]
    by_seed: dict[int, list[int]]
    reference: list[int]
    sources: list[dict[str, Any]]
    precisions: dict[int, float]

    @property
    def counts(self) -> list[int]:
        """Over all seeds."""
        return [sum(of_class) for of_class in zip(*self.by_seed.values(), strict=True)]

    @property
    def has_one_real_class(self) -> bool:
        """Whether the extractor sees one class alone in the real images."""
        return sum(count > 0 for count in self.reference) == 1

    def by_seed_verdicts(self) -> dict[int, ModeVerdict]:
        """Of each seed, which is what a verdict is about."""
        return {seed: self._judged(seed, counts) for seed, counts in self.by_seed.items()}

    def _judged(self, seed: int, counts: Sequence[int]) -> ModeVerdict:
        """Undecided where fewer than two classes are judged: one class has no shares that could be uneven."""
        found = modes_verdict(counts, self.reference, self.classes)
        if self.precisions.get(seed, 1.0) < LEAST_PRECISION:
            return replace(found, kind="unlike data", verdict="no verdict: the images are not like the data")
        if found.judged > 1:
            return found
        why = "the extractor sees one class in the real images" if self.has_one_real_class else "too few images to tell"
        return replace(found, kind="undecided", verdict=why)


def is_asked_for(content: Content) -> bool:
    """Whether the file asks for counts of classes or for sheets of them."""
    counted_classes = any(CLASS_METRICS.intersection(block.settings.metrics) for block in content.view.blocks)
    return counted_classes or content.view.plan.experiment.report.classes is not None


def mode_parts(content: Content) -> list[ModePart]:
    """One part per protocol that counts classes."""
    return [_part(content, group) for group in groups_with_classes(content)]


def groups_with_classes(content: Content) -> list[list[Column]]:
    return [group for group in content.groups if CLASS_METRICS.intersection(column.metric for column in group)]


def classes_of(content: Content, column: Column, cell: ReportCell) -> CellClasses | None:
    """At the cell's last checkpoint whose classes any seed has counted; None where there is none."""
    for step in reversed(column.steps(cell.cell)):
        found = {
            run: evaluation
            for run in content.runs_in(cell, column)
            if (evaluation := content.sources.get((column.name, run.key, step))) and _has_classes(evaluation)
        }
        if not found:
            continue
        first = next(iter(found.values()))
        repeats = column.block.settings.repeats
        by_seed = {run.seed: _summed(evaluation, repeats) for run, evaluation in found.items()}
        sources = [
            {
                "key": run.key, "seed": run.seed, "step": step, "checkpoint_sha256": evaluation.checkpoint_sha256,
                "protocol_sha256": evaluation.protocol_sha256, "class_counts": evaluation.class_counts[:repeats],
            }
            for run, evaluation in found.items()
        ]  # fmt: skip
        measured = {run.seed: precision(content, run) for run in found}
        precisions = {seed: value for seed, value in measured.items() if value is not None}
        return CellClasses(cell, step, first.classes, by_seed, first.reference_class_counts, sources, precisions)
    return None


def _has_classes(evaluation: Evaluation) -> bool:
    size = len(evaluation.classes)
    counts = [evaluation.reference_class_counts, *evaluation.class_counts]
    return bool(evaluation.class_counts) and all(len(of_one) == size and sum(of_one) > 0 for of_one in counts)


def _summed(evaluation: Evaluation, repeats: int) -> list[int]:
    total = np.sum(np.array(evaluation.class_counts[:repeats], dtype=np.int64), axis=0)
    return [int(count) for count in total]


def _part(content: Content, group: Sequence[Column]) -> ModePart:
    column, language = group[0], content.language
    cells = content.cells_in(column)
    found = {cell: classes for cell in cells if (classes := classes_of(content, column, cell))}
    nothing = language.say("Nothing to show yet: no classes have been counted.")
    return ModePart(
        source=escape(column.source_in(language)),
        summary=verdicts_summary(list(found.values()), language),
        table=_table(content, group, found) if found else nothing,
        fingerprint=fingerprint(column, language),
        note=_note(content, found) if found else "",
        verdicts=verdict_lines(list(found.values()), language),
    )


def _table(content: Content, group: Sequence[Column], found: dict[ReportCell, CellClasses]) -> str:
    """A row per cell under that of the real images: the share of each class in per cent, where they are few."""
    language, first = content.language, next(iter(found.values()))
    say = language.say
    shown = first.classes if len(first.classes) <= MOST_CLASSES else []
    divergence = [column for column in group if column.metric == "class_kl"]
    tells_images = _one_size(found) is None
    headers = ["#", say("Cell"), *(code(name) for name in shown), say("Largest share"), say("Verdict, in seeds")]
    headers += [with_arrow(column, language) for column in divergence]
    headers += [say("Images"), say("Step")] if tells_images else []
    real = [*_shares(first.reference, shown), _largest(first.reference, first.classes, language), "–"]
    dashes = ["–"] * (len(divergence) + 2 * tells_images)
    rows = [["–", f"*{say('real images ({n})', n=sum(first.reference))}*", *real, *dashes]]
    for cell in content.cells_in(group[0]):
        head = [str(cell.number), cell_name(cell)]
        if cell not in found:
            rows.append([*head, say("not counted"), *["–"] * (len(headers) - 3)])
            continue
        classes, counts = found[cell], found[cell].counts
        row = [*_shares(counts, shown, first.reference), _largest(counts, first.classes, language)]
        row += [short_verdict(classes, language), *(mean_text(content, cell, column) for column in divergence)]
        if tells_images:
            images = {"images": sum(counts)}
            row += [language.plural("{images} of {n} seed", "{images} of {n} seeds", len(classes.by_seed), **images)]
            row += [str(classes.step)]
        rows.append([*head, *row])
    words = 2 + len(shown) + 1
    return table(headers, rows, right=[index for index in range(len(headers)) if index not in (1, words)])


def _one_size(found: dict[ReportCell, CellClasses]) -> tuple[int, int, int] | None:
    """Images, seeds and step where they are the same for all cells."""
    sizes = {(sum(one.counts), len(one.by_seed), one.step) for one in found.values()}
    return sizes.pop() if len(sizes) == 1 else None


def _shares(counts: Sequence[int], shown: Sequence[str], real: Sequence[int] = ()) -> list[str]:
    """In per cent; bold where below half of the class's share of the real images."""
    total, of_real = sum(counts), sum(real)
    texts = []
    for index, count in enumerate(counts[: len(shown)]):
        is_rare = bool(real) and 2 * count * of_real < real[index] * total
        texts.append(f"**{_percent(count, total)}**" if is_rare else _percent(count, total))
    return texts


def _largest(counts: Sequence[int], classes: Sequence[str], language: Language) -> str:
    most = max(range(len(counts)), key=lambda index: counts[index])
    share = _percent(counts[most], sum(counts))
    return language.say("{name}: {share}", name=escape(classes[most]), share=share)


def _percent(count: int, total: int) -> str:
    """`0` only where there is not one."""
    share = 100 * count / total if total else 0.0
    return "&lt; 1 %" if 0 < share < 1 else f"{share:.0f} %"


def _note(content: Content, found: dict[ReportCell, CellClasses]) -> str:
    language, one = content.language, _one_size(found)
    size = ""
    if one:
        images, seeds, step = one
        size = language.plural(
            "Each row is of {images} images of {n} seed at step {step}.",
            "Each row is of {images} images of {n} seeds together at step {step}.",
            seeds,
            images=images,
            step=step,
        )
    return language.paragraph(
        size,
        language.say(
            "Shares are of the images of all repeats, by the extractor's own classifier: it names a class for any "
            "image, however bad, and errs on real ones, too. Bold: below half of the real share. Verdicts are of each "
            "seed alone, since two collapsed generators look richer together than each is."
        ),
    )
