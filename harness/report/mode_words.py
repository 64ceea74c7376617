"""Verdicts on classes in words: the same ones in the table, the list below it, the diagnosis and its panels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.analysis.modes import CHANCE, LEAST_PRECISION, THERE, UNEVEN, Kind, ModeVerdict, percent
from harness.report.language import Language
from harness.report.markdown import escape, number
from harness.report.tables import cell_name

if TYPE_CHECKING:
    from harness.report.modes import CellClasses

WORST_FIRST: tuple[Kind, ...] = ("collapsed", "missing", "uneven", "unlike data", "undecided", "covered")
MOST_SEEDS = 4
"""Seeds whose classes are told one by one."""

ByKind = dict[Kind, dict[int, ModeVerdict]]


def by_kind(classes: CellClasses) -> ByKind:
    """Seeds and their verdicts by kind, the worst first."""
    verdicts = classes.by_seed_verdicts()
    found = {kind: {seed: one for seed, one in verdicts.items() if one.kind == kind} for kind in WORST_FIRST}
    return {kind: of_kind for kind, of_kind in found.items() if of_kind}


def kind_word(kind: Kind, language: Language) -> str:
    """A verdict in a word or two."""
    say = language.say
    match kind:
        case "collapsed":
            return say("collapsed")
        case "missing":
            return say("classes missing")
        case "uneven":
            return say("uneven")
        case "covered":
            return say("all classes there")
        case "undecided":
            return say("too few images")
        case "unlike data":
            return say("no verdict")


def short_verdict(classes: CellClasses, language: Language) -> str:
    """`collapsed (2 of 2)`: every verdict with its seeds."""
    return language.listed(
        language.say(
            "{verdict} ({n} of {asked})", verdict=kind_word(kind, language), n=len(seeds), asked=_asked(classes)
        )
        for kind, seeds in by_kind(classes).items()
    )


def verdicts_summary(found: Sequence[CellClasses], language: Language) -> str:
    """How many cells have which verdict in their worst seed; empty where nothing was counted."""
    worst = [(next(iter(by_kind(classes))), classes) for classes in found]
    items = []
    for kind in WORST_FIRST:
        cells = [escape(classes.cell.label) for of_kind, classes in worst if of_kind == kind]
        if cells:
            shown = {"verdict": kind_word(kind, language), "n": len(cells), "of": len(found)}
            items.append(
                language.say(
                    "{verdict} in {n} of {of} cells ({cells})", **shown, cells=language.shortened_clauses(cells)
                )
            )
    if not items:
        return ""
    return language.say("By the worst seed of each cell: {found}.", found=language.clauses(items))


def verdict_lines(found: Sequence[CellClasses], language: Language) -> list[str]:
    """A sentence per cell by seeds; one for all cells whose classes are all there."""
    whole = [classes for classes in found if set(by_kind(classes)) == {"covered"} and not _unjudged(classes)]
    lines = [_line(classes, language) for classes in found if classes not in whole]
    if not whole:
        return lines
    cells = language.shortened_clauses([cell_name(classes.cell) for classes in whole])
    text = language.say(
        "All classes there in every seed, none below half or above twice its real share: {cells}.", cells=cells
    )
    return [*lines, text]


def _line(classes: CellClasses, language: Language) -> str:
    told = [_clause(classes, kind, seeds, language) for kind, seeds in by_kind(classes).items()]
    text = language.say("{cell}: {verdicts}.", cell=cell_name(classes.cell), verdicts=language.clauses(told))
    few = _unjudged(classes)
    names = _names(few, language)
    return language.paragraph(text, language.say("Too few images to judge {classes}.", classes=names) if few else "")


def _unjudged(classes: CellClasses) -> tuple[str, ...]:
    """Classes of too few images in every seed, where any is judged at all."""
    verdicts = classes.by_seed_verdicts().values()
    if any(one.kind in ("undecided", "unlike data") for one in verdicts):
        return ()
    return tuple(name for name in classes.classes if all(name in one.unjudged for one in verdicts))


def _clause(classes: CellClasses, kind: Kind, seeds: Mapping[int, ModeVerdict], language: Language) -> str:
    """One verdict, with the seeds that have it and what it rests on."""
    many, shown = _asked(classes), {"n": len(seeds), "asked": _asked(classes)}
    match kind:
        case "undecided" if classes.has_one_real_class:
            return language.say("the extractor sees one class in the real images")
        case "undecided":
            return language.plural(
                "too few images to judge", "too few images to judge in {n} of {asked} seeds", many, **shown
            )
        case "covered":
            return language.plural("all classes are there", "all classes there in {n} of {asked} seeds", many, **shown)
        case "unlike data":
            low = min(classes.precisions[seed] for seed in seeds)
            return language.plural(
                "no verdict: with a Precision of {low} the images are not like the data, so their classes mean nothing",
                "no verdict in {n} of {asked} seeds: with a Precision of {low} the images are not like the data, so "
                "their classes mean nothing",
                many,
                **shown,
                low=number(low, 2),
            )
        case "collapsed":
            told = _by_seed(seeds, language, lambda seed, one: _collapsed(one, language))
            return language.plural(
                "collapsed: {details}", "collapsed in {n} of {asked} seeds: {details}", many, **shown, details=told
            )
        case "missing":
            told = _by_seed(
                seeds,
                language,
                lambda seed, one: language.plural(
                    "class {names}", "classes {names}", len(one.missing), names=_names(one.missing, language)
                ),
            )
            return language.plural(
                "classes missing: {details}",
                "classes missing in {n} of {asked} seeds: {details}",
                many,
                **shown,
                details=told,
            )
        case "uneven":
            told = _by_seed(seeds, language, lambda seed, one: _uneven(classes, seed, one, language))
            return language.plural(
                "uneven: {details}", "uneven in {n} of {asked} seeds: {details}", many, **shown, details=told
            )


def _by_seed(seeds: Mapping[int, ModeVerdict], language: Language, told: Callable[[int, ModeVerdict], str]) -> str:
    items = [
        language.say("{details} (seed {seed})", details=told(seed, one), seed=seed)
        for seed, one in list(seeds.items())[:MOST_SEEDS]
    ]
    return language.clauses([*items, "…"] if len(seeds) > MOST_SEEDS else items)


def _collapsed(one: ModeVerdict, language: Language) -> str:
    return language.say(
        "{present} of {judged} classes there, {share} of the images are {largest}",
        present=one.present,
        judged=one.judged,
        share=percent(one.largest_share),
        largest=escape(one.largest),
    )


def _uneven(classes: CellClasses, seed: int, one: ModeVerdict, language: Language) -> str:
    """The classes of uneven shares, the most overdone first, each with its share and its real one."""
    counts = classes.by_seed[seed]
    made = {name: count / sum(counts) for name, count in zip(classes.classes, counts, strict=True)}
    real = {name: n / sum(classes.reference) for name, n in zip(classes.classes, classes.reference, strict=True)}
    names = sorted((*one.rare, *one.common), key=lambda name: -made[name] / real[name])
    return language.shortened(
        [
            language.say(
                "class {name} has {share} for {real}",
                name=escape(name),
                share=percent(made[name]),
                real=percent(real[name]),
            )
            for name in names
        ]
    )


def _names(names: Sequence[str], language: Language) -> str:
    return language.shortened([escape(name) for name in names])


def _asked(classes: CellClasses) -> int:
    return len(classes.by_seed)


def rules(language: Language) -> str:
    """How verdicts on classes are made."""
    return language.say(
        "Each seed is judged. Where its Precision is below {precision:g}, its images are not like the data and there "
        "is no verdict. A class is judged only if, at its real share, so many images would be expected that none at "
        "all cannot be chance; with fewer than two such classes nothing is told. A class is *there* with at least "
        "{there:g} of its real share. The first that holds: *collapsed*: fewer than half of the judged classes are "
        "there; *classes missing*: one or more are not there; *uneven*: a class has less than 1/{times:g} or more than "
        "{times:g} times its real share, by more than chance; else *all classes there*. Chance alone would bring a "
        "verdict against one seed in at most {chance:g} % of cases, however many classes there are. Classes say "
        "nothing of variety within one class, and the metric *Missing classes* counts only those without any image.",
        precision=LEAST_PRECISION,
        there=THERE,
        times=UNEVEN,
        chance=100 * CHANCE,
    )
