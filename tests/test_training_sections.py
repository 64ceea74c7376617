"""The sections on training: five curves, equilibrium, dynamics and diagnosis, in whole reports."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from report_data import NOTES, Story, lived, many_cells, measured_plan, prepare, report, section, small_plan

from harness.design.expansion import Plan
from harness.report import chosen_cells

SHORT = {"training": {"steps": 40, "log_every": 10, "checkpoint_every": 40}, "evaluation": []}
TRAINING = ("loss-crossings", "probabilities", "equilibrium", "dynamics", "diagnosis")


def only(plan: Plan, *sections: str) -> Plan:
    """`plan` with a report of these sections."""
    settings = plan.experiment.report.model_copy(update={"sections": sections})
    return replace(plan, experiment=plan.experiment.model_copy(update={"report": settings}))


def told(plan: Plan, tmp_path: Path, name: str, stories: dict[str, Story] | None = None) -> str:
    """One section of the report of `plan`, which has no other."""
    return section(lived(only(plan, name), tmp_path, stories), name)


def rows_of(text: str, first: str) -> list[list[str]]:
    """The body of the table whose header begins with `first` behind its number."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|") and first in line) + 2
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([field.strip() for field in line.strip("|").split("|")])
    return rows


def test_captions_state_shared_settings_and_what_each_cell_has(tmp_path: Path) -> None:
    text = told(small_plan(), tmp_path, "probabilities")
    assert "All cells share:" in text and "`batch_size` 64" in text and "`latent_dim` 16," not in text.split("\n- ")[0]
    (first,) = (line for line in text.splitlines() if "\\#1 baseline: the baseline, with " in line)
    assert "`latent_dim` 16" in first and "`normalization` batch" in first and "seed 0, 400 of 400 steps." in first
    assert "- \\#2 latent\\_dim=100: as the baseline, but `latent_dim` 100; seed 0, 400 of 400 steps." in text


def test_the_equilibrium_is_told_with_its_rule_numbers_and_caution(tmp_path: Path) -> None:
    text = told(small_plan(), tmp_path, "equilibrium")
    assert "D\\*(x) = p(x) / (p(x) + q(x))" in text and "less than 0.05 from 1/2" in text
    assert "was reached in none of 8 runs" in text
    rows = rows_of(text, "Cell")
    assert len(rows) == 4 and rows[0][-2:] == ["2", "0 of 2"]
    assert "±" in rows[0][2] and "SD over seeds" in text
    assert "weak discriminator" in text


def test_an_equilibrium_that_cannot_be_told_says_why(tmp_path: Path) -> None:
    cells = [{"name": "smoothed", "real_label": 0.9}, {"name": "hinge", "loss": "hinge"}]
    text = told(small_plan(grid=[], cell=cells), tmp_path, "equilibrium")
    assert "labels of 0.9 (real) and 0.0 (generated)" in text and "With `hinge`" in text
    assert "not told for smoothed, hinge." in text
    assert [row[-1] for row in rows_of(text, "Cell")] == ["0 of 2", "–", "–"]
    without = small_plan(grid=[], baseline={"resolution": 16, "loss": "hinge"})
    alone = told(without, tmp_path / "only", "equilibrium")
    assert "not told for baseline" in alone and "| Cell" not in alone


def test_dynamics_are_numbers_with_their_seeds_and_correlations(tmp_path: Path) -> None:
    text = told(small_plan(), tmp_path, "dynamics")
    losses, answers = rows_of(text, "Interleaving"), rows_of(text, "Accuracy on real images")
    assert len(losses) == len(answers) == 4
    assert 0 < float(losses[0][2].split(" ± ")[0]) <= 1
    assert answers[0][2] == "0.800 ± 0.0"
    correlations = rows_of(text, "Spearman's ρ")
    assert [row[-1] for row in correlations] == ["4"] * 12
    assert correlations[6][1] == "–"  # accuracies are the same in all cells
    assert any(row[1] != "–" for row in correlations)
    assert "no test of a cause" in text


def test_dynamics_without_measurements_have_no_correlations(tmp_path: Path) -> None:
    text = told(small_plan(evaluation=[]), tmp_path, "dynamics")
    assert "nothing has been measured" in text and "Spearman" not in text


def test_the_diagnosis_names_evidence_and_remedies_to_paste(tmp_path: Path) -> None:
    stories = {"baseline seed 1": Story(classes=(100,) + (0,) * 9)}
    text = told(measured_plan(), tmp_path, "diagnosis", stories)
    table = {row[1]: row[2:] for row in rows_of(text, "Cell")}
    assert table["**baseline**"][-2] == "**1 of 2**" and table["latent\\_dim=100"][-2] == "0 of 2"
    assert "Modes are missing in 1 of 2 seeds (seed 1: 1 classes there, of 10 judged, largest share 100 %)" in text
    block = text.split("```toml\n")[1].split("```")[0]
    cells = tomllib.loads(block)["cell"]
    assert {"latent_dim": 200} in cells and all(cells)
    assert "](figures/diagnosis-1.png)" in text


def test_a_remedy_that_the_file_has_is_named_and_not_proposed(tmp_path: Path) -> None:
    grid = [{"kind": "one-at-a-time", "levels": {"latent_dim": [200]}}]
    stories = {"baseline": Story(classes=(100,) + (0,) * 9)}
    text = told(measured_plan(grid=grid), tmp_path, "diagnosis", stories)
    assert "This file has already: larger latent vector (latent\\_dim=200)." in text
    ours = text.split("**baseline**\n")[1].split("\n**")[0]
    assert {"latent_dim": 200} not in tomllib.loads(ours.split("```toml\n")[1].split("```")[0])["cell"]


def test_what_lacks_its_data_stays_and_says_so(tmp_path: Path) -> None:
    plan = only(small_plan(), *TRAINING)
    prepare(plan, tmp_path / "runs")
    text = report(plan, tmp_path / "runs", tmp_path / "report")
    for name in TRAINING:
        assert "Nothing to show yet" in section(text, name)
    plan = only(small_plan(**SHORT, grid=[]), "diagnosis", "dynamics")
    short = lived(plan, tmp_path / "short", {"baseline": Story(reached=40)})
    assert all(row[2:7] == ["–"] * 5 for row in rows_of(section(short, "diagnosis"), "Cell"))
    assert rows_of(section(short, "dynamics"), "Interleaving")[0][2] == "–"


def test_many_cells_have_panels_of_the_first_and_rows_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen_cells, "MOST_CELLS", 3)
    plan = only(many_cells(5, seeds=[0], **SHORT), "probabilities", "diagnosis")
    text = lived(plan, tmp_path, {cell.name: Story(reached=40, pictured=False) for cell in plan.cells})
    evidence = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert [len(picture["sources"]) for picture in evidence["pictures"]] == [3, 3]
    for name in ("probabilities", "diagnosis"):
        assert "Of 5 cells, the baseline and the first others are shown, 3 in all: " in section(text, name)
    assert len(rows_of(section(text, "diagnosis"), "Cell")) == 5


def test_sections_stand_behind_the_answers() -> None:
    names = list(NOTES)
    at = names.index("probabilities")
    assert names[at : at + 4] == ["probabilities", "equilibrium", "dynamics", "diagnosis"]
