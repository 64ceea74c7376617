"""Whether the rules of the diagnosis follow the quality of images, from orders of cells that are known."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_data import Story, small_plan
from report_tables import content_of

from harness.report.quality import best_cell, quality_text, unlike_the_data
from harness.report.remedy_tables import is_clearly_better, to_try
from harness.report.rules_and_quality import follows_text

ILL = (3.0, 0.1)
"""Losses that break the ratio and the range."""


@pytest.mark.parametrize(
    ("bad", "worst", "told"),
    [
        (400.0, 800.0, "the rules follow the quality of images"),
        (60.0, 30.0, "on the contrary"),
        (400.0, 30.0, "says little"),
    ],
)
def test_the_direction_is_read_from_the_order_of_cells(tmp_path: Path, bad: float, worst: float, told: str) -> None:
    stories = {
        "baseline": Story(fid=100.0, level=(0.8, 0.75)),
        "latent_dim=100": Story(fid=110.0, level=(0.8, 0.75)),
        "normalization=none": Story(fid=bad, level=(1.6, 0.75)),
        "generator=mlp": Story(fid=worst, level=ILL),
    }
    content = content_of(small_plan(), tmp_path, stories)
    text = follows_text(content, content.diagnoses)
    assert told in text and "rank correlation" in text
    best = best_cell(content)
    assert best is not None and f"{quality_text(content, best)}), breaks" in text


def test_where_rules_do_not_follow_quality_only_clearly_bad_cells_get_remedies(tmp_path: Path) -> None:
    well = (0.8, 0.75)
    stories = {
        "baseline": Story(fid=100.0, level=well),
        "latent_dim=100": Story(fid=110.0, level=well),
        "normalization=none": Story(fid=100.0, level=ILL),
        "generator=mlp": Story(fid=800.0, level=well),
    }
    content = content_of(small_plan(), tmp_path / "none", stories)
    found = to_try(content, content.diagnoses)
    assert (found.table, found.there, found.blocks) == ("", "", [])
    assert "the rules do not follow the quality" in found.healthy and found.healthy.endswith("for none.")
    content = content_of(small_plan(), tmp_path, stories | {"generator=mlp": Story(fid=800.0, level=(1.6, 0.75))})
    found = to_try(content, content.diagnoses)
    assert found.healthy.endswith("begun to learn: generator=mlp.")
    assert found.table and "normalization=none" not in found.table and found.blocks


def test_without_measurements_nothing_is_said_of_quality(tmp_path: Path) -> None:
    content = content_of(small_plan(evaluation=[]), tmp_path)
    assert follows_text(content, content.diagnoses) == "" and best_cell(content) is None
    cell = content.cells[0]
    assert quality_text(content, cell) == "" and not unlike_the_data(content, cell)
    assert not is_clearly_better(content, cell)
