"""Mode coverage: the classes of generated images beside those of the real ones, and what they amount to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.analysis.modes import CHANCE, THERE, UNEVEN, ModeVerdict, modes_verdict
from harness.design.metrics import CLASS_METRICS
from harness.report.columns import Column
from harness.report.content import Content, ReportCell
from harness.report.floors import fingerprint
from harness.report.markdown import code, counted, escape, number, shortened, table
from harness.report.tables import cell_name, mean_text, with_arrow
from harness.store.evaluations import Evaluation

MOST_CLASSES = 12
"""Classes that a table shows the share of each of."""


RULES = (
    "A class is judged where its share of the real images lets expect so many generated ones that their absence would "
    "be no chance; with fewer than two such classes nothing is told. The first that holds: *collapsed*: fewer than "
    f"half of the judged classes are there, with at least {THERE:g} of their real share; *classes missing*: a judged "
    f"class has no image; *uneven*: a judged class has less than 1/{UNEVEN:g} or more than {UNEVEN:g} times its real "
    "share, by more than chance; else all classes, shares as in the data. Chance alone would bring a verdict against "
    f"one cell in at most {100 * CHANCE:g} % of cases, however many classes there are. Classes say nothing of variety "
    "within one class."
)


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

    def _judged(self, counts: Sequence[int]) -> ModeVerdict:
        """Undecided where fewer than two classes are judged: one class has no shares that could be uneven."""
        found = modes_verdict(counts, self.reference, self.classes)
        if found.judged > 1:
            return found
        one_real = sum(count > 0 for count in self.reference) == 1
        why = "the extractor sees one class in the real images" if one_real else "too few images to tell"
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
    column = group[0]
    cells = content.cells_in(column)
    found = {cell: classes for cell in cells if (classes := classes_of(content, column, cell))}
    return ModePart(
        source=escape(column.source),
        table=_table(content, group, found) if found else "Nothing to show yet: no classes have been counted.",
        fingerprint=fingerprint(column),
        note=_note(list(found.values())),
        verdicts=[_verdict(classes) for classes in found.values()],
    )


def _table(content: Content, group: Sequence[Column], found: dict[ReportCell, CellClasses]) -> str:
    """A row per cell under that of the real images: the share of each class in per cent, where they are few."""
    first = next(iter(found.values()))
    shown = first.classes if len(first.classes) <= MOST_CLASSES else []
    divergence = [column for column in group if column.metric == "class_kl"]
    headers = ["#", "Cell", *(code(name) for name in shown), "Judged classes missing", "Largest share"]
    headers += [*(with_arrow(column) for column in divergence), "Images", "Step"]
    largest = _largest(first.reference, first.classes)
    real = [*_shares(first.reference, shown), "–", largest, *("–" for _ in divergence), "–", "–"]
    rows = [["–", f"*real images ({sum(first.reference)})*", *real]]
    for cell in content.cells_in(group[0]):
        head = [str(cell.number), cell_name(cell)]
        if cell not in found:
            rows.append([*head, "not counted", *["–"] * (len(headers) - 3)])
            continue
        classes, counts = found[cell], found[cell].counts
        rows.append([
            *head, *_shares(counts, shown), _missing(classes.verdict), _largest(counts, first.classes),
            *(mean_text(content, cell, column) for column in divergence),
            f"{sum(counts)} of {counted(len(classes.by_seed), 'seed')}", str(classes.step),
        ])  # fmt: skip
    return table(headers, rows, right=[0, *range(2, len(headers))])


def _missing(verdict: ModeVerdict) -> str:
    """`1 of 10 judged`; a dash where none could be judged."""
    return f"{len(verdict.missing)} of {verdict.judged} judged" if verdict.judged else "–"


def _shares(counts: Sequence[int], shown: Sequence[str]) -> list[str]:
    total = sum(counts)
    return [_percent(count, total) for count in counts[: len(shown)]]


def _largest(counts: Sequence[int], classes: Sequence[str]) -> str:
    most = max(range(len(counts)), key=lambda index: counts[index])
    return f"{escape(classes[most])}: {_percent(counts[most], sum(counts))}"


def _percent(count: int, total: int) -> str:
    """`0` only where there is not one."""
    share = 100 * count / total if total else 0.0
    return f"{number(share, 2)} %" if 0 < share < 1 else f"{share:.0f} %"


def _note(found: Sequence[CellClasses]) -> str:
    if not found:
        return ""
    return (
        "Shares are of the images of all repeats and seeds together, as the extractor's own classifier takes them; it "
        "names a class for any image, however bad, and errs on real ones, too."
    )


def _text(verdict: ModeVerdict) -> str:
    return escape(shortened(verdict.verdict))


def _verdict(classes: CellClasses) -> str:
    text = f"{cell_name(classes.cell)}: {_text(classes.verdict)}."
    of_all = classes.verdict
    alone = [
        f"seed {seed} alone: {_text(verdict)}"
        for seed, verdict in classes.by_seed_verdicts().items()
        if verdict.kind != of_all.kind
    ]
    return f"{text} But {'; '.join(alone)}." if alone else text
