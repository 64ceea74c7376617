"""Figures of training: all cells over each other, five curves and six panels for each cell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from figure_layout import layout_defects
from record_curves import run_curves
from report_data import interval_records
from test_figures import labels, legend_of, training_panels

from harness.analysis.dynamics import loss_dynamics
from harness.report.figures.answers import answer_curves
from harness.report.figures.dynamics import SixPanels, six_panels
from harness.report.figures.style import PALE, cell_styles, figure_style
from harness.report.figures.thinning import MOST_POINTS, thinned
from harness.report.figures.training import (
    MOST_NUMBERED,
    MOST_OVERLAID,
    TrainingPanel,
    loss_crossings,
    loss_overlay,
)

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
        found = [*overlaid, *six_panels(cells(count))[:2], *answer_curves(training_panels(count))[:1]]
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
    boxes = [axes.patches[0].get_bbox() for axes in (losses, smooth, accuracies, ratio, difference)]
    bands = [[round(float(box.y0), 3), round(float(box.y1), 3)] for box in boxes]
    assert bands == [[0.5, 1.5], [0.5, 1.5], [0.6, 0.9], [0.3, 3.0], [-1.0, 1.0]]
    assert [text.get_text() for text in losses.texts] == ["0.5", "1.5"]
    assert [text.get_text() for text in difference.texts] == ["−1", "1"]
    assert losses.get_ylim() == (0.0, pytest.approx(1.08 * cell.generator.max()))
    assert verdict.texts[0].get_text().splitlines()[0] == VERDICTS[0]


def test_a_loss_without_accuracies_or_scale_says_so() -> None:
    axes = six_panels(cells(2))[0].axes[6:]
    assert "accuracies" in axes[2].texts[0].get_text().replace("\n", " ")
    assert all("no common scale" in panel.texts[0].get_text().replace("\n", " ") for panel in axes[3:5])


def test_the_overlay_names_few_cells_and_numbers_the_lines_of_many() -> None:
    few = loss_overlay(with_records(MOST_OVERLAID))[0]
    assert len(legend_of(few)) == 9 and legend_of(few)[0] == "baseline" and legend_of(few)[-1] == "ln 2"
    assert [len(axes.lines) for axes in few.axes] == [9, 9] and not few.axes[0].texts
    many = loss_overlay(with_records(MOST_OVERLAID + 4))[0]
    assert legend_of(many) == ["baseline", "the other cells", "ln 2"]
    colors = [line.get_color() for line in many.axes[0].lines]
    assert colors.count(PALE) == MOST_OVERLAID + 3 and colors[MOST_OVERLAID + 3] == "#000000"  # the baseline on top
    numbers = [(text.get_text(), text.get_position()[1]) for text in many.axes[0].texts]
    assert {name for name, _ in numbers} == {f"#{index + 1}" for index in range(MOST_OVERLAID + 4)}
    assert np.diff(sorted(height for _, height in numbers)).min() > 0.036
    crowd = loss_overlay(with_records(MOST_NUMBERED + 1))[0]
    assert not crowd.axes[0].texts


def test_the_overlay_leaves_out_what_smoothing_does_not_reach_and_tells_log_scales() -> None:
    records = interval_records(np.linspace(0.01, 3, 60).tolist(), [0.7] * 60, every=10)
    dynamics = loss_dynamics(run_curves(records), window=50)
    panels = [replace(panel, dynamics=dynamics) for panel in with_records(2)]
    left, right = loss_overlay(panels)[0].axes
    assert np.isfinite(np.asarray(left.lines[0].get_ydata(), dtype=float)).all()
    assert (left.get_yscale(), left.get_title()) == ("log", "G, smoothed, log scale")
    assert (right.get_yscale(), right.get_title()) == ("linear", "D per term, smoothed")


def test_close_limits_of_a_band_are_one_text_and_accuracies_have_the_room_that_they_need() -> None:
    (cell,) = cells(1)
    high = replace(cell, generator=9 * cell.generator, accuracies=(cell.discriminator + 0.4, cell.discriminator + 0.45))
    losses, _, accuracies, *_ = six_panels([high])[0].axes
    assert [text.get_text() for text in losses.texts] == ["0.5 … 1.5"]
    assert accuracies.get_ylim() == (pytest.approx(0.47), pytest.approx(1.03))
    dipping = replace(cell, accuracies=(cell.discriminator - 0.3, cell.discriminator))
    assert six_panels([dipping])[0].axes[2].get_ylim()[0] == pytest.approx(0.17)


def test_accuracies_are_means_before_pale_records_in_two_looks() -> None:
    (cell,) = cells(1)
    smooth = (np.full(60, 0.9), np.full(60, 0.8))
    lines = six_panels([replace(cell, smooth_accuracies=smooth)])[0].axes[2].lines
    assert [float(np.mean(np.asarray(line.get_ydata(), dtype=float))) for line in lines] == pytest.approx(
        [0.5, 0.5, 0.8, 0.9, 0.5]
    )
    assert lines[0].get_alpha() == lines[1].get_alpha() == 0.3
    assert lines[2].get_color() != lines[3].get_color() and lines[2].get_linewidth() > 2 * lines[3].get_linewidth()


def test_lines_lead_from_the_ends_of_curves_to_their_numbers() -> None:
    axes = loss_overlay(with_records(MOST_OVERLAID + 4))[0].axes[0]
    leaders = [line for line in axes.lines if line.get_transform() == axes.transAxes]
    numbers = sorted(text.get_position()[1] for text in axes.texts)
    ends = np.array([np.asarray(line.get_ydata(), dtype=float) for line in leaders])
    assert sorted(ends[:, 1]) == pytest.approx(numbers)
    assert np.ptp(ends[:, 0]) == pytest.approx(0)  # all cells of this figure end alike


def test_answers_are_three_curves_and_those_of_other_seeds_thin() -> None:
    (panel,) = training_panels(1)
    assert panel.curves is not None
    after = {**panel.curves, "prob/fake_after": np.full(60, 0.3)}
    other = {**panel.curves, "prob/real": np.full(60, 0.7)}
    (axes,) = answer_curves([replace(panel, curves=after, other_curves=(other,))])[0].axes
    levels = [float(np.mean(np.asarray(line.get_ydata(), dtype=float))) for line in axes.lines]
    assert levels == pytest.approx([0.5, 0.7, 0.6, 0.4, 0.3])  # of the other seed D(x) alone
    assert len({(line.get_linestyle(), line.get_color()) for line in axes.lines[2:]}) == 3
    assert axes.lines[1].get_linewidth() < min(line.get_linewidth() for line in axes.lines[2:])
    smooth = {name: curve if name == "step" else curve + 0.1 for name, curve in after.items()}
    (axes,) = answer_curves([replace(panel, curves=after, smooth_curves=smooth)])[0].axes
    shown = [(float(np.mean(np.asarray(line.get_ydata(), dtype=float))), line.get_alpha()) for line in axes.lines]
    assert shown[1:] == [(pytest.approx(level), 0.25) for level in (0.6, 0.4, 0.3)] + [
        (pytest.approx(level), None) for level in (0.7, 0.5, 0.4)
    ]


def test_losses_of_other_seeds_are_thin_and_named() -> None:
    (panel,) = training_panels(1)
    assert panel.dynamics is not None
    figure = loss_crossings([replace(panel, others=(panel.dynamics,))])[0]
    assert len(figure.axes[0].lines) == 8  # raw, smoothed and other smoothed losses of both, ln 2, crossings
    assert "other seeds, smoothed" in legend_of(figure)
    assert "other seeds, smoothed" not in legend_of(loss_crossings([panel])[0])


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
