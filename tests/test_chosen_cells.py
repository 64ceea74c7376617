"""Cells with panels of their own in a grid of many."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_data import Story, lived, many_cells, section, small_plan
from report_tables import content_of

from harness.design.expansion import Plan
from harness.report.chosen_cells import MOST_LARGE, large_paneled, small_paneled, small_paneled_text
from harness.report.content import Content
from harness.report.language import ENGLISH, language_named

FIDS = {64: 50.0, 32: 10.0, 128: 40.0, 8: 30.0, 256: 20.0}
"""By latent size, in the order of the file; the baseline has 16."""
LEVELS: list[dict[str, Any]] = [{"kind": "one-at-a-time", "levels": {"latent_dim": list(FIDS)}}]
STORIES = {f"latent_dim={size}": Story(fid=fid) for size, fid in FIDS.items()}


def _plan(panels: int, **changes: Any) -> Plan:
    settings = {"samples": 16, "panels": panels, "interpolations": [5, 10]}
    return small_plan(**{"grid": LEVELS, "seeds": [0], "report": settings, **changes})


def _shown(content: Content) -> list[str]:
    return [cell.cell.name for cell, _ in small_paneled(content)]


@pytest.mark.parametrize(
    ("panels", "names"),
    [
        (6, ["baseline", *STORIES]),
        (5, ["baseline", "latent_dim=64", "latent_dim=32", "latent_dim=128", "latent_dim=256"]),
        (4, ["baseline", "latent_dim=64", "latent_dim=32", "latent_dim=256"]),
        (2, ["baseline", "latent_dim=32"]),
    ],
)
def test_the_baseline_the_best_and_the_worst_are_shown(tmp_path: Path, panels: int, names: list[str]) -> None:
    content = content_of(_plan(panels), tmp_path, STORIES)
    assert _shown(content) == names
    text = small_paneled_text(content)
    told = f"Of 6 cells, {panels} are shown: the baseline, and those with the best and with the worst FID (digits)."
    assert text == ("" if panels == 6 else f"{told} Tables have all cells. `panels` in `[report]` shows more.")


def test_more_is_better_of_some_metrics(tmp_path: Path) -> None:
    block = {"samples": 100, "repeats": 3, "metrics": ["precision"]}
    content = content_of(_plan(2, evaluation=[block]), tmp_path, STORIES)
    (column,) = content.columns
    value = {cell.cell.name: content.of_cell(cell, column)[-1].mean for cell in content.cells[1:]}
    assert _shown(content) == ["baseline", max(value, key=lambda name: value[name])]


def test_the_first_are_shown_where_too_few_are_measured(tmp_path: Path) -> None:
    stories = STORIES | {f"latent_dim={size}": Story(evaluated=False) for size in (64, 32, 128)}
    content = content_of(_plan(4), tmp_path, stories)
    assert _shown(content) == ["baseline", "latent_dim=64", "latent_dim=32", "latent_dim=128"]
    assert small_paneled_text(content).startswith("Of 6 cells, 4 are shown: the baseline and the first others. ")


def test_a_grid_without_its_baseline_says_nothing_of_one(tmp_path: Path) -> None:
    content = content_of(_plan(3, exclude=[{"latent_dim": 16}]), tmp_path, STORIES)
    assert _shown(content) == ["latent_dim=64", "latent_dim=32", "latent_dim=256"]
    assert small_paneled_text(content).startswith("Of 5 cells, 3 are shown: those with the best and with the worst ")
    unmeasured = content_of(_plan(3, exclude=[{"latent_dim": 16}], evaluation=[]), tmp_path / "unmeasured")
    assert _shown(unmeasured) == ["latent_dim=64", "latent_dim=32", "latent_dim=128"]
    assert small_paneled_text(unmeasured).startswith("Of 5 cells, the first 3 are shown. ")


def test_every_figure_of_small_panels_keeps_to_it(tmp_path: Path) -> None:
    text = lived(_plan(3), tmp_path, STORIES)
    evidence = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    shown: dict[str, set[str]] = {}
    for picture in evidence["pictures"]:
        keys = {source["key"] for source in picture["sources"] if "key" in source}
        shown.setdefault(Path(picture["path"]).stem, set()).update(keys)
    small = ("samples", "progress", "losses", "interpolations", "fid-digits-against-step")
    assert {name: len(shown[name]) for name in small} == dict.fromkeys(small, 3)
    assert len(shown["fid-digits-last"]) == len(shown["losses-overlay"]) == 6
    for name in ("samples", "progress", "loss-crossings", "interpolations", "against-step"):
        assert "Of 6 cells, 3 are shown: " in section(text, name)
    assert text.count("Of 6 cells, 3 are shown: ") > 5, "large panels are no more than small ones"


def test_large_panels_are_fewer(tmp_path: Path) -> None:
    content = content_of(many_cells(MOST_LARGE + 2, seeds=[0]), tmp_path)
    assert len(large_paneled(content)) == MOST_LARGE
    assert len(small_paneled(content)) == MOST_LARGE + 2
    assert small_paneled_text(content) == ""


def test_it_is_told_in_chinese(tmp_path: Path) -> None:
    content = replace(content_of(_plan(3), tmp_path, STORIES), language=language_named("zh"))
    assert small_paneled_text(content).startswith("在 6 个单元中，显示 3 个：基线，以及FID")
    assert content.language is not ENGLISH
