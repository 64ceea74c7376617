"""Reports on cells of unlike losses (no probabilities, no common scale) and of unlike numbers of steps."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from report_data import lived, section, small_plan

from harness.design.expansion import Plan
from harness.tracking.content import child_content
from harness.tracking.reader import read_experiment

CRITIC = {"name": "critic", "loss": "wasserstein_gp", "discriminator_normalization": "none"}
TRAINING = {"sections": ["summary", "loss-crossings", "probabilities"]}


def evidence(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report" / "report.json").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A report on a baseline with cross entropy and a cell with a critic."""
    folder = tmp_path_factory.mktemp("mixed")
    return lived(small_plan(grid=[], cell=[CRITIC], report=TRAINING), folder), folder


def test_crossings_are_counted_only_where_losses_compare(mixed: tuple[str, Path]) -> None:
    text, folder = mixed
    shown = section(text, "loss-crossings")
    assert "With `wasserstein_gp` they have no common scale" in shown
    assert "Crossings are not counted for critic." in shown
    assert not [line for line in shown.splitlines() if line.startswith("|") and "critic" in line]
    assert "Counted in 2 of 4 runs." in shown
    by_cell = {item["cell"]: item for item in evidence(folder)["crossings"]}
    assert (by_cell["critic"]["count"], by_cell["critic"]["comparable_losses"]) == (None, False)
    assert by_cell["baseline"]["count"] == 2
    assert "cross in 2 of 2 runs (in brackets, how often in each seed): baseline (2, 2)." in shown


def test_labels_that_do_not_add_up_to_1_are_the_reason(tmp_path: Path) -> None:
    cells = [{"name": "one-sided", "real_label": 0.9}, {"name": "two-sided", "real_label": 0.9, "fake_label": 0.1}]
    shown = section(lived(small_plan(grid=[], cell=cells, report=TRAINING), tmp_path), "loss-crossings")
    assert "With labels of 0.9 (real) and 0.0 (generated), whose means do not add up to 1" in shown
    assert "Crossings are not counted for one-sided." in shown and "no common scale" not in shown
    rows = {line.split("|")[2].strip(): line for line in shown.splitlines() if line.startswith("|")}
    assert "one-sided" not in rows and "two-sided (2, 2)" in shown
    assert re.search(r"seed 0: \d+, \d+; seed 1: ", rows["two-sided"])


def test_what_is_not_drawn_is_not_explained(mixed: tuple[str, Path], tmp_path: Path) -> None:
    critic = {name: level for name, level in CRITIC.items() if name != "name"}
    baseline = {"resolution": 16, "latent_dim": 16, **critic}
    alone = section(lived(small_plan(grid=[], baseline=baseline, report=TRAINING), tmp_path), "loss-crossings")
    assert "A circle" not in alone and "dotted" not in alone and "their mean" not in alone
    assert "Pale lines are the recorded means" in alone
    both = section(mixed[0], "loss-crossings")
    assert "A circle marks a crossing" in both and "ln 2 ≈ 0.693" in both
    assert "In some cells the discriminator's loss adds a term" in both


def test_answers_are_said_to_be_of_the_same_images_only_where_they_are(mixed: tuple[str, Path], tmp_path: Path) -> None:
    assert "is how much one update of the discriminator changes its answer." in section(mixed[0], "probabilities")
    cells = [{"name": "other images", "fake_batch": "fresh"}, {"name": "often", "discriminator_steps": 3}]
    shown = section(lived(small_plan(grid=[], cell=cells, report=TRAINING), tmp_path), "probabilities")
    assert "In other images the generator has fresh images: before and after are not of the same ones." in shown
    assert "In often a step has several updates of the discriminator: before is the mean over them" in shown
    assert "changes its answer only where a step has one and both are of the same images." in shown


def test_cells_without_probabilities_are_named(mixed: tuple[str, Path]) -> None:
    text, _ = mixed
    shown = section(text, "probabilities")
    assert "figures/probabilities.png" in shown
    assert (
        "With `wasserstein_gp` the discriminator's output is no probability, so no answers are shown for critic."
        in shown
    )


def test_no_figure_of_probabilities_where_no_cell_has_any(tmp_path: Path) -> None:
    baseline = {"resolution": 16, "latent_dim": 16, "loss": "hinge"}
    text = lived(small_plan(grid=[], baseline=baseline, report=TRAINING), tmp_path)
    shown = section(text, "probabilities")
    assert "no answers are shown for baseline" in shown
    assert "![" not in shown and "Nothing to show yet" not in shown
    assert not (tmp_path / "report" / "figures" / "probabilities.png").exists()
    assert "Crossings are not counted for any cell." in section(text, "loss-crossings")


def epochs() -> Plan:
    """Four epochs of 100 images: 40 steps at batch size 10, 20 at 20."""
    return small_plan(
        seeds=[0],
        baseline={"resolution": 16, "limit": 100, "batch_size": 10},
        training={"epochs": 4, "checkpoint_every_epochs": 2, "log_every": 2},
        grid=[{"kind": "one-at-a-time", "levels": {"batch_size": [20]}}],
    )


def test_cells_of_unlike_length_are_complete_at_their_own_steps(tmp_path: Path) -> None:
    from report_data import Story

    plan = epochs()
    assert {cell.name: cell.training.checkpoint_steps() for cell in plan.cells} == {
        "baseline": (20, 40), "batch_size=20": (10, 20),
    }  # fmt: skip
    text = lived(plan, tmp_path, {"baseline": Story(reached=40), "batch_size=20": Story(reached=20)})
    view = read_experiment(plan, tmp_path / "runs")
    assert [run.status.state for run in view.runs] == ["complete", "complete"]
    assert "2 runs of 20 to 40 steps each" in section(text, "summary")
    assert "All 2 runs are complete." in section(text, "summary")
    settings = section(text, "settings")
    assert "Training of baseline: 40 steps" in settings and "checkpoints at 20, 40." in settings
    assert "Training of batch\\_size=20: 20 steps" in settings and "checkpoints at 10, 20." in settings
    assert "| Measured at steps            | every checkpoint of each cell" in section(text, "protocol")
    assert "Nothing failed, diverged or is missing." in section(text, "problems")
    tags = [
        child_content(view, run, run.directory, "parent").tags["harness.steps"] for run in view.runs if run.directory
    ]
    assert tags == ["40", "20"]
