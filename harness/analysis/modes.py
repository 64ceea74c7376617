"""Mode coverage: which classes of the real images a generator makes, and whether in their shares. Pure.

Nothing is said that chance would do: where a generator has exactly the shares of the data's source, whatever the number
of classes and of real images, a verdict against it has a chance of less than CHANCE. With N generated and M real
images, and s of both together in a class, the generated ones among these are s draws without replacement that are
generated with chance q = N / (N + M). To come out at g of s or farther off on one side has a chance of at most
exp(-s KL(g/s || q)) (Hoeffding 1963, theorems 1 and 4), KL being that of two coins. A count is *beyond chance* where
this is less than CHANCE, divided among both sides of all classes (Bonferroni).

Judged is a class whose absence would be beyond chance: of many real images, one of which ln(2 classes / CHANCE) or more
generated images were to be expected, 7.6 with 10 classes and 12.2 with 1000. Of rarer ones, or with too few images,
nothing is said. Rules, the first that holds:

- collapsed: fewer than half of the judged classes are there, which a class is not with less than a tenth of its real
  share, beyond chance; so that a few images that the classifier gets wrong hide no collapse;
- classes missing: a judged class is not there;
- uneven: a judged class has less than half or more than twice its real share, beyond chance;
- else all classes are there, none below half or above twice its real share, as far as so many images can tell.

A verdict is of one seed's images: two collapsed generators of different classes look richer together than each is.
Where Precision is near 0, the images are not like the data, and what a classifier takes them for means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

CHANCE = 0.01
"""Of any verdict against a generator whose shares are those of the data's source; in truth less, as bounds add up."""

THERE = 0.1
UNEVEN = 2.0
LEAST_PRECISION = 0.1
"""Of generated images among real ones; below, no verdict on their classes is given."""

Kind = Literal["covered", "uneven", "missing", "collapsed", "undecided", "unlike data"]
"""undecided, unlike data: no verdict, for too few images or a Precision near 0, which callers tell."""
Counts = NDArray[np.int64] | Sequence[int]
Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class ModeVerdict:
    """kind and verdict (in English, for report.json) by the rules of this file.

    missing: judged classes that are not there. rare, common: others below half or above twice their real share.
    unjudged: real classes of which too few images are there to judge. largest: the class of most generated images,
    with largest_share of them (0 to 1). present of judged: classes that are there.
    """

    kind: Kind
    verdict: str
    missing: tuple[str, ...]
    rare: tuple[str, ...]
    common: tuple[str, ...]
    unjudged: tuple[str, ...]
    largest: str
    largest_share: float
    present: int
    judged: int


def modes_verdict(class_counts: Counts, reference_counts: Counts, classes: Sequence[str]) -> ModeVerdict:
    """The verdict on one seed's generated images by class [C], all repeats together, against real ones [C].

    ValueError where the three are not of equal length, a count is negative, or there are no images.
    """
    generated = np.asarray(class_counts, dtype=np.float64)
    real = np.asarray(reference_counts, dtype=np.float64)
    _require_counts(generated, real, classes)
    expected = generated.sum() * real / real.sum()
    q = float(generated.sum() / (generated.sum() + real.sum()))
    judged = _beyond_chance(np.zeros_like(real), real, q)
    beyond = judged & _beyond_chance(generated, real, q)
    there = judged & ~(beyond & (generated < THERE * expected))
    largest = int(np.argmax(generated))

    def named(which: NDArray[np.bool_]) -> tuple[str, ...]:
        return tuple(name for name, chosen in zip(classes, which, strict=True) if chosen)

    verdict = ModeVerdict(
        kind="covered",
        verdict="all classes there",
        missing=named(judged & ~there),
        rare=named(beyond & there & (generated * UNEVEN < expected)),
        common=named(beyond & (generated > expected * UNEVEN)),
        unjudged=named((real > 0) & ~judged),
        largest=classes[largest],
        largest_share=float(generated[largest] / generated.sum()),
        present=int(there.sum()),
        judged=int(judged.sum()),
    )
    ratios = {
        name: (made / generated.sum(), share / real.sum())
        for name, made, share in zip(classes, generated, real, strict=True)
    }
    return _worded(verdict, ratios)


def _beyond_chance(generated: Float64Array, real: Float64Array, q: float) -> NDArray[np.bool_]:
    """By class [C], as this file says; q: the share of generated images among all."""
    both = np.maximum(generated + real, 1)
    found = generated / both
    divergence = _times_log_ratio(found, q) + _times_log_ratio(real / both, 1 - q)
    return np.asarray(both * divergence >= np.log(2 * len(real) / CHANCE))


def _times_log_ratio(p: Float64Array, q: float) -> Float64Array:
    """p ln(p / q), 0 where p is."""
    return p * np.log(np.where(p > 0, p, 1.0) / q)


def _require_counts(generated: Float64Array, real: Float64Array, classes: Sequence[str]) -> None:
    if not generated.shape == real.shape == (len(classes),):
        raise ValueError(f"{generated.shape} and {real.shape} counts of {len(classes)} classes")
    if min(generated.min(initial=0), real.min(initial=0)) < 0 or generated.sum() < 1 or real.sum() < 1:
        raise ValueError("class shares are of one image or more, and counts are not negative")


def _worded(found: ModeVerdict, shares: Mapping[str, tuple[float, float]]) -> ModeVerdict:
    """With kind and verdict; shares: of the generated and of the real images by class."""
    kind: Kind
    if not found.judged:
        return replace(found, kind="undecided", verdict="too few images to tell")
    if 2 * found.present < found.judged:
        kind, text = (
            "collapsed",
            (
                f"collapsed: {found.present} of {found.judged} classes, "
                f"{percent(found.largest_share)} of the images are {found.largest}"
            ),
        )
    elif found.missing:
        kind, text = "missing", f"classes missing: {', '.join(found.missing)}"
    elif found.rare or found.common:
        uneven = sorted((*found.rare, *found.common), key=lambda name: -shares[name][0] / shares[name][1])
        told = (f"{name}: {percent(shares[name][0])} (real: {percent(shares[name][1])})" for name in uneven)
        kind, text = "uneven", f"uneven: {', '.join(told)}"
    else:
        kind, text = found.kind, found.verdict
    if found.unjudged:
        text += f" (too few images to judge {', '.join(found.unjudged)})"
    return replace(found, kind=kind, verdict=text)


def percent(share: float) -> str:
    """`12 %`, `1.2 %`."""
    return f"{100 * share:.0f} %" if share >= 0.095 else f"{100 * share:.1f} %"
