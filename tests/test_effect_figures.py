"""Forest plots and interaction plots: nothing overlaps, ends that leave the axis are arrows, one seed has no bar."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from figure_layout import layout_defects
from matplotlib.figure import Figure

from harness.analysis.statistics import Verdict
from harness.report.figures.effects import ForestLabels, ForestRow, InteractionPanel, forest, interactions
from harness.report.figures.style import figure_style

LONG = "generator_activation=leaky_relu,discriminator_lr=0.00005,normalization=none,hidden_dim=1024 and more"
VERDICTS: tuple[Verdict, ...] = ("helps", "hurts", "inconclusive", "one seed", "not measured")
NAMES: dict[Verdict, str] = {
    "helps": "helps",
    "hurts": "hurts",
    "inconclusive": "inconclusive",
    "one seed": "one seed: no interval",
}
LABELS = ForestLabels("FID (digits) divided by the baseline's (log scale)", "the baseline", NAMES)


def rows(count: int) -> list[ForestRow]:
    """Cells of every verdict in turn; the third has an interval that is far too wide."""
    found = []
    for index in range(count):
        verdict = VERDICTS[index % len(VERDICTS)]
        label, mark = (LONG if index == 1 else f"cell {index}"), f"#{index + 2}"
        value = math.log(0.6 + 0.3 * (index % 7))
        width = 30.0 if index == 2 else 0.4
        if verdict == "not measured":
            found.append(ForestRow(label, mark, verdict, None, None, None, "–", "not measured at step 400"))
        elif verdict == "one seed":
            found.append(ForestRow(label, mark, verdict, value, None, None, "1.20"))
        else:
            found.append(
                ForestRow(label, mark, verdict, value, value - width, value + width, "1.20 (< 0.001 to > 1000)")
            )
    return found


def panels(count: int, levels: int = 2) -> list[InteractionPanel]:
    names = [f"level {index}" for index in range(levels)]
    lines = {
        f"a factor with a long name = {at}": [20.0 + 3 * i + place for place in range(levels)]
        for i, at in enumerate(names)
    }
    points = {name: [[mean - 1, mean + 1] for mean in means] for name, means in lines.items()}
    note = "interaction × 1.54 (1.02 to 2.33), p = 0.041"
    return [InteractionPanel("latent_dim and hidden_dim", "latent_dim", tuple(names), lines, points, note)] * count


def defects(figures: list[Figure]) -> list[str]:
    with figure_style():
        return [defect for figure in figures for defect in layout_defects(figure)]


@pytest.mark.parametrize("count", [1, 5, 31])
def test_a_forest_of_any_size_is_laid_out_without_overlaps(count: int) -> None:
    figures = forest(rows(count), LABELS, is_log=True)
    assert len(figures) == (2 if count > 30 else 1)
    assert defects(figures) == []


def test_an_interval_that_leaves_the_axis_ends_in_an_arrow() -> None:
    (figure,) = forest(rows(5), LABELS, is_log=True)
    axes = figure.axes[0]
    arrows = [line for line in axes.lines if line.get_marker() in ("<", ">") and line.get_linestyle() == "None"]
    assert [line.get_marker() for line in arrows] == ["<", ">"]
    low, high = axes.get_xlim()
    assert [float(line.get_xdata()[0]) for line in arrows] == [low, high]  # type: ignore[index]
    assert high - low < 6


def test_one_seed_is_an_open_circle_without_a_bar_and_no_value_is_words() -> None:
    (figure,) = forest(rows(5), LABELS, is_log=True)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["not measured at step 400"]
    (open_circle,) = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert list(open_circle.get_ydata()) == [3]
    bars = [collection.get_segments()[0][0][1] for collection in axes.collections]  # type: ignore[attr-defined]
    assert bars == [0, 1, 2]


def test_the_legend_names_only_verdicts_that_are_there() -> None:
    helped = [row for row in rows(5) if row.verdict == "helps"]
    (figure,) = forest(helped, LABELS, is_log=False)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["the baseline", "helps"]
    assert "log" not in (figure.axes[0].get_xscale(),)


def test_ticks_of_ratios_have_1_and_lie_inside() -> None:
    (figure,) = forest(rows(5), LABELS, is_log=True)
    figure.draw_without_rendering()
    ticks = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    assert "1" in ticks and 3 <= len(ticks) <= 10
    assert ticks == sorted(ticks, key=float)


@pytest.mark.parametrize("levels", [2, 4])
@pytest.mark.parametrize("is_log", [True, False])
def test_interactions_are_laid_out_without_overlaps(levels: int, is_log: bool) -> None:
    figures = interactions(panels(3, levels), "FID (digits), log scale", is_log=is_log)
    assert defects(figures) == []
    axes = figures[0].axes[0]
    assert axes.get_yscale() == ("log" if is_log else "linear")
    assert len(axes.lines) == levels * (1 + levels)
    assert axes.get_title().endswith("\ninteraction × 1.54 (1.02 to 2.33), p = 0.041")


def test_panels_share_their_axis_unless_one_would_be_flat() -> None:
    (near,) = panels(1)
    far = replace(near, points={name: [[9000.0], [2.0]] for name in near.points})
    (alike,) = interactions([near, near], "FID", is_log=True)
    assert alike.axes[0].get_ylim() == alike.axes[1].get_ylim() and alike.axes[1].get_ylabel() == ""
    (apart,) = interactions([near, far], "FID", is_log=True)
    assert apart.axes[0].get_ylim() != apart.axes[1].get_ylim() and apart.axes[1].get_ylabel() == "FID"


def test_pairs_beyond_six_are_not_drawn_and_none_gives_no_figure() -> None:
    assert len(interactions(panels(9), "FID", is_log=True)[0].axes) == 6
    assert interactions([], "FID", is_log=True) == []
