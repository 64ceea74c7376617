"""Figures: nothing overlaps or leaves the page for few or many cells and long names, and bytes repeat."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from figure_layout import layout_defects
from matplotlib.figure import Figure
from PIL import Image
from record_curves import run_curves
from report_data import interval_records, write_samples

from harness.analysis.dynamics import LossScale, loss_dynamics
from harness.analysis.summary import Measurement
from harness.report.figures.answers import answer_curves
from harness.report.figures.fid import CellCurve, LastValues, against_step, at_last, is_in_view
from harness.report.figures.files import figure_files
from harness.report.figures.panels import MetricPanel, metric_panels
from harness.report.figures.samples import SamplePanel, read_picture, sample_grids, wide_sheets
from harness.report.figures.style import cell_styles, figure_style, new_figure, round_steps, wrapped
from harness.report.figures.training import TrainingPanel, loss_crossings
from harness.report.language import ENGLISH

LONG = "generator_activation=leaky_relu,discriminator_lr=0.00005,normalization=none,hidden_dim=1024 and more"
UNBROKEN = "x" * 120
COUNTS = [1, 4, 13, 40]


def labels(count: int) -> list[str]:
    kinds = ["baseline", LONG, UNBROKEN, "$broken_{math", "_hidden", "中文名字" * 12]
    return [kinds[index] if index < len(kinds) else f"{LONG} {index}" for index in range(count)]


def curves(count: int, scale: float = 1.0) -> list[CellCurve]:
    styles = cell_styles([index == 0 for index in range(count)])
    return [
        CellCurve(label, f"#{index + 1}", styles[index], [] if index == 3 else points(index, scale))
        for index, label in enumerate(labels(count))
    ]


def points(index: int, scale: float) -> list[Measurement]:
    found = []
    for step in (200, 400, 600):
        mean = 20 + 10 * scale**index + 2000 / step
        found.append(Measurement("c", "d", "fid", step, (0, 1), (mean - 1, mean + 1), mean, 1.4, 0.3, (5, 5)))
    return found


def last_values(count: int) -> list[LastValues]:
    styles = cell_styles([index == 0 for index in range(count)])
    return [
        LastValues(label, f"#{i + 1}", styles[i], i == 0, {} if i == 3 else {0: [9.0 + i, 9.5], 1: [10.0, 10.5 + i]})
        for i, label in enumerate(labels(count))
    ]


def training_panels(count: int) -> list[TrainingPanel]:
    styles = cell_styles([index == 0 for index in range(count)])
    steps = np.arange(60.0)
    losses = (0.7 + 0.3 * np.sin(steps / 8)).tolist()
    dynamics = loss_dynamics(run_curves(interval_records(losses, [0.7] * 60, every=10)), window=50)
    shown = {"step": 10 * steps + 5, "prob/real": np.full(60, 0.6), "prob/fake_before": np.full(60, 0.4)}
    return [
        TrainingPanel(label, f"#{i + 1}", styles[i], 0, missing="no records yet (pending), and a long reason for it")
        if i == 3
        else TrainingPanel(label, f"#{i + 1}", styles[i], 0, dynamics, shown, end=600)
        for i, label in enumerate(labels(count))
    ]


def sample_panels(count: int) -> list[SamplePanel]:
    styles = cell_styles([index == 0 for index in range(count)])
    picture = np.zeros((70, 70), dtype=np.uint8)
    color = np.zeros((70, 70, 3), dtype=np.uint8)
    return [
        SamplePanel(
            label, f"#{i + 1}", styles[i], 0, None, None, "the picture on disk is of another checkpoint SHA-256"
        )
        if i == 3
        else SamplePanel(label, f"#{i + 1}", styles[i], 0, 400, color if i == 1 else picture)
        for i, label in enumerate(labels(count))
    ]


def metrics(cells: int, count: int = 4) -> list[MetricPanel]:
    titles = ["KID ↓", "Precision ↑", "Recall ↑", "Coverage ↑"]
    floors = [-0.001, 0.9, None, 31.0]
    return [
        MetricPanel(title, curves(cells, scale=1.3 if title == "KID ↓" else 1.0), floor)
        for title, floor in zip(titles[:count], floors, strict=False)
    ]


def figures_of(kind: str, count: int) -> list[Figure]:
    match kind:
        case "against step":
            return against_step(curves(count), "FID (inception, unverified weights)", floor=25.0)
        case "against step, wide":
            return against_step(curves(count, scale=1.3), "FID (digits)", floor=20.0)
        case "at last":
            return at_last(last_values(count), "FID (inception, unverified weights)")
        case "losses":
            return loss_crossings(training_panels(count))
        case "probabilities":
            return answer_curves(training_panels(count))
        case "metrics":
            return metric_panels(metrics(min(count, 8)), "inception, unverified weights")
        case "sheets":
            return wide_sheets(sample_panels(count))
        case _:
            return sample_grids(sample_panels(count))


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def value_label(figure: Figure) -> str:
    return figure.get_supylabel() or figure.axes[0].get_ylabel()


LOSSES = ["G, smoothed (cell's color)", "D per term, smoothed", "recorded (raw)"]
KINDS = ["against step", "against step, wide", "at last", "losses", "probabilities", "samples", "metrics", "sheets"]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_overlaps_or_leaves_the_figure(kind: str, count: int) -> None:
    figures = figures_of(kind, count)
    checked = [figures[0], *figures[1:][-1:]]  # the pages between are like the first
    with figure_style():
        assert [defect for figure in checked for defect in layout_defects(figure)] == []


def test_the_layout_check_sees_overlaps_and_what_leaves_the_figure() -> None:
    figure = new_figure(3, 3)
    figure.set_layout_engine("none")
    figure.text(0.4, 0.5, "one text")
    figure.text(0.45, 0.5, "another")
    figure.text(0.9, 0.1, "far too long for this place")
    defects = layout_defects(figure)
    assert "'one text' overlaps 'another'" in defects
    assert "'far too long for this place' leaves the figure" in defects


@pytest.mark.parametrize(
    ("kind", "pages"), [("losses", 4), ("samples", 3), ("sheets", 7), ("against step", 4), ("at last", 1)]
)
def test_long_lists_are_paged_and_every_cell_is_on_a_page(kind: str, pages: int) -> None:
    figures = figures_of(kind, 40)
    assert len(figures) == pages
    panels = sum(len(figure.axes) for figure in figures)
    assert panels == (1 if kind == "at last" else 40)


def test_every_cell_has_a_style_of_its_own_and_the_baseline_is_black() -> None:
    styles = cell_styles([index == 5 for index in range(57)])
    assert len({(style.color, style.marker, style.dashes) for style in styles}) == 57
    assert styles[5].color == "#000000"
    few = cell_styles([index == 0 for index in range(8)])
    assert len({style.color for style in few}) == len({style.marker for style in few}) == 8
    assert len({style.dashes for style in few}) == 8


def test_a_cell_keeps_its_color_in_every_figure() -> None:
    """The second cell's color, as the figures draw it."""
    blue = cell_styles([True, False])[1].color
    step_lines = against_step(curves(2), "FID")[0].axes[0].lines
    dots = at_last(last_values(2), "FID")[0].axes[0].lines
    assert step_lines[1].get_color() == blue
    assert blue in {line.get_color() for line in dots}
    for figure in (loss_crossings(training_panels(2))[0], answer_curves(training_panels(2))[0]):
        assert blue in {line.get_color() for line in figure.axes[1].lines}
        assert matplotlib.colors.to_hex(figure.axes[1].spines["top"].get_edgecolor()) == blue


def test_crossings_are_marked_where_they_were_found() -> None:
    panel = training_panels(1)[0]
    assert panel.dynamics is not None and panel.dynamics.crossings
    axes = loss_crossings([panel])[0].axes[0]
    marked = [line.get_xdata() for line in axes.lines if line.get_marker() == "o"]
    assert [list(one) for one in marked] == [[crossing.step for crossing in panel.dynamics.crossings]]


def test_the_legend_of_losses_names_what_is_drawn() -> None:
    steps = 60
    apart = loss_dynamics(run_curves(interval_records([2.0] * steps, [0.7] * steps, every=10)), window=50)
    without = replace(training_panels(1)[0], dynamics=apart)
    assert legend_of(loss_crossings(training_panels(2))[0]) == [*LOSSES, "crossing", "ln 2"]
    assert legend_of(loss_crossings([without])[0]) == [*LOSSES, "ln 2"]


def test_losses_without_a_common_scale_have_no_equilibrium_and_say_so() -> None:
    records = interval_records((-3 + np.sin(np.arange(60) / 8)).tolist(), [-0.2] * 60, every=10)
    critic = loss_dynamics(run_curves(records), window=50, scale=LossScale(1, comparable=False))
    panel = replace(training_panels(1)[0], dynamics=critic)
    figure = loss_crossings([panel])[0]
    assert legend_of(figure) == [LOSSES[0], "D, smoothed", LOSSES[2]]
    assert legend_of(loss_crossings([panel, *training_panels(1)])[0])[1] == "D (per term if it has two), smoothed"
    (axes,) = figure.axes
    low, high = axes.get_ylim()
    assert low < critic.generator.min() and high > critic.discriminator.max()
    assert "not counted" in axes.texts[-1].get_text()
    assert figure.get_supylabel() == "loss, in its own units"
    assert loss_crossings(training_panels(1))[0].get_supylabel() == "loss [nats]"
    assert not layout_defects(loss_crossings([panel, *training_panels(4)])[0])


def test_step_ticks_are_round_and_reach_the_last_record() -> None:
    for figure in (loss_crossings(training_panels(2))[0], answer_curves(training_panels(2))[0]):
        for axes in figure.axes:
            assert [round(tick) for tick in axes.get_xticks()] == [0, 200, 400, 600]
            assert axes.get_xlim()[1] > 600
    assert round_steps(60) == [0, 20, 40, 60]
    assert round_steps(5000) == [0, 1000, 2000, 3000, 4000, 5000]
    assert round_steps(45) == [0, 10, 20, 30, 40]
    assert [round_steps(end) for end in range(4)] == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]
    for end in range(3, 3000):
        ticks = round_steps(end)
        assert 4 <= len(ticks) <= 6 and 0.75 * end <= ticks[-1] <= end


def test_dots_lie_over_the_mean_that_would_hide_them() -> None:
    axes = at_last(last_values(1), "FID")[0].axes[0]
    (bar,) = axes.collections
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert len(dots) == 2
    for dot in dots:
        assert dot.get_zorder() > bar.get_zorder()
        assert dot.get_markeredgecolor() == "white"  # a black dot on a black bar would not be seen


def test_wide_ranges_are_logarithmic_and_narrow_ones_are_not() -> None:
    assert against_step(curves(40, scale=1.3), "FID")[0].axes[0].get_yscale() == "log"
    assert against_step(curves(2), "FID")[0].axes[0].get_yscale() == "linear"


def test_axis_labels_say_where_the_scale_is_logarithmic() -> None:
    for count, wide, narrow in ((3, 30.0, 1.0), (13, 1.8, 1.0)):
        labels_of = [value_label(against_step(curves(count, scale), "FID")[0]) for scale in (wide, narrow)]
        assert labels_of == ["FID, log scale", "FID"]
    near, *_ = last_values(1)
    far = replace(near, is_baseline=False, values={0: [900.0]})
    assert at_last([near, far], "FID")[0].axes[0].get_xlabel() == "FID, log scale"
    assert at_last([near], "FID")[0].axes[0].get_xlabel() == "FID"


def test_png_bytes_repeat_carry_their_text_and_no_version_or_date() -> None:
    about = {"harness:experiment": "中", "Title": "t"}
    first, second = (figure_files(loss_crossings(training_panels(1))[0], about).png for _ in range(2))
    assert first == second
    with Image.open(io.BytesIO(first)) as image:
        texts = {name: value for name, value in image.info.items() if isinstance(value, str)}
    assert texts == about


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    before = dict(matplotlib.rcParams)
    figure_files(at_last(last_values(2), "FID")[0], {})
    assert dict(matplotlib.rcParams) == before
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []


def test_wrapping_breaks_at_marks_keeps_every_letter_and_says_what_was_cut() -> None:
    assert wrapped("latent_dim=100,hidden_dim=100", 16) == "latent_dim=100,\nhidden_dim=100"
    assert wrapped("latent_dim=100, hidden_dim=100", 26) == "latent_dim=100,\nhidden_dim=100"
    assert wrapped("a rather long name, latent_dim=1", 24) == "a rather long name,\nlatent_dim=1"
    assert wrapped("ab cd, ef gh, ij kl", 9, 2) == "ab cd, ef\ngh, ij kl"
    assert wrapped("one=two three=four", 9) == "one=two\nthree=\nfour"
    assert wrapped("a" * 25, 10) == "a" * 10 + "\n" + "a" * 10 + "\n" + "a" * 5
    assert wrapped("a" * 50, 10, 2, "#7") == "a" * 10 + "\n" + "a" * 6 + "… #7"
    assert wrapped("宽" * 8, 8) == "宽" * 4 + "\n" + "宽" * 4
    assert wrapped("two\nlines", 20) == "two lines"


def test_a_picture_of_another_checkpoint_is_never_used(tmp_path: Path) -> None:
    path = tmp_path / "samples.png"
    write_samples(path, "key", 400, "ab" * 32, 16)
    expected = {"harness:checkpoint_sha256": "ab" * 32, "harness:key": "key", "harness:samples": "16"}
    picture, why = read_picture(path, expected)
    assert picture is not None and picture.shape == (138, 138) and why(ENGLISH) == ""

    def reason(asked: dict[str, str], of: Path = path) -> str:
        found, why = read_picture(of, asked)
        assert found is None
        return why(ENGLISH)

    assert reason(expected | {"harness:checkpoint_sha256": "cd" * 32}) == (
        "the picture on disk is of another checkpoint SHA-256"
    )
    assert reason(expected | {"harness:key": "other"}) == "the picture on disk is of another key"
    assert reason(expected | {"harness:samples": "64"}) == (
        "the picture on disk was drawn with another setting: samples"
    )
    assert reason(expected, tmp_path / "none.png") == "no picture was made"
    path.write_bytes(path.read_bytes()[:200])
    assert reason(expected) == "the picture is damaged"


def test_the_floor_is_a_dotted_line_where_it_is_in_view() -> None:
    """Means of these curves lie from 32.3 to 41, within one range of 8.7 or so."""
    for count in (3, 13):
        (figure, *_) = against_step(curves(count), "FID", 30.0)
        dotted = [line for axes in figure.axes for line in axes.lines if line.get_linestyle() == ":"]
        drawn = [axes for axes in figure.axes if axes.lines]
        assert len(dotted) == len(drawn) and {line.get_ydata()[0] for line in dotted} == {30.0}
        assert "real images against\nreal images" in legend_of(figure)
        (far, *_) = against_step(curves(count), "FID", -500.0)
        assert not [line for axes in far.axes for line in axes.lines if line.get_linestyle() == ":"]
        assert "real images against\nreal images" not in legend_of(far)


@pytest.mark.parametrize(
    ("floor", "values", "seen"),
    [
        (1.0, [4.0, 5.0], True),
        (0.9, [4.0, 5.0], False),
        (8.1, [4.0, 5.0], False),
        (4.5, [4.0, 4.0], False),
        (4.0, [4.0, 4.0], True),
        (0.0, [1.0, 100.0], False),
        (2e-6, [1.0, 100.0], True),
        (5e-7, [1.0, 100.0], False),
        (1.0, [], False),
    ],
)
def test_a_floor_is_in_view_within_three_ranges_of_the_values(floor: float, values: list[float], seen: bool) -> None:
    assert is_in_view(floor, values) is seen


def test_pooled_values_have_dots_and_no_ticks_of_repeats() -> None:
    cells = [replace(cell, values={0: [9.0], 1: [10.0]}) for cell in last_values(2)]
    (figure,) = at_last(cells, "FID∞ (digits)", pooled=True)
    assert legend_of(figure) == ["one seed, its repeats together", "mean over seeds", "the baseline's mean"]
    assert not [line for line in figure.axes[0].lines if line.get_marker() == "|" and len(line.get_xdata())]
    (single,) = at_last(cells, "FID (digits)")
    assert legend_of(single)[:2] == ["one repeat", "mean of one seed's repeats"]
