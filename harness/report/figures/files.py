"""Figures as files: PNG with few colors where nobody sees the difference, SVG for drawings; bytes repeat exactly."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from harness.report.figures.few_colors import with_few_colors
from harness.report.figures.style import figure_style

MOST_DPI = 300.0
"""Figures with pictures of pixels are made as large as this, so that each of those pixels is a whole number of dots."""
LEFT_OVER = 0.02
"""Dots per pixel by which such a picture may be larger than its place, where the figure's size was rounded."""
LEAST_WHOLE = 0.9
"""How small a picture in whole dots may be beside the others of its figure, each as a share of its place."""
LONG_TEXT = 4096
"""Letters from which a text is compressed: hundreds of runs take hundreds of kilobytes."""
COMPRESSION = 6
"""zlib's level: 9 takes three times as long for 5 to 10 % less."""

_DECIMALS = re.compile(rb"(scale\([^)]*\)|\d\.\d\d)\d*")
"""Of numbers, those past the second; sizes of letters have to keep theirs."""
_INDENTS = re.compile(rb"\n\s+")
_GROUP_NAMES = re.compile(rb'(?<=<g) id="\w+"')
_COMMENT = re.compile(rb"<!--.*?-->\s*", re.DOTALL)
_NAMES = re.compile(rb"(?<=[\"#])(p[0-9a-f]{10})(?=[\")])")
"""Names of clips: `id="pa1c88a340e"`, `url(#pa1c88a340e)`."""
_NOT_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


@dataclass(frozen=True)
class FigureFiles:
    """One figure in its forms; svg: None where it holds pictures made of pixels, or none was asked for."""

    png: bytes
    svg: bytes | None


def figure_files(figure: Figure, about: Mapping[str, str]) -> FigureFiles:
    """The figure as files with `about` as their text (`Title` is the title); equal figures give equal bytes.

    Consumes the figure: its layout is fixed and its size in dots may change.
    """
    return _files(figure, about, has_drawing=not any(axes.images for axes in figure.axes))


def png_alone(figure: Figure, about: Mapping[str, str]) -> FigureFiles:
    """As `figure_files`, without SVG."""
    return _files(figure, about, has_drawing=False)


def _files(figure: Figure, about: Mapping[str, str], *, has_drawing: bool) -> FigureFiles:
    _ease_layout(figure)
    with figure_style():
        _settle(figure)
        if any(axes.images for axes in figure.axes):
            _show_pixels_whole(figure)
        return FigureFiles(_png(figure, about), _svg(figure, about) if has_drawing else None)


def _settle(figure: Figure) -> None:
    """Lays the figure out, once. The last digits of the solver's answer vary from process to process: they are cut."""
    engine = figure.get_layout_engine()
    if engine is None:
        return
    engine.execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = axes.get_position(original=True).bounds
        axes.set_position((round(left, 6), round(bottom, 6), round(width, 6), round(height, 6)))


def _ease_layout(figure: Figure) -> None:
    """Spares matplotlib the search for places of axis labels without text, and measuring the frames of panels."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if not axis.get_label_text():
                axis.set_label_coords(0, 0)
        for spine in axes.spines.values():
            spine.set_in_layout(False)


def _png(figure: Figure, about: Mapping[str, str]) -> bytes:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    dots = canvas.buffer_rgba()  # type: ignore[no-untyped-call]
    drawn = Image.frombuffer("RGBA", canvas.get_width_height(), dots).convert("RGB")
    texts = PngInfo()
    for keyword, text in about.items():
        texts.add_text(keyword, text, zip=len(text) > LONG_TEXT)
    dpi = (figure.dpi, figure.dpi)
    buffer = io.BytesIO()
    with_few_colors(drawn).save(buffer, format="PNG", pnginfo=texts, dpi=dpi, compress_level=COMPRESSION)
    return buffer.getvalue()


def _svg(figure: Figure, about: Mapping[str, str]) -> bytes:
    """As laid out for the PNG; text as outlines, since fonts may be missing, and no more points than can be seen.

    Its description is the JSON object of all texts but the title.
    """
    buffer = io.BytesIO()
    description = json.dumps({name: text for name, text in about.items() if name != "Title"}, sort_keys=True)
    metadata = {"Title": about.get("Title", ""), "Description": description, "Date": None, "Creator": None}
    figure.set_layout_engine("none")
    with matplotlib.rc_context({"svg.hashsalt": "harness", "svg.fonttype": "path", "path.simplify_threshold": 0.2}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata=metadata)  # type: ignore[no-untyped-call]
    drawn = _NOT_XML.sub(b"", _COMMENT.sub(b"", buffer.getvalue()))
    texts, end, shapes = _INDENTS.sub(b"\n", drawn).partition(b"</metadata>")
    return _renamed(texts + end + _DECIMALS.sub(rb"\1", _GROUP_NAMES.sub(b"", shapes)))


def _renamed(drawn: bytes) -> bytes:
    """With names in order of appearance: matplotlib makes those of clips from addresses in memory."""
    names: dict[bytes, bytes] = {}
    return _NAMES.sub(lambda found: names.setdefault(found[1], b"p%d" % len(names)), drawn)


def _show_pixels_whole(figure: Figure) -> None:
    """Sets pictures to a whole number of dots per pixel where the figure gets no larger than `MOST_DPI` by it.

    Else they stay resampled. Blurring is what makes such figures large, and it hides what the generator drew.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    shown = [axes for axes in figure.axes if axes.images]
    dots = [axes.get_window_extent().width / _width(axes) for axes in shown]
    dpi = figure.dpi * max(ceil(scale) / scale for scale in dots)
    if dpi > MOST_DPI or not _stay_alike(shown, dpi / figure.dpi):
        return
    places = [axes.get_position() for axes in shown]
    figure.set_dpi(dpi)
    width, height = figure.bbox.size
    for axes, place in zip(shown, places, strict=True):
        rows, columns = axes.images[0].get_size()
        scale = max(1, int(place.width * width / columns + LEFT_OVER))
        left = round(place.x0 * width + (place.width * width - scale * columns) / 2)
        bottom = round(place.y0 * height)
        axes.set_aspect("auto")
        axes.set_position((left / width, bottom / height, scale * columns / width, scale * rows / height))
        axes.images[0].set_interpolation("nearest")


def _stay_alike(shown: Sequence[Axes], larger: float) -> bool:
    """Whether pictures that are of one width are so in whole dots, too: those of other pixels may not be."""
    places = [axes.get_window_extent().width * larger for axes in shown]
    shares = [
        int(place / _width(axes) + LEFT_OVER) * _width(axes) / place for place, axes in zip(places, shown, strict=True)
    ]
    return min(shares) > LEAST_WHOLE * max(shares)


def _width(axes: Axes) -> int:
    """Pixels in a row of the axes' picture."""
    return int(axes.images[0].get_size()[1])
