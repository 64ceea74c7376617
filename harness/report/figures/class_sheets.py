"""Images with the class under each, and beside them a bar for each class with the share of real images marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.report.figures.samples import SamplePanel
from harness.report.figures.style import GRAY, cell_title, empty_panel, figure_style, new_figure, pages, wrapped
from harness.report.language import ENGLISH, Language

TO_A_PAGE = 6
MOST_BARS = 24
"""Classes that have a bar; of more, those of most images."""
LONGEST = 3.0
"""Times the largest real share at which bars are cut, so that one collapsed cell does not shrink all others."""
_COLUMNS = 2
_GRID, _BARS, _GAP, _TITLE, _HEAD = 3.1, 1.35, 0.45, 0.55, 0.5
"""Inches: the width of the images, of the bars, between them, over a panel, and over the page."""
_NAME_WIDTH = 10


@dataclass(frozen=True)
class ClassPanel:
    """One cell's images without the bars that their sheet has (`sample.picture`), images by class, and by class the
    share of the real images; without counts, the whole sheet."""

    sample: SamplePanel
    counts: Mapping[str, int]
    real: Mapping[str, float]


@figure_style()
def class_sheets(panels: Sequence[ClassPanel], extractor: str, language: Language = ENGLISH) -> list[Figure]:
    """Every cell's images and bars, on one scale of shares; TO_A_PAGE to a page."""
    found = [count / sum(panel.counts.values()) for panel in panels for count in panel.counts.values() if count]
    real = max((share for panel in panels for share in panel.real.values()), default=1.0)
    most = max(real, min(max(found, default=1.0), LONGEST * real))
    return [_page(page, most, extractor, language) for page in pages(panels, TO_A_PAGE)]


def _page(page: Sequence[ClassPanel], most: float, extractor: str, language: Language) -> Figure:
    columns = min(_COLUMNS, len(page))
    rows = [page[at : at + columns] for at in range(0, len(page), columns)]
    tall = [max(_GRID * _shape(panel) for panel in row) for row in rows]
    wide = _GRID + _BARS + 2 * _GAP
    width, height = wide * columns + 0.15, sum(tall) + _TITLE * len(rows) + _HEAD + 0.35
    figure = new_figure(width, height)
    figure.set_layout_engine("none")
    top = height - _HEAD
    for row, high in zip(rows, tall, strict=True):
        top -= _TITLE
        for column, panel in enumerate(row):
            own, left = _GRID * _shape(panel), 0.15 + column * wide
            images = figure.add_axes((left / width, (top - own) / height, _GRID / width, own / height))
            bars = figure.add_axes(((left + _GRID + _GAP) / width, (top - own) / height, _BARS / width, own / height))
            _panel(images, bars, panel, most, language)
        top -= high
    _legend(figure, page, extractor, language)
    return figure


def _shape(panel: ClassPanel) -> float:
    """Height over width; a square where there is no picture."""
    picture = panel.sample.picture
    return picture.shape[0] / picture.shape[1] if picture is not None else 1.0


def _panel(images: Axes, bars: Axes, panel: ClassPanel, most: float, language: Language) -> None:
    sample = panel.sample
    name = wrapped(sample.label, 34, 2, sample.mark)
    where = (
        language.say("seed {seed}, step {step}", seed=sample.seed, step=sample.step)
        if sample.step is not None
        else language.say("seed {seed}", seed=sample.seed)
    )
    cell_title(images, f"{name}\n{where}", sample.style)
    if sample.picture is None:
        empty_panel(images, sample.missing)
        bars.remove()
        return
    gray = sample.picture.ndim == 2
    images.imshow(
        sample.picture, cmap="gray" if gray else None, vmin=0, vmax=255, interpolation="antialiased", aspect="auto"
    )
    images.set(xticks=[], yticks=[])
    images.grid(False)
    if panel.counts:
        _draw_bars(bars, panel, most)
    else:
        bars.remove()


def _draw_bars(axes: Axes, panel: ClassPanel, most: float) -> None:
    """The share of each class, with its count behind the bar and a mark where real images have it."""
    total = sum(panel.counts.values())
    names = list(panel.counts)
    if len(names) > MOST_BARS:
        names = sorted(names, key=lambda name: -panel.counts[name])[:MOST_BARS]
    places = range(len(names))
    axes.barh(places, [min(panel.counts[name] / total, most) for name in names], height=0.62, color="#9a9a9a", zorder=2)
    for place, name in zip(places, names, strict=True):
        share, real = min(panel.counts[name] / total, most), panel.real.get(name)
        if real is not None:
            axes.plot([real, real], [place - 0.42, place + 0.42], color="black", linewidth=1.4, zorder=3)
        end = max(share, real or 0.0)
        axes.text(end + 0.03 * most, place, str(panel.counts[name]), ha="left", va="center", fontsize=7)
    axes.set_yticks(list(places), [wrapped(name, _NAME_WIDTH, 1) for name in names])
    axes.tick_params(axis="y", labelsize=7, length=0)
    axes.set(xticks=[], xlim=(0, 1.2 * most), ylim=(max(len(names), 8) - 0.4, -0.6))
    axes.grid(False)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)


def _legend(figure: Figure, page: Sequence[ClassPanel], extractor: str, language: Language) -> None:
    if not any(panel.counts for panel in page):
        return
    handles = {
        language.say("images of the class given by the classifier {extractor}", extractor=extractor): Line2D(
            [], [], color="#9a9a9a", linewidth=6
        ),
        language.say("share of the real images"): Line2D([], [], color="black", marker="|", markersize=9, linestyle=""),
    }
    figure.legend(list(handles.values()), list(handles), loc="upper center", ncols=2, fontsize=8.5, labelcolor=GRAY)
