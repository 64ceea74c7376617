"""Pictures in at most 256 colors where nobody sees the difference; what is flat keeps its color to the bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MOST_COLORS = 256
LEAST_SEEN = 24
"""Of 255: a palette that moves no channel of any dot further than this is taken for the picture itself."""
FINE = 3
"""Likewise: colors nearer than this to one of the palette get none of their own."""
FLAT = 100
"""Dots of one color from which it is kept as it is, so that bands, lines and letters look alike on all pages."""
MOST_FLAT = 96
MOST_LOOKED_AT = 65_536
"""Colors beyond which no palette is looked for: photographs."""

Colors = NDArray[np.int16]
"""[n, 3], 0 to 255."""


def with_few_colors(drawn: Image.Image) -> Image.Image:
    """An RGB picture in at most 256 colors or grays, where that moves no channel by more than `LEAST_SEEN`; else as
    it is."""
    dots = np.asarray(drawn.convert("RGBA")).view("<u4")[:, :, 0] & 0xFFFFFF
    green = dots >> 8
    if not ((dots ^ green) & 0xFFFF).any():
        return drawn.convert("L")
    paper = dots[0, 0]
    inked = dots != paper  # a tenth of a page
    ink = dots[inked]
    numbers, counts = np.unique(ink, return_counts=True)
    if len(numbers) > MOST_LOOKED_AT:
        return drawn
    palette, nearest, moved = _palette(_colors(numbers), counts, _colors(np.array([paper])))
    if moved > LEAST_SEEN:
        return drawn
    places = np.zeros(1 << 24, dtype=np.uint8)
    places[numbers] = nearest
    few = np.zeros(dots.shape, dtype=np.uint8)
    few[inked] = places[ink]
    image = Image.fromarray(few)
    image.putpalette(palette.astype(np.uint8).tobytes())
    return image


def _palette(colors: Colors, counts: NDArray[np.int64], paper: Colors) -> tuple[Colors, NDArray[np.uint8], int]:
    """The paper's color, flat ones, and of the others again and again the one that is farthest from all of these.

    With the place in it of each of `colors` [n], and the most that any channel moves. The others are the edges of
    letters and lines.
    """
    flat = np.argsort(-counts, kind="stable")[:MOST_FLAT]
    chosen = [paper[0], *colors[flat[counts[flat] >= FLAT]]]
    nearest = np.zeros(len(colors), dtype=np.uint8)
    distance = np.full(len(colors), np.iinfo(np.int16).max, dtype=np.int16)
    channels = np.ascontiguousarray(colors.T)  # one after another takes a third of the time
    for place in range(MOST_COLORS):
        if place == len(chosen):
            farthest = int(distance.argmax())
            if distance[farthest] <= FINE:
                break
            chosen.append(colors[farthest])
        found = np.abs(channels - chosen[place][:, np.newaxis]).max(axis=0)
        nearer = found < distance
        nearest[nearer] = place
        distance[nearer] = found[nearer]
    return np.array(chosen), nearest, int(distance.max(initial=0))


def _colors(numbers: NDArray[np.uint32]) -> Colors:
    return np.stack([numbers & 255, numbers >> 8 & 255, numbers >> 16 & 255], axis=1).astype(np.int16)
