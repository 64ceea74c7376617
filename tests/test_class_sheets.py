"""Sheets of classes in the report: the images of workers' sheets, and bars on one scale beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from figure_layout import layout_defects
from report_data import Story, measured_plan
from report_tables import content_of
from test_figures import labels

from harness.report.chosen_cells import small_panels, with_styles
from harness.report.class_panels import class_panels
from harness.report.figures.class_sheets import LONGEST, MOST_BARS, ClassPanel, class_sheets
from harness.report.figures.samples import SamplePanel
from harness.report.figures.style import cell_styles, figure_style
from harness.report.sheets import picture_sheets

REAL = {str(digit): 0.1 for digit in range(10)}


def panels(count: int, counts: dict[str, int] | None = None) -> list[ClassPanel]:
    styles = cell_styles([index == 0 for index in range(count)])
    picture = np.zeros((80, 60), dtype=np.uint8)
    found = counts or {str(digit): digit for digit in range(10)}
    made = [
        ClassPanel(SamplePanel(label, f"#{index + 1}", styles[index], 0, 400, picture), found, REAL)
        for index, label in enumerate(labels(count))
    ]
    if count > 3:
        made[3] = ClassPanel(
            SamplePanel("pending", "#4", styles[3], 0, None, None, "no checkpoint yet (pending)"), {}, {}
        )
    return made


@pytest.mark.parametrize("count", [1, 4, 8])
def test_nothing_overlaps_or_leaves_the_figure(count: int) -> None:
    with figure_style():
        assert [defect for figure in class_sheets(panels(count), "digits") for defect in layout_defects(figure)] == []


def test_bars_are_shares_on_one_scale_with_the_real_share_marked() -> None:
    even, collapsed = panels(1)[0], panels(1, {"0": 64, **{str(digit): 0 for digit in range(1, 10)}})[0]
    (figure,) = class_sheets([even, collapsed], "digits")
    _, first, _, second = figure.axes
    assert first.get_xlim() == second.get_xlim() == (0, pytest.approx(1.2 * LONGEST * 0.1))
    assert [bar.get_width() for bar in first.patches] == pytest.approx([digit / 45 for digit in range(10)])
    assert second.patches[0].get_width() == pytest.approx(LONGEST * 0.1)  # cut; its count stands behind it
    assert [text.get_text() for text in second.texts] == ["64", *["0"] * 9]
    assert [list(line.get_xdata()) for line in first.lines] == [[0.1, 0.1]] * 10  # type: ignore[arg-type]
    assert "missing" not in " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def test_of_many_classes_those_of_most_images_have_bars() -> None:
    (figure,) = class_sheets(panels(1, {f"c{n}": n for n in range(100)}), "mine")
    names = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert names == [f"c{n}" for n in range(99, 99 - MOST_BARS, -1)]


def test_images_are_cut_from_the_sheet_where_it_says_its_counts(tmp_path: Path) -> None:
    """The sheets of made-up runs count three images of one class, and their names are short."""
    content = content_of(measured_plan(grid=[], seeds=[0]), tmp_path, {"baseline": Story()})
    (panel,) = class_panels(content, picture_sheets(content, with_styles(content, small_panels(content)), "classes"))
    assert panel.counts == {"0": 3} and panel.real == pytest.approx(REAL)
    assert panel.sample.picture is not None and panel.sample.picture.shape == (420, 12 + 8 * (48 + 6))
