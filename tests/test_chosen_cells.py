"""Cells with panels of their own in a grid of many."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_data import Story, lived, many_cells, prepare, section, small_plan, write_run
from report_tables import content_of

from harness.design.expansion import Plan
from harness.report.chosen_cells import MOST_LARGE, large_panels, small_panels
from harness.report.content import Content, gather
from harness.report.language import language_named
from harness.tracking.reader import read_experiment

FIDS = {64: 50.0, 32: 10.0, 128: 40.0, 8: 30.0, 256: 20.0}
"""By latent size, in the order of the file; the baseline has 16."""
LEVELS: list[dict[str, Any]] = [{"kind": "one-at-a-time", "levels": {"latent_dim": list(FIDS)}}]
STORIES = {f"latent_dim={size}": Story(fid=fid) for size, fid in FIDS.items()}


def _plan(panels: int, **changes: Any) -> Plan:
    settings = {"samples": 16, "panels": panels, "interpolations": [5, 10]}
    return small_plan(**{"grid": LEVELS, "seeds": [0], "report": settings, **changes})


def _shown(content: Content) -> list[str]:
    return [cell.cell.name for cell in small_panels(content).cells]


@pytest.mark.parametrize(
    ("panels", "names"),
    [
        (6, ["baseline", *STORIES]),
        (5, ["baseline", "latent_dim=64", "latent_dim=32", "latent_dim=128", "latent_dim=256"]),
        (4, ["baseline", "latent_dim=64", "latent_dim=32", "latent_dim=256"]),
        (3, ["baseline", "latent_dim=64", "latent_dim=32"]),
    ],
)
def test_the_baseline_the_best_and_the_worst_are_shown(tmp_path: Path, panels: int, names: list[str]) -> None:
    content = content_of(_plan(panels), tmp_path, STORIES)
    assert _shown(content) == names
    text = small_panels(content).text
    told = (
        f"Of 6 cells, {panels} are shown: the baseline, and those with the best and with the worst FID (digits), among "
        "the worst those that diverged unmeasured. Tables have all cells. `panels` in `[report]` shows more."
    )
    assert text == ("" if panels == 6 else told)


def test_more_is_better_of_some_metrics(tmp_path: Path) -> None:
    block = {"samples": 100, "repeats": 3, "metrics": ["precision"]}
    content = content_of(_plan(3, evaluation=[block]), tmp_path, STORIES)
    (column,) = content.columns
    value = {cell.cell.name: content.of_cell(cell, column)[-1].mean for cell in content.cells[1:]}
    ranked = sorted(value, key=lambda name: (-value[name], list(value).index(name)))
    assert set(_shown(content)) == {"baseline", ranked[0], ranked[-1]}


def test_the_first_with_results_are_shown_where_too_few_are_measured(tmp_path: Path) -> None:
    plan = _plan(4)
    prepare(plan, tmp_path)
    for run in plan.runs:
        size = run.cell.hyperparameters.latent_dim
        if size not in (64, 128):  # these have not begun
            write_run(run, plan, tmp_path, Story(evaluated=size in (8, 16), fid=FIDS.get(size, 20.0)))
    content = gather(read_experiment(plan, tmp_path))
    assert _shown(content) == ["baseline", "latent_dim=32", "latent_dim=8", "latent_dim=256"]
    told = "Of 6 cells, 4 are shown: the baseline and the first others, those with results before the rest. "
    assert small_panels(content).text.startswith(told)


def test_a_cell_that_diverged_unmeasured_is_among_the_worst(tmp_path: Path) -> None:
    diverged = Story(outcome="diverged", reached=120, evaluated=False)
    content = content_of(_plan(3), tmp_path, STORIES | {"latent_dim=8": diverged})
    assert _shown(content) == ["baseline", "latent_dim=32", "latent_dim=8"]


def test_each_column_has_its_own_choice(tmp_path: Path) -> None:
    """Cells of another batch size are measured under another protocol where the generator keeps its training mode."""
    block = {"samples": 100, "repeats": 3, "generator_mode": "train"}
    sizes = {f"size {size}": size for size in range(17, 40)}
    cells = [{"name": name, "latent_dim": size, "batch_size": 64 if size % 2 else 32} for name, size in sizes.items()]
    plan = _plan(9, grid=[], cell=cells, evaluation=[block], baseline={"resolution": 16, "batch_size": 64})
    text = lived(plan, tmp_path, {name: Story(fid=float(size)) for name, size in sizes.items()})
    assert "Nothing to show yet" not in section(text, "against-step")
    content = gather(read_experiment(plan, tmp_path / "runs"))
    first, second = content.columns
    assert [len(content.cells_in(column)) for column in (first, second)] == [13, 11]
    shown = small_panels(content, second)
    assert len(shown.cells) == 9 and set(shown.cells) < set(content.cells_in(second))
    assert shown.text in section(text, "against-step") and "Of 11 cells, 9 are shown: those " in shown.text


def test_a_grid_without_its_baseline_says_nothing_of_one(tmp_path: Path) -> None:
    content = content_of(_plan(3, exclude=[{"latent_dim": 16}]), tmp_path, STORIES)
    assert _shown(content) == ["latent_dim=64", "latent_dim=32", "latent_dim=256"]
    assert small_panels(content).text.startswith("Of 5 cells, 3 are shown: those with the best and with the worst ")
    unmeasured = content_of(_plan(3, exclude=[{"latent_dim": 16}], evaluation=[]), tmp_path / "unmeasured")
    assert _shown(unmeasured) == ["latent_dim=64", "latent_dim=32", "latent_dim=128"]
    assert small_panels(unmeasured).text.startswith("Of 5 cells, the first 3 are shown, those with results ")


def test_every_figure_of_small_panels_keeps_to_it(tmp_path: Path) -> None:
    text = lived(_plan(3), tmp_path, STORIES)
    evidence = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    shown: dict[str, set[str]] = {}
    for picture in evidence["pictures"]:
        keys = {source["key"] for source in picture["sources"] if "key" in source}
        shown.setdefault(Path(picture["path"]).stem, set()).update(keys)
    small = ("samples", "progress", "losses", "interpolations")
    assert {name: len(shown[name]) for name in small} == dict.fromkeys(small, 3)
    assert len(shown["fid-digits-against-step"]) == 6, "curves that share a panel need no choice"
    assert len(shown["fid-digits-last"]) == len(shown["losses-overlay"]) == 6
    for name in ("samples", "progress", "loss-crossings", "interpolations"):
        assert "Of 6 cells, 3 are shown: " in section(text, name)
    assert text.count("Of 6 cells, 3 are shown: ") > 4, "large panels are no more than small ones"


def test_large_panels_are_fewer(tmp_path: Path) -> None:
    content = content_of(many_cells(MOST_LARGE + 2, seeds=[0]), tmp_path)
    assert len(large_panels(content).cells) == MOST_LARGE
    assert len(small_panels(content).cells) == MOST_LARGE + 2
    assert small_panels(content).text == ""


def test_it_is_told_in_chinese(tmp_path: Path) -> None:
    content = replace(content_of(_plan(3), tmp_path, STORIES), language=language_named("zh"))
    assert small_panels(content).text.startswith("在 6 个单元中，显示 3 个：基线，以及FID")
