"""Sheets keep every pixel of their images where they belong, and their text beside them, uncut and readable."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from harness.errors import HarnessError
from harness.gan.grids import require_room
from harness.gan.randomness import random_stream
from harness.gan.sheets import MARGIN, class_sheet, interpolation_sheet, progress_sheet

DIGITS = tuple("0123456789")
BAR = 0x60


def noise(*shape: int) -> torch.Tensor:
    """Images without a pixel as white as paper or as gray as bars, so that they are told apart."""
    images = torch.randint(0, 200, shape, dtype=torch.uint8, generator=random_stream(0, "noise"))
    return images.masked_fill(images == BAR, BAR + 1)


def pixels(sheet: Image.Image) -> NDArray[np.int64]:
    """[H, W, C]"""
    array = np.asarray(sheet).astype(np.int64)
    return array if array.ndim == 3 else array[..., None]


def has_margins(sheet: Image.Image, size: int = 6) -> bool:
    """White on all sides, as cut text or images would not leave."""
    page = pixels(sheet)
    inside = page[size:-size, size:-size]
    return bool((page == 255).sum() - (inside == 255).sum() == page.size - inside.size)


def places(sheet: Image.Image, image: torch.Tensor, factor: int) -> list[tuple[int, int]]:
    """(x, y) of every place where the enlarged image stands."""
    wanted = image.permute(1, 2, 0).numpy().repeat(factor, axis=0).repeat(factor, axis=1).astype(np.int64)
    page, side = pixels(sheet), len(wanted)
    height, width = page.shape[:2]
    corners = np.argwhere((page[: height - side + 1, : width - side + 1] == wanted[0, 0]).all(axis=2))
    return [(int(x), int(y)) for y, x in corners if (page[y : y + side, x : x + side] == wanted).all()]


def runs_of(dark: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last index of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], dark.astype(int), [0]])))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


@pytest.mark.parametrize(("channels", "resolution", "factor"), [(1, 8, 6), (3, 28, 2), (1, 64, 1), (3, 128, 1)])
def test_a_walk_stands_in_rows_with_t_over_its_columns(channels: int, resolution: int, factor: int) -> None:
    images = noise(3, 5, channels, resolution, resolution)
    sheet = interpolation_sheet(images, [0, 0.25, 0.5, 0.75, 1])
    assert sheet.mode == ("L" if channels == 1 else "RGB")
    assert has_margins(sheet)
    found = [[places(sheet, image, factor) for image in row] for row in images]
    assert all(len(place) == 1 for row in found for place in row)
    x = [[place[0][0] for place in row] for row in found]
    y = [[place[0][1] for place in row] for row in found]
    assert all(row == x[0] == sorted(row) for row in x)
    assert all(len(set(row)) == 1 for row in y) and y[0][0] < y[1][0] < y[2][0]
    assert len({right - left for left, right in pairwise(x[0])}) == 1  # nothing is set off
    header = pixels(sheet)[MARGIN : y[0][0]]
    side = resolution * factor
    for left in x[0]:
        assert (header[:, left : left + side] < 100).any()  # t stands there
    assert (pixels(sheet)[y[0][0] - 2 : y[0][0]] == 255).all()  # and does not touch the images
    beside = pixels(sheet)[y[1][0] : y[1][0] + side, : x[0][0] - 2]
    assert (beside < 200).any()


def test_what_lies_beyond_0_and_1_is_set_off_and_marked() -> None:
    times = [-0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5]
    images = noise(2, 9, 1, 8, 8)
    sheet = interpolation_sheet(images, times)
    assert has_margins(sheet)
    x = [places(sheet, image, 6)[0][0] for image in images[0]]
    gaps = [right - left - 48 for left, right in pairwise(x)]
    assert gaps == [2, 12, 2, 2, 2, 2, 12, 2]
    page = pixels(sheet)[..., 0]
    top = places(sheet, images[0, 0], 6)[0][1]
    band = next(row for row in page[:top] if max((b - a for a, b in runs_of(row < 20)), default=0) > 100)
    ((left, right),) = runs_of(band < 20)
    assert abs(left - (x[2] + 24)) <= 1 and abs(right - (x[6] + 24)) <= 1  # from t = 0 to t = 1
    labels = page[top - 18 : top - 2]
    inside = [labels[:, at : at + 48].min() for at in x[2:7]]
    beyond = [labels[:, at : at + 48].min() for at in (*x[:2], *x[7:])]
    assert max(inside) < 20 and min(beyond) > 90


def test_marks_stand_between_columns_that_miss_0_and_1() -> None:
    images = noise(1, 4, 1, 8, 8)
    sheet = interpolation_sheet(images, [-0.5, 0.5, 1.5, 2.5])
    x = [places(sheet, image, 6)[0][0] + 24 for image in images[0]]
    page = pixels(sheet)[..., 0]
    band = next(row for row in page if max((b - a for a, b in runs_of(row < 20)), default=0) > 40)
    ((left, right),) = runs_of(band < 20)
    assert abs(left - (x[0] + x[1]) / 2) <= 2 and abs(right - (x[1] + x[2]) / 2) <= 2


def test_a_walk_that_meets_neither_0_nor_1_has_no_scale() -> None:
    images = noise(1, 3, 1, 8, 8)
    plain = interpolation_sheet(images, [0.25, 0.5, 0.75])
    beyond = interpolation_sheet(images, [1.25, 1.5, 1.75])
    assert plain.size == beyond.size
    half = interpolation_sheet(images, [-0.25, 0.0, 0.25])
    assert half.height > plain.height and has_margins(half)
    assert interpolation_sheet(images, [-40.0, 0.0, 40.0]).height == half.height


@pytest.mark.parametrize("resolution", [8, 32, 100])
def test_progress_has_a_row_for_each_step(resolution: int) -> None:
    images = noise(3, 4, 3, resolution, resolution)
    sheet = progress_sheet(images, [200, 400, 123_456_789])
    factor = max(1, -(-48 // resolution))
    assert has_margins(sheet)
    found = [[places(sheet, image, factor) for image in row] for row in images]
    assert all(len(place) == 1 for row in found for place in row)
    tops = [row[0][0][1] for row in found]
    assert tops == sorted(tops)
    left = found[0][0][0][0]
    for row, top in zip(found, tops, strict=True):
        assert {place[0][1] for place in row} == {top}
        assert [place[0][0] for place in row] == sorted(place[0][0] for place in row)
        assert (pixels(sheet)[top : top + resolution * factor, : left - 2] < 100).any()
    assert (pixels(sheet)[:, left - 3 : left] == 255).all()  # a long number does not touch the images


def test_each_image_has_its_class_under_it() -> None:
    images = noise(50, 1, 16, 16)
    taken_for = [index % 7 for index in range(50)]
    sheet = class_sheet(images, taken_for, DIGITS, "digits")
    assert has_margins(sheet)
    labels: dict[int, set[bytes]] = {}
    for image, index in zip(images, taken_for, strict=True):
        ((x, y),) = places(sheet, image, 3)
        label = pixels(sheet)[y + 50 : y + 67, x : x + 48]
        assert (label < 60).any()
        labels.setdefault(index, set()).add(label.tobytes())
    assert all(len(kinds) == 1 for kinds in labels.values())  # the same text for the same class
    assert len(set.union(*labels.values())) == 7


def bars(sheet: Image.Image) -> list[int]:
    """Lengths of the bars beside the images, from above."""
    rows = [max((b - a + 1 for a, b in runs_of(row == BAR)), default=0) for row in pixels(sheet)[..., 0]]
    return [max(rows[a : b + 1]) for a, b in runs_of(np.array(rows) > 1) if b - a >= 8]


def test_bars_count_the_images_of_each_class() -> None:
    counts = [30, 15, 0, 10, 5]
    taken_for = [index for index, count in enumerate(counts) for _ in range(count)]
    sheet = class_sheet(noise(60, 1, 8, 8), taken_for, ("a", "b", "c", "d", "e"), "mine")
    lengths = bars(sheet)
    assert [round(30 * length / lengths[0]) for length in lengths] == [30, 15, 10, 5]  # none of the missing class
    full = class_sheet(noise(60, 1, 8, 8), [n % 5 for n in range(60)], ("a", "b", "c", "d", "e"), "mine")
    assert len(set(bars(full))) == 1 and len(bars(full)) == 5
    assert full.size == sheet.size


def test_of_many_classes_none_is_called_missing_by_few_images() -> None:
    """50 images can never show 1,008 classes: the list is of those that they are of."""
    few = class_sheet(noise(50, 1, 8, 8), [index % 3 for index in range(50)], [f"c{n}" for n in range(100)], "mine")
    many = class_sheet(noise(50, 1, 8, 8), [index % 3 for index in range(50)], [f"c{n}" for n in range(10)], "mine")

    def lines(sheet: Image.Image) -> int:
        beside = pixels(sheet)[:, 480:, 0] < 100
        return len(runs_of(beside.any(axis=1)))

    assert len(bars(few)) == len(bars(many)) == 3
    assert lines(few) < 3 + 3 + 2 < 10 <= lines(many)


@pytest.mark.parametrize("channels", [1, 3])
def test_names_of_any_length_and_script_fit(channels: int) -> None:
    names = ("a very long name of a class that no image is as wide as", "猫", "", "x\ny", "żółw", "ankle boot")
    sheet = class_sheet(noise(60, channels, 8, 8), [n % 6 for n in range(60)], names, "trained")
    assert has_margins(sheet)
    assert len(bars(sheet)) == 6


def test_many_classes_are_cut_to_the_largest() -> None:
    names = tuple(f"class {index}" for index in range(1008))
    sheet = class_sheet(noise(64, 1, 8, 8), [500] * 40 + list(range(24)), names, "inception")
    assert has_margins(sheet)
    assert sheet.height < 1000
    assert len(bars(sheet)) <= 30 and bars(sheet)[0] == max(bars(sheet))


def test_sheets_that_nobody_could_open_are_refused() -> None:
    require_room(100, 512)
    with pytest.raises(HarnessError, match="10000 images of 512 pixels do not fit into one picture; 302 would"):
        require_room(10_000, 512)
