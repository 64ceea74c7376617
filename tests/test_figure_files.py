"""Figures as files: few colors without a visible loss, sharp pixels, SVG for drawings, and bytes that repeat."""

from __future__ import annotations

import io
import itertools
import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from harness.report.figures.few_colors import LEAST_SEEN, with_few_colors
from harness.report.figures.files import MOST_DPI, FigureFiles, figure_files
from harness.report.figures.samples import SamplePanel, sample_grids
from harness.report.figures.style import cell_styles, figure_style, panel_grid

SVG = "{http://www.w3.org/2000/svg}"


@figure_style()
def drawing(title: str = "a cell") -> Figure:
    figure, panels = panel_grid(4, 2.0)
    steps = np.linspace(0, 20, 300)
    for panel, style in zip(panels, cell_styles([True, False, False, False]), strict=True):
        panel.set_title(title)
        panel.plot(steps, np.sin(steps), color=style.color)
        panel.plot(steps, np.cos(steps), color=style.color, alpha=0.4)
    figure.supxlabel("step")
    return figure


def sheet(picture: NDArray[np.uint8], count: int = 1) -> Figure:
    styles = cell_styles([index == 0 for index in range(count)])
    return sample_grids([SamplePanel(f"cell {i}", f"#{i}", styles[i], 0, 10, picture) for i in range(count)])[0]


def opened(files: FigureFiles) -> Image.Image:
    image = Image.open(io.BytesIO(files.png))
    image.load()
    return image


def test_bytes_repeat_and_name_neither_date_nor_version() -> None:
    first, second = (figure_files(drawing(), {"Title": "t", "harness:experiment": "e"}) for _ in range(2))
    assert first == second
    assert set(opened(first).info) == {"Title", "harness:experiment", "dpi"}
    assert first.svg is not None
    assert b"atplotlib v" not in first.svg and b"dc:date" not in first.svg


def test_a_drawing_keeps_its_looks_in_less_than_half_of_the_bytes() -> None:
    figure = drawing()
    canvas = FigureCanvasAgg(figure)
    with figure_style():
        canvas.draw()
    plain = np.asarray(canvas.buffer_rgba())[:, :, :3].astype(np.int16)
    buffer = io.BytesIO()
    Image.fromarray(plain.astype(np.uint8)).save(buffer, format="PNG")
    files = figure_files(drawing(), {})
    shown = opened(files)
    assert shown.mode == "P"
    assert np.abs(np.asarray(shown.convert("RGB")) - plain).max() <= LEAST_SEEN
    assert 2 * len(files.png) < len(buffer.getvalue())


def test_pictures_in_color_keep_every_color_and_gray_ones_need_one_channel() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert with_few_colors(Image.fromarray(noise)).mode == "RGB"
    gray = Image.fromarray(noise[:, :, :1].repeat(3, axis=2))
    kept = with_few_colors(gray)
    assert kept.mode == "L"
    assert kept.convert("RGB").tobytes() == gray.tobytes()


def test_what_is_flat_keeps_its_color_whatever_else_is_on_the_page() -> None:
    band, line = (235, 236, 235), (1, 115, 178)
    for seed in range(2):
        page = np.full((300, 300, 3), 255, dtype=np.uint8)
        page[20:280, 20:280] = band
        page[100:103, 20:280] = line
        edges = np.random.default_rng(seed).integers(-12, 13, (60, 60, 3))
        page[200:260, 200:260] = np.clip(np.array(band) + edges, 0, 255)
        few = with_few_colors(Image.fromarray(page))
        assert few.mode == "P"
        shown = np.asarray(few.convert("RGB"))
        assert (shown[30, 30] == band).all() and (shown[101, 150] == line).all() and (shown[0, 0] == 255).all()


@pytest.mark.parametrize("shape", [(70, 70), (70, 70, 3), (201, 140)])
def test_every_pixel_of_a_picture_becomes_a_square_of_equal_dots(shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    files = figure_files(sheet(picture), {})
    assert files.svg is None
    shown = np.asarray(opened(files).convert("RGB"))
    wanted = picture if picture.ndim == 3 else picture[:, :, None].repeat(3, axis=2)
    assert any(_holds(shown, wanted.repeat(scale, 0).repeat(scale, 1)) for scale in range(1, 8))


def _holds(page: NDArray[np.uint8], part: NDArray[np.uint8]) -> bool:
    """Whether `part` lies somewhere on `page`, but for its outermost dots, which a frame may cover."""
    inner = part[8:-8, 8:-8].astype(np.int16)
    rows, columns = page.shape[0] - inner.shape[0] + 1, page.shape[1] - inner.shape[1] + 1
    if rows < 1 or columns < 1:
        return False
    near = np.abs(page[:rows, :columns].astype(np.int16) - inner[0, 0]).max(axis=2) <= 2
    height, width = inner.shape[:2]
    return any(
        np.abs(page[y : y + height, x : x + width].astype(np.int16) - inner).max() <= 2 for y, x in np.argwhere(near)
    )


def test_pictures_too_large_for_whole_dots_are_resampled_within_the_page() -> None:
    picture = np.random.default_rng(2).integers(0, 256, (900, 900), dtype=np.uint8)
    shown = opened(figure_files(sheet(picture, 4), {}))
    assert shown.info["dpi"][0] <= MOST_DPI + 1
    assert shown.width < 3000


def test_svg_is_whole_and_carries_the_same_text_whatever_names_hold() -> None:
    hostile = "</title><script>alert(1)</script> --> & \x1b[31m 中"
    about = {"Title": hostile, "harness:sources": json.dumps([{"cell": hostile}])}
    svg = figure_files(drawing(title=hostile.replace("\x1b", "")), about).svg
    assert svg is not None and len(svg) < 120_000
    root = ET.fromstring(svg)
    assert root.find(f".//{SVG}script") is None
    assert root.findtext(f"{SVG}title") == hostile.replace("\x1b", "")
    described = root.findtext(".//{http://purl.org/dc/elements/1.1/}description")
    assert described is not None
    assert json.loads(json.loads(described)["harness:sources"]) == [{"cell": hostile}]
    assert root.find(f".//{SVG}image") is None
    assert not [link for node in root.iter() for link in node.attrib.values() if "http" in link and "dcmi" not in link]


def test_cells_are_told_apart_by_color_blind_people_and_in_gray() -> None:
    styles = cell_styles([True, *[False] * 55])
    assert len({(style.color, style.marker) for style in styles}) == 56
    assert len({(style.marker, style.dashes) for style in styles}) == 8
    colors = sorted({style.color for style in styles})
    for seen_as in _SIGHTS.values():
        labs = [_lab(seen_as @ _linear(color)) for color in colors]
        assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(labs, 2)) > 10
    patterns = [_pattern(dashes) for dashes in {style.dashes for style in styles}]
    assert min(float(np.mean(a != b)) for a, b in itertools.combinations(patterns, 2)) > 0.1


_SIGHTS = {
    "all": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""Linear RGB as people see it (Machado et al. 2009, severity 1)."""


def _linear(color: str) -> NDArray[np.float64]:
    parts = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def _lab(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE Lab of linear sRGB, white point D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ np.clip(linear, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def _pattern(dashes: tuple[float, ...], length: float = 60.0) -> NDArray[np.bool_]:
    """Where ink is along a line, sampled ten times per unit."""
    at = np.arange(0, length, 0.1)
    if not dashes:
        return np.ones(len(at), dtype=bool)
    within = at % sum(dashes)
    ends = np.cumsum(dashes)
    return np.searchsorted(ends, within, side="right") % 2 == 0
