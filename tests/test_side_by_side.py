"""Pairs of cells beside each other: values at the same checkpoints, their ratio, images, and what is claimed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_data import Story, lived, section, small_plan

from harness.report.content import gather
from harness.report.sections.side_by_side import is_asked_for
from harness.tracking.reader import read_experiment

PAIRS = {"samples": 16, "side_by_side": [["baseline", "generator=mlp"]], "sections": ["side-by-side"]}
MLP = "generator=mlp"


def table(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "---" not in line]


def test_values_at_the_same_checkpoints_with_their_ratio(tmp_path: Path) -> None:
    text = section(lived(small_plan(report=PAIRS), tmp_path, {MLP: Story(fid=60.0)}), "side-by-side")
    assert "### baseline beside generator=mlp" in text
    header, *rows = table(text)
    assert header == ["Step", "baseline", "generator=mlp", "generator=mlp ÷ baseline"]
    assert "at the same checkpoints, mean ± SD over 2 seeds" in text
    assert [row[0] for row in rows] == ["200", "400"]
    for _, left, right, ratio in rows:
        means = [float(value.split(" ± ")[0]) for value in (left, right)]
        assert "±" in left
        assert float(ratio) == pytest.approx(means[1] / means[0], rel=0.05)
    assert "](figures/side-by-side-1.png)" in text
    assert "baseline has 16,784 in G and 9,073 in D" in text


def test_the_pictures_name_both_runs_at_the_same_steps(tmp_path: Path) -> None:
    lived(small_plan(report=PAIRS), tmp_path)
    pictures = json.loads((tmp_path / "report" / "report.json").read_text())["pictures"]
    (found,) = [picture for picture in pictures if picture["path"] == "figures/side-by-side-1.png"]
    assert [(source["seed"], source["step"]) for source in found["sources"]] == [(0, 200), (0, 400)] * 2
    assert len({source["key"] for source in found["sources"]}) == 2


def test_only_common_checkpoints_count(tmp_path: Path) -> None:
    text = section(lived(small_plan(report=PAIRS), tmp_path, {MLP: Story("diverged", reached=200)}), "side-by-side")
    assert [row[0] for row in table(text)[1:]] == ["200"]


def test_a_verdict_is_only_that_of_the_comparison(tmp_path: Path) -> None:
    tested = section(lived(small_plan(report=PAIRS), tmp_path / "tested", {MLP: Story(fid=90.0)}), "side-by-side")
    assert "95 % interval" in tested and "**hurts**" in tested
    others = PAIRS | {"side_by_side": [["latent_dim=100", MLP]]}
    untested = section(lived(small_plan(report=others), tmp_path / "untested", {MLP: Story(fid=90.0)}), "side-by-side")
    assert "not among the comparisons that are tested" in untested
    assert "hurts" not in untested and "helps" not in untested


def test_cells_without_anything_say_so(tmp_path: Path) -> None:
    plan = small_plan(report=PAIRS, evaluation=[])
    text = section(lived(plan, tmp_path, {MLP: Story("interrupted", reached=0, pictured=False)}), "side-by-side")
    assert "No images to show yet" in text and table(text) == []


def test_the_section_is_there_only_where_pairs_are_named(tmp_path: Path) -> None:
    assert not is_asked_for(gather(read_experiment(small_plan(), tmp_path)))
    assert is_asked_for(gather(read_experiment(small_plan(report=PAIRS), tmp_path)))
    named = small_plan(report={"samples": 16, "sections": ["side-by-side"]})
    assert "names no pair of cells" in lived(named, tmp_path / "named")
