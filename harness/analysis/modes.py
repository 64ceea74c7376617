"""Mode coverage: which classes of the real images a generator makes, and whether in their shares. Pure.

Judged is a class of which at least EXPECTED generated images were to be expected from its real share; of rarer ones, or
with too few images, nothing is said. Rules, the first that holds:

- collapsed: fewer than half of the judged classes are there, that is with at least a tenth of their real share, so that
  a few images that the classifier gets wrong hide no collapse;
- classes missing: a judged class has no image at all;
- uneven: a judged class has less than half or more than twice its real share, and differs from it by more than four
  standard deviations of the counts (Poisson's, of generated and real ones), so that chance is no verdict;
- else all classes are there, with shares as in the data, as far as so many images can tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

EXPECTED = 5
"""Images to be expected of a class before its absence means anything: by chance none come with probability e^-5."""

THERE = 0.1
UNEVEN = 2.0
DEVIATIONS = 4.0
"""Beyond which a share is no chance even where there are a thousand classes."""

Kind = Literal["covered", "uneven", "missing", "collapsed", "undecided"]
Counts = NDArray[np.int64] | Sequence[int]


@dataclass(frozen=True)
class ModeVerdict:
    """kind and verdict (for people) by the rules of this file.

    missing: judged classes without an image. rare, common: judged classes below half or above twice their real share.
    unjudged: real classes of which too few images were to be expected. largest: the class of most generated images,
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
    """The verdict on generated images by class [C], all repeats and seeds together, against real ones [C].

    ValueError where the three are not of equal length, a count is negative, or there are no images.
    """
    generated = np.asarray(class_counts, dtype=np.float64)
    real = np.asarray(reference_counts, dtype=np.float64)
    _require_counts(generated, real, classes)
    expected = generated.sum() * real / real.sum()
    judged = expected >= EXPECTED
    spread = DEVIATIONS * np.sqrt(expected + expected**2 / np.maximum(real, 1))
    beyond = judged & (np.abs(generated - expected) > spread)
    there = judged & (generated > 0) & (generated >= THERE * expected)
    largest = int(np.argmax(generated))

    def named(which: NDArray[np.bool_]) -> tuple[str, ...]:
        return tuple(name for name, chosen in zip(classes, which, strict=True) if chosen)

    verdict = ModeVerdict(
        kind="covered",
        verdict="all classes, shares as in the data",
        missing=named(judged & (generated == 0)),
        rare=named(beyond & (generated > 0) & (generated * UNEVEN < expected)),
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


def _require_counts(generated: NDArray[np.float64], real: NDArray[np.float64], classes: Sequence[str]) -> None:
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
                f"{_percent(found.largest_share)} of the images are {found.largest}"
            ),
        )
    elif found.missing:
        kind, text = "missing", f"classes missing: {', '.join(found.missing)}"
    elif found.rare or found.common:
        uneven = sorted((*found.rare, *found.common), key=lambda name: -shares[name][0] / shares[name][1])
        told = (f"{name}: {_percent(shares[name][0])} (real: {_percent(shares[name][1])})" for name in uneven)
        kind, text = "uneven", f"uneven: {', '.join(told)}"
    else:
        kind, text = found.kind, found.verdict
    if found.unjudged:
        text += f" (too few images to judge {', '.join(found.unjudged)})"
    return replace(found, kind=kind, verdict=text)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.095 else f"{100 * share:.1f} %"
