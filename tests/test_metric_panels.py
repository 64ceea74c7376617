"""Small panels of several metrics: as many as there are, with their floors where these can be shown."""

from __future__ import annotations

import pytest
from figure_layout import layout_defects
from test_figures import curves, legend_of, metrics

from harness.report.figures.panels import MetricPanel, metric_panels
from harness.report.figures.style import figure_style


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_metrics_leave_no_empty_places(count: int) -> None:
    (figure,) = metric_panels(metrics(3, count), "digits")
    assert len(figure.axes) == count
    with figure_style():
        assert layout_defects(figure) == []


def test_a_metrics_panel_shows_its_floor_on_a_linear_axis() -> None:
    (figure,) = metric_panels(metrics(4), "digits")
    dotted = [[line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == ":"] for axes in figure.axes]
    assert dotted == [[-0.001], [0.9], [], [31.0]]
    assert [axes.get_title() for axes in figure.axes][:2] == ["KID ↓", "Precision ↑"]
    assert "real images against\nreal images" in legend_of(figure)
    (log,) = metric_panels([MetricPanel("KID ↓", curves(40, scale=1.8)[4:12], 0.5)], "digits")
    assert (log.axes[0].get_yscale(), log.axes[0].get_title()) == ("log", "KID ↓, log scale")
    assert len(log.axes[0].lines) == 8 and "real images against\nreal images" not in legend_of(log)
