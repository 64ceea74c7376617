"""Pictures of images with text beside them: walks between latents, one noise over all checkpoints, classes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from harness.design.picture_sizes import GAP, SMALLEST_SIDE, enlarged_side
from harness.gan.grids import enlarged, picture_of

MARGIN = 12
SET_OFF = 12
"""Pixels between images of t inside [0, 1] and those beyond."""

MAX_BARS = 24
"""Classes listed at least; further ones where there is room beside the images."""

_INK, _FAINT, _RULE, _BAR = "#000000", "#707070", "#b0b0b0", "#606060"
_BAR_LENGTH = 120
_LARGEST_GLYPH = 0x24F
"""Latin letters: what the font has."""


@dataclass(frozen=True)
class _Text:
    """A font with the height of its lines, in pixels."""

    font: ImageFont.FreeTypeFont | ImageFont.ImageFont
    line: int

    def width(self, text: str) -> int:
        return math.ceil(self.font.getlength(text))

    def fitted(self, text: str, width: float) -> str:
        """The text, cut where it is wider than `width` pixels."""
        if self.width(text) <= width:
            return text
        return next((cut for n in range(len(text), 0, -1) if self.width(cut := text[:n] + "…") <= width), "…")


def interpolation_sheet(images: Tensor, times: Sequence[float]) -> Image.Image:
    """A row of images for each pair of latents, with t over the columns.

    images: uint8 [pairs, points, C, R, R]; times: [points], ascending. Where they go beyond [0, 1] those images are
    set off, their t is gray, and a scale over the columns shows where t = 0 and t = 1 lie.
    """
    pairs = len(images)
    side, text, shown = _side(images), _text(images), _time_texts(times)
    column = max(side, _widest(text, shown) + 6)
    beyond = times[0] < 0 <= times[-1] or times[0] <= 1 < times[-1]
    margin = MARGIN + text.width(str(pairs)) + 6
    top = MARGIN + (2 * text.line if beyond else 0) + text.line
    lefts = _column_edges(times, margin, column)
    centers = [left + column / 2 for left in lefts]
    sheet, draw = _blank(images, lefts[-1] + column + MARGIN, top + pairs * (side + GAP) - GAP + MARGIN)
    if beyond:
        _scale(draw, text, times, centers, MARGIN)
    draw.text((margin - 6, top - 6), "t", font=text.font, fill=_FAINT, anchor="rs")
    for center, t, told in zip(centers, times, shown, strict=True):
        ink = _INK if 0 <= t <= 1 else _FAINT
        draw.text((center, top - 6), told, font=text.font, fill=ink, anchor="ms")
    for row, cells in enumerate(images):
        y = top + row * (side + GAP)
        draw.text((margin - 6, y + side / 2), str(row + 1), font=text.font, fill=_FAINT, anchor="rm")
        _paste_row(sheet, cells, [left + (column - side) // 2 for left in lefts], y)
    return sheet


def progress_sheet(images: Tensor, steps: Sequence[int]) -> Image.Image:
    """A row of images for each checkpoint, with its step beside it: uint8 [checkpoints, N, C, R, R]."""
    side, text = _side(images), _text(images)
    margin = MARGIN + _widest(text, ["step", *map(str, steps)]) + 8
    top = MARGIN + text.line
    width = margin + images.shape[1] * (side + GAP) - GAP + MARGIN
    sheet, draw = _blank(images, width, top + len(steps) * (side + GAP) - GAP + MARGIN)
    draw.text((margin - 8, top - 6), "step", font=text.font, fill=_FAINT, anchor="rs")
    lefts = [margin + column * (side + GAP) for column in range(images.shape[1])]
    for row, (step, cells) in enumerate(zip(steps, images, strict=True)):
        y = top + row * (side + GAP)
        draw.text((margin - 8, y + side / 2), str(step), font=text.font, fill=_INK, anchor="rm")
        _paste_row(sheet, cells, lefts, y)
    return sheet


def class_sheet(images: Tensor, taken_for: Sequence[int], classes: Sequence[str], extractor: str) -> Image.Image:
    """Images with the class under each that a classifier takes it for, and how many each class has beside them.

    images: uint8 [N, C, R, R]; taken_for: N indices into `classes`, the names; extractor: the classifier's name.
    Classes without an image are marked.
    """
    side, text = _side(images), _text(images)
    names = [_legible(name, index) for index, name in enumerate(classes)]
    shown = [names[index] for index in taken_for]
    column, columns = _class_column(images, shown), math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    pitch_x, pitch_y = column + 3 * GAP, side + text.line + 3 * GAP
    bars = _Bars(np.bincount(taken_for, minlength=len(classes)).tolist(), names, text, extractor)
    grid_width, grid_height = columns * pitch_x, rows * pitch_y
    shown_bars = max(MAX_BARS, grid_height // text.line - 5)
    width = MARGIN + grid_width + 2 * MARGIN + bars.width + MARGIN
    height = MARGIN + max(grid_height, bars.height(shown_bars)) + MARGIN
    sheet, draw = _blank(images, width, height)
    for number, (image, name) in enumerate(zip(images, shown, strict=True)):
        x = MARGIN + number % columns * pitch_x
        y = MARGIN + number // columns * pitch_y
        _paste_row(sheet, image[None], [x + (column - side) // 2], y)
        place = (x + column / 2, y + side + text.line - 3)
        draw.text(place, text.fitted(name, column), font=text.font, fill=_INK, anchor="ms")
    bars.draw(draw, MARGIN + grid_width + 2 * MARGIN, MARGIN, shown_bars)
    return sheet


def class_grid_width(images: Tensor, taken_for: Sequence[int], classes: Sequence[str]) -> int:
    """Pixels of the sheet of classes from its left edge to the end of the images, with the bars left out."""
    shown = [_legible(classes[index], index) for index in taken_for]
    return MARGIN + math.ceil(math.sqrt(len(images))) * (_class_column(images, shown) + 3 * GAP)


def _class_column(images: Tensor, shown: Sequence[str]) -> int:
    """Pixels for an image and the name under it."""
    return max(_side(images), min(_widest(_text(images), shown), 2 * SMALLEST_SIDE))


FAIR_SHARE = 5
"""Images for each class below which a class that none is of may be no more than chance, and is not called missing."""


class _Bars:
    """Numbers of images by class, a bar each; of many classes, beside few images, only those that images are of."""

    def __init__(self, counts: Sequence[int], names: Sequence[str], text: _Text, extractor: str) -> None:
        self._counts, self._text = counts, text
        self._names = [text.fitted(name, 2 * _BAR_LENGTH) for name in names]
        there = sum(count > 0 for count in counts)
        self._tells = sum(counts) >= FAIR_SHARE * len(counts)
        self._head = f"{sum(counts)} images by class"
        self._by = f"given by the classifier {extractor}"
        self._foot = f"{there} of {len(counts)} classes among these images"
        self._names_width = _widest(text, self._names)

    @property
    def width(self) -> int:
        bar = self._names_width + 8 + _BAR_LENGTH + 6 + self._text.width(str(sum(self._counts)))
        return max(
            bar, *(self._text.width(line) for line in (self._head, self._by, self._foot, self._rest(1000, 100_000)))
        )

    def height(self, most: int) -> int:
        return self._text.line * (min(most, len(self._listed())) + 5)

    def draw(self, draw: ImageDraw.ImageDraw, x: int, y: int, most: int) -> None:
        """At most `most` bars: all classes in their order, or the largest first."""
        font, line = self._text.font, self._text.line
        order = self._listed()
        if len(order) > most or not self._tells:
            order = sorted(order, key=lambda index: -self._counts[index])
        draw.text((x, y + line), self._head, font=font, fill=_INK, anchor="ls")
        draw.text((x, y + 2 * line), self._by, font=font, fill=_FAINT, anchor="ls")
        y += round(2.5 * line)
        start, longest = x + self._names_width + 8, max(self._counts)
        for index in order[:most]:
            count = self._counts[index]
            draw.text((start - 8, y + line / 2), self._names[index], font=font, fill=_INK, anchor="rm")
            length = round(_BAR_LENGTH * count / longest)
            if count:
                draw.rectangle((start, y + 3, start + max(length, 1), y + line - 4), fill=_BAR)
            draw.text((start + length + 6, y + line / 2), str(count), font=font, fill=_INK, anchor="lm")
            y += line
        if rest := order[most:]:
            told = self._rest(len(rest), sum(self._counts[index] for index in rest))
            draw.text((x, y + line), told, font=font, fill=_FAINT, anchor="ls")
            y += line
        draw.text((x, y + round(1.2 * line)), self._foot, font=font, fill=_INK, anchor="ls")

    def _listed(self) -> list[int]:
        return [index for index, count in enumerate(self._counts) if count or self._tells]

    @staticmethod
    def _rest(classes: int, images: int) -> str:
        return f"and {classes} other classes: {images}"


def _column_edges(times: Sequence[float], left: int, column: int) -> list[int]:
    """x of every column of the width `column`, with more room where t enters or leaves [0, 1]."""
    edges = [left]
    for before, t in pairwise(times):
        crosses = (0 <= before <= 1) != (0 <= t <= 1) or (before < 0 and t > 1)
        edges.append(edges[-1] + column + (SET_OFF if crosses else GAP))
    return edges


def _scale(draw: ImageDraw.ImageDraw, text: _Text, times: Sequence[float], centers: Sequence[float], y: int) -> None:
    """A line from the first to the last column, thick where t is in [0, 1], with t = 0 and t = 1 marked."""
    rule = y + text.line + text.line // 2 - 2
    draw.line((centers[0], rule, centers[-1], rule), fill=_RULE, width=1)
    low, high = max(times[0], 0.0), min(times[-1], 1.0)
    marks = {f"t = {t}": float(np.interp(t, times, centers)) for t in (0, 1) if times[0] <= t <= times[-1]}
    ends = [float(np.interp(t, times, centers)) for t in (low, high)]
    draw.rectangle((ends[0], rule - 1, ends[1], rule + 1), fill=_INK)
    for x in marks.values():
        draw.rectangle((x - 1, rule - 5, x + 1, rule + 5), fill=_INK)
    if len(marks) == 2 and ends[1] - ends[0] < text.width("t = 0") + 8:
        marks = {"t in [0, 1]": sum(ends) / 2}
    for told, x in marks.items():
        draw.text((x, y + text.line - 6), told, font=text.font, fill=_INK, anchor="ms")


def _time_texts(times: Sequence[float]) -> list[str]:
    """t with as many decimals as tell neighbors apart, at least two, and none where all are whole."""
    if all(t == round(t) for t in times):
        return [str(round(t)) for t in times]
    step = (times[-1] - times[0]) / (len(times) - 1)
    decimals = max(2, 1 - math.floor(math.log10(step)))
    texts = [f"{t:.{decimals}f}" for t in times]
    return [text.lstrip("-") if float(text) == 0 else text for text in texts]


def _legible(name: str, index: int) -> str:
    """The name of a class, its number where the font lacks letters of it."""
    plain = name.strip()
    return plain if plain and plain.isprintable() and ord(max(plain)) <= _LARGEST_GLYPH else f"#{index}"


def _side(images: Tensor) -> int:
    """Pixels of an image on the sheet."""
    return enlarged_side(images.shape[-1])


def _text(images: Tensor) -> _Text:
    size = min(20, max(13, _side(images) // 8))
    return _Text(ImageFont.load_default(size=size), math.ceil(1.4 * size))


def _widest(text: _Text, lines: Iterable[str]) -> int:
    return max(text.width(line) for line in lines)


def _blank(images: Tensor, width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """A white sheet for gray or RGB images."""
    sheet = Image.new("L" if images.shape[-3] == 1 else "RGB", (width, height), "#ffffff")
    return sheet, ImageDraw.Draw(sheet)


def _paste_row(sheet: Image.Image, images: Tensor, lefts: Sequence[int], top: int) -> None:
    for image, left in zip(enlarged(images, SMALLEST_SIDE), lefts, strict=True):
        sheet.paste(picture_of(image), (left, top))
