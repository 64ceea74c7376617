"""Mode coverage: the classes of generated images beside those of the real ones, and what they amount to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.analysis.modes import CHANCE, THERE, UNEVEN, ModeVerdict, modes_verdict, percent
from harness.design.metrics import CLASS_METRICS
from harness.report.columns import Column
from harness.report.content import Content, ReportCell
from harness.report.floors import fingerprint
from harness.report.language import Language
from harness.report.markdown import code, escape, number, table
from harness.report.tables import cell_name, mean_text, with_arrow
from harness.store.evaluations import Evaluation

MOST_CLASSES = 12
"""Classes that a table shows the share of each of."""


@dataclass(frozen=True)
class ModePart:
    """What the template shows of one protocol's classes, as Markdown."""

    source: str
    table: str
    fingerprint: str
    note: str
    verdicts: list[str]


@dataclass(frozen=True, eq=False)
class CellClasses:
    """One cell's generated images by class at one step: by_seed[seed] is summed over the repeats that are asked for."""

    cell: ReportCell
    step: int
    classes: Sequence[str]
    by_seed: dict[int, list[int]]
    reference: list[int]
    sources: list[dict[str, Any]]

    @property
    def counts(self) -> list[int]:
        """Over all seeds."""
        return [sum(of_class) for of_class in zip(*self.by_seed.values(), strict=True)]

    @property
    def verdict(self) -> ModeVerdict:
        return self._judged(self.counts)

    def by_seed_verdicts(self) -> dict[int, ModeVerdict]:
        """Of each seed alone."""
        return {seed: self._judged(counts) for seed, counts in self.by_seed.items()}

    @property
    def has_one_real_class(self) -> bool:
        """Whether the extractor sees one class alone in the real images."""
        return sum(count > 0 for count in self.reference) == 1

    def _judged(self, counts: Sequence[int]) -> ModeVerdict:
        """Undecided where fewer than two classes are judged: one class has no shares that could be uneven."""
        found = modes_verdict(counts, self.reference, self.classes)
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
        return CellClasses(cell, step, first.classes, by_seed, first.reference_class_counts, sources)
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
        table=_table(content, group, found) if found else nothing,
        fingerprint=fingerprint(column, language),
        note=_note(language) if found else "",
        verdicts=[verdict_line(classes, language) for classes in found.values()],
    )


def _table(content: Content, group: Sequence[Column], found: dict[ReportCell, CellClasses]) -> str:
    """A row per cell under that of the real images: the share of each class in per cent, where they are few."""
    language, first = content.language, next(iter(found.values()))
    say = language.say
    shown = first.classes if len(first.classes) <= MOST_CLASSES else []
    divergence = [column for column in group if column.metric == "class_kl"]
    headers = ["#", say("Cell"), *(code(name) for name in shown), say("Judged classes missing"), say("Largest share")]
    headers += [*(with_arrow(column, language) for column in divergence), say("Images"), say("Step")]
    largest = _largest(first.reference, first.classes, language)
    real = [*_shares(first.reference, shown), "–", largest, *("–" for _ in divergence), "–", "–"]
    rows = [["–", f"*{say('real images ({n})', n=sum(first.reference))}*", *real]]
    for cell in content.cells_in(group[0]):
        head = [str(cell.number), cell_name(cell)]
        if cell not in found:
            rows.append([*head, say("not counted"), *["–"] * (len(headers) - 3)])
            continue
        classes, counts = found[cell], found[cell].counts
        images, seeds = sum(counts), len(classes.by_seed)
        rows.append([
            *head, *_shares(counts, shown), _missing(classes.verdict, language),
            _largest(counts, first.classes, language), *(mean_text(content, cell, column) for column in divergence),
            language.plural("{images} of {n} seed", "{images} of {n} seeds", seeds, images=images), str(classes.step),
        ])  # fmt: skip
    return table(headers, rows, right=[0, *range(2, len(headers))])


def _missing(verdict: ModeVerdict, language: Language) -> str:
    """`1 of 10 judged`; a dash where none could be judged."""
    if not verdict.judged:
        return "–"
    return language.say("{missing} of {judged} judged", missing=len(verdict.missing), judged=verdict.judged)


def _shares(counts: Sequence[int], shown: Sequence[str]) -> list[str]:
    total = sum(counts)
    return [_percent(count, total) for count in counts[: len(shown)]]


def _largest(counts: Sequence[int], classes: Sequence[str], language: Language) -> str:
    most = max(range(len(counts)), key=lambda index: counts[index])
    share = _percent(counts[most], sum(counts))
    return language.say("{name}: {share}", name=escape(classes[most]), share=share)


def _percent(count: int, total: int) -> str:
    """`0` only where there is not one."""
    share = 100 * count / total if total else 0.0
    return f"{number(share, 2)} %" if 0 < share < 1 else f"{share:.0f} %"


def _note(language: Language) -> str:
    return language.say(
        "Shares are of the images of all repeats and seeds together, as the extractor's own classifier takes them; it "
        "names a class for any image, however bad, and errs on real ones, too."
    )


def verdict_text(classes: CellClasses, counts: Sequence[int], found: ModeVerdict, language: Language) -> str:
    """What `analysis.modes` found of these counts of generated images by class, as Markdown without a full stop."""
    say = language.say
    match found.kind:
        case "undecided":
            if classes.has_one_real_class:
                return say("the extractor sees one class in the real images")
            return say("too few images to tell")
        case "collapsed":
            text = say(
                "collapsed: {present} of {judged} classes, {share} of the images are {largest}",
                present=found.present,
                judged=found.judged,
                share=percent(found.largest_share),
                largest=escape(found.largest),
            )
        case "missing":
            text = say("classes missing: {classes}", classes=_names(found.missing, language))
        case "uneven":
            text = say("uneven: {classes}", classes=_uneven(classes, counts, found, language))
        case "covered":
            text = say("all classes, shares as in the data")
    if not found.unjudged:
        return text
    few = _names(found.unjudged, language)
    return say("{verdict} (too few images to judge {classes})", verdict=text, classes=few)


def _names(names: Sequence[str], language: Language) -> str:
    return language.shortened([escape(name) for name in names])


def _uneven(classes: CellClasses, counts: Sequence[int], found: ModeVerdict, language: Language) -> str:
    """The classes of uneven shares, the most overdone first, each with its share and its real one."""
    made = {name: count / sum(counts) for name, count in zip(classes.classes, counts, strict=True)}
    real = {name: n / sum(classes.reference) for name, n in zip(classes.classes, classes.reference, strict=True)}
    names = sorted((*found.rare, *found.common), key=lambda name: -made[name] / real[name])
    return language.shortened(
        [
            language.say(
                "{name}: {share} (real: {real})", name=escape(name), share=percent(made[name]), real=percent(real[name])
            )
            for name in names
        ]
    )


def verdict_line(classes: CellClasses, language: Language) -> str:
    """The verdict on all seeds together, and on each seed alone that differs from it."""
    of_all = classes.verdict
    text = language.say(
        "{cell}: {verdict}.",
        cell=cell_name(classes.cell),
        verdict=verdict_text(classes, classes.counts, of_all, language),
    )
    alone = [
        language.say(
            "seed {seed} alone: {verdict}",
            seed=seed,
            verdict=verdict_text(classes, classes.by_seed[seed], verdict, language),
        )
        for seed, verdict in classes.by_seed_verdicts().items()
        if verdict.kind != of_all.kind
    ]
    return language.paragraph(text, language.say("But {seeds}.", seeds=language.clauses(alone)) if alone else "")


def rules(language: Language) -> str:
    """How verdicts on classes are made."""
    return language.say(
        "A class is judged where its share of the real images lets expect so many generated ones that their absence "
        "would be no chance; with fewer than two such classes nothing is told. The first that holds: *collapsed*: "
        "fewer than half of the judged classes are there, with at least {there:g} of their real share; *classes "
        "missing*: a judged class has no image; *uneven*: a judged class has less than 1/{times:g} or more than "
        "{times:g} times its real share, by more than chance; else all classes, shares as in the data. Chance alone "
        "would bring a verdict against one cell in at most {chance:g} % of cases, however many classes there are. "
        "Classes say nothing of variety within one class.",
        there=THERE,
        times=UNEVEN,
        chance=100 * CHANCE,
    )
