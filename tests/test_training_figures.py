"""Figures of training: all cells over each other, five curves and six panels for each cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from figure_layout import layout_defects
from report_data import interval_records
from test_figures import labels, legend_of, training_panels

from harness.analysis.curves import run_curves
from harness.analysis.dynamics import loss_dynamics
from harness.report.figures.answers import five_curves
from harness.report.figures.dynamics import SixPanels, six_panels
from harness.report.figures.style import PALE, cell_styles, figure_style
from harness.report.figures.thinning import MOST_POINTS, thinned
from harness.report.figures.training import MOST_OVERLAID, TrainingPanel, loss_overlay

VERDICTS = ("✗ G/D 42.2: D ahead", "✓ accuracies 0.85 real, 0.84 fake", "? mode collapse: not known") * 2 + ("✓ " * 40,)


def with_records(count: int) -> list[TrainingPanel]:
    panels = training_panels(count)
    whole = panels[0]
    return [
        replace(panel, dynamics=whole.dynamics, curves=whole.curves, end=600, is_baseline=index == 0)
        for index, panel in enumerate(panels)
    ]


def cells(count: int) -> list[SixPanels]:
    styles = cell_styles([index == 0 for index in range(count)])
    steps = 10 * np.arange(60.0)
    generator, discriminator = 1 + np.sin(steps / 80), np.full(60, 0.5)
    nothing = np.empty(0)
    made = [
        SixPanels(
            label, f"#{index + 1}", styles[index], 0, steps, generator, discriminator, generator, discriminator,
            (discriminator, discriminator), True, VERDICTS, 600,
        )
        for index, label in enumerate(labels(count))
    ]  # fmt: skip
    if count > 1:
        made[1] = replace(made[1], accuracies=None, compares=False)
    if count > 3:
        made[3] = replace(
            made[3], steps=nothing, generator=nothing, discriminator=nothing, smooth_generator=nothing,
            smooth_discriminator=nothing, missing="no records yet (pending)",
        )  # fmt: skip
    return made


@pytest.mark.parametrize("count", [1, 2, 13])
def test_nothing_overlaps_or_leaves_the_figure(count: int) -> None:
    overlaid = loss_overlay(with_records(count)) if count > 1 else []
    with figure_style():
        found = [*overlaid, *six_panels(cells(count))[:2], *five_curves(training_panels(count))[:1]]
        assert [defect for figure in found for defect in layout_defects(figure)] == []


def test_every_cell_has_six_panels_and_a_page_three_cells() -> None:
    figures = six_panels(cells(7))
    assert [len(figure.axes) for figure in figures] == [18, 18, 6]
    names = [part._suptitle.get_text() for figure in figures for part in figure.subfigs]  # type: ignore[attr-defined]
    assert len(names) == 7 and names[0] == "baseline, seed 0"


def test_six_panels_show_what_they_are_named_after() -> None:
    losses, smooth, accuracies, ratio, difference, verdict = six_panels(cells(1))[0].axes
    (cell,) = cells(1)
    assert list(losses.lines[0].get_ydata()) == list(cell.generator)
    assert list(smooth.lines[1].get_ydata()) == list(cell.smooth_discriminator)
    assert accuracies.lines[0].get_ydata()[0] == 0.5  # type: ignore[index]
    assert list(ratio.lines[1].get_ydata()) == pytest.approx(list(cell.generator / cell.discriminator))
    assert ratio.get_yscale() == "log" and ratio.lines[0].get_ydata()[0] == 1.0  # type: ignore[index]
    assert list(difference.lines[1].get_ydata()) == pytest.approx(list(cell.generator - cell.discriminator))
    boxes = [axes.patches[0].get_bbox() for axes in (accuracies, ratio, difference)]
    bands = [[round(float(box.y0), 3), round(float(box.y1), 3)] for box in boxes]
    assert bands == [[0.6, 0.9], [0.3, 3.0], [-1.0, 1.0]]
    assert verdict.texts[0].get_text().splitlines()[0] == VERDICTS[0]


def test_a_loss_without_accuracies_or_scale_says_so() -> None:
    axes = six_panels(cells(2))[0].axes[6:]
    assert "accuracies" in axes[2].texts[0].get_text().replace("\n", " ")
    assert all("no common scale" in panel.texts[0].get_text().replace("\n", " ") for panel in axes[3:5])


def test_the_overlay_names_few_cells_and_grays_many() -> None:
    few = loss_overlay(with_records(12))[0]
    assert len(legend_of(few)) == 13 and legend_of(few)[0] == "baseline" and legend_of(few)[-1] == "ln 2"
    assert [len(axes.lines) for axes in few.axes] == [13, 13]
    many = loss_overlay(with_records(MOST_OVERLAID + 1))[0]
    assert legend_of(many) == ["baseline", "the other cells", "ln 2"]
    colors = [line.get_color() for line in many.axes[0].lines]
    assert colors.count(PALE) == MOST_OVERLAID and colors[MOST_OVERLAID] == "#000000"  # the baseline over the others


def test_the_overlay_leaves_out_what_smoothing_does_not_reach_and_tells_log_scales() -> None:
    records = interval_records(np.linspace(0.01, 3, 60).tolist(), [0.7] * 60, every=10)
    dynamics = loss_dynamics(run_curves(records), window=50)
    panels = [replace(panel, dynamics=dynamics) for panel in with_records(2)]
    left, right = loss_overlay(panels)[0].axes
    assert np.isfinite(np.asarray(left.lines[0].get_ydata(), dtype=float)).all()
    assert (left.get_yscale(), left.get_title()) == ("log", "G, smoothed, log scale")
    assert (right.get_yscale(), right.get_title()) == ("linear", "D per term, smoothed")


def test_five_curves_are_both_losses_over_three_answers() -> None:
    (panel,) = training_panels(1)
    assert panel.curves is not None
    after = {**panel.curves, "prob/fake_after": np.full(60, 0.3)}
    losses, answers = five_curves([replace(panel, curves=after)])[0].axes
    assert len(losses.lines) == 5  # raw and smoothed of both, ln 2
    levels = [float(np.mean(np.asarray(line.get_ydata(), dtype=float))) for line in answers.lines]
    assert levels == pytest.approx([0.6, 0.4, 0.3, 0.5])
    assert len({(line.get_linestyle(), line.get_color()) for line in answers.lines[:3]}) == 3


def test_thinning_keeps_peaks_ends_and_short_curves() -> None:
    steps = np.arange(50_000.0)
    values = np.sin(steps / 5000)
    values[33_333], values[44_444] = 9.0, -9.0
    values[:100] = np.nan
    few, thin = thinned(steps, values)
    assert len(few) <= MOST_POINTS and (np.diff(few) > 0).all()
    assert (np.nanmax(thin), np.nanmin(thin)) == (9.0, -9.0)
    assert few[np.nanargmax(thin)] == 33_333
    assert few[0] >= 100 and few[-1] > 49_800
    values[:1000] = np.nan
    assert np.isnan(thinned(steps, values)[1][0])  # a stretch of nothing stays a hole
    assert np.nanmax(np.abs(np.interp(steps[2000:33_000], few, thin) - values[2000:33_000])) < 0.05
    assert thinned(steps[:500], values[:500])[0] is not None and len(thinned(steps[:500], values[:500])[1]) == 500
