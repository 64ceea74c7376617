"""The sections on training: five curves, equilibrium, dynamics and diagnosis, in whole reports."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from report_data import NOTES, Story, lived, many_cells, measured_plan, prepare, report, section, small_plan
from report_tables import content_of

from harness.analysis.correlation import RankCorrelation
from harness.design.expansion import Plan
from harness.design.metrics import METRICS
from harness.report import chosen_cells, dynamics_tables
from harness.report.correlations import correlations, strongest_text
from harness.report.dynamics_tables import interleaving_summary

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
    assert "`latent_dim` 16" in first and "`normalization` batch" in first and first.endswith("batch.")
    assert "- \\#2 latent\\_dim=100: as the baseline, but `latent_dim` 100." in text


def test_the_equilibrium_is_told_with_its_rule_numbers_and_caution(tmp_path: Path) -> None:
    text = told(small_plan(), tmp_path, "equilibrium")
    assert text.strip().startswith("At the end of training D's mean answers are near 1/2 in none of 8 runs.")
    assert "From the second to the last quarter of training, D(x) and D(G(z)) move away from 1/2 in " in text
    assert "D\\*(x) = p(x) / (p(x) + q(x))" in text and "less than 0.05 from 1/2" in text
    assert "real images with D(x) > 0.5" in text and "no sign of one by itself" in text
    rows = rows_of(text, "Right on real")
    assert len(rows) == 4 and rows[0][-2:] == ["0 of 2", "0 of 2"]
    assert "±" in rows[0][2] and rows[0][4:6] == ["0.8 ± 0", "0.7 ± 0"] and "SD over seeds" in text


def test_cells_near_one_half_stand_first_with_their_quality_and_what_is_wrong(tmp_path: Path) -> None:
    """A discriminator whose answers are near 1/2 and that is right on most images has not reached the equilibrium."""
    quiet = Story(swings=0, level=(0.72, 0.67), fid=700.0)
    text = told(small_plan(), tmp_path, "equilibrium", {"generator=mlp": quiet})
    lines = [line for line in text.splitlines() if line.startswith("- ")]
    assert lines[0].startswith("- generator=mlp (2 of 2 seeds): FID (digits) 7") and len(lines) == 2
    assert "D right on 80 % of real and 70 % of generated images" in lines[0]
    assert "the equilibrium is not reached. Its answers never left 1/2" in lines[0]
    assert lines[1].startswith("- Not near 1/2, ")
    assert "near 1/2 in 2 of 8 runs; this alone is no sign of good images: generator=mlp" in text
    assert "In none of these D is right by chance alone: the equilibrium D = 1/2 was not reached." in text


def test_an_equilibrium_that_cannot_be_told_says_why(tmp_path: Path) -> None:
    cells = [{"name": "smoothed", "real_label": 0.9}, {"name": "hinge", "loss": "hinge"}]
    text = told(small_plan(grid=[], cell=cells), tmp_path, "equilibrium")
    assert "labels of 0.9 (real) and 0.0 (generated)" in text and "With `hinge`" in text
    assert "not told for smoothed; hinge." in text
    assert [row[-2:] for row in rows_of(text, "Cell")] == [["0 of 2", "0 of 2"], ["–", "–"], ["–", "–"]]
    without = small_plan(grid=[], baseline={"resolution": 16, "loss": "hinge"})
    alone = told(without, tmp_path / "only", "equilibrium")
    assert "not told for baseline" in alone and "| Cell" not in alone


def test_dynamics_are_numbers_with_correlations_whose_sign_is_read_out(tmp_path: Path) -> None:
    text = told(small_plan(), tmp_path, "dynamics")
    assert text.strip().startswith("The losses take turns in 4 of 4 cells; most in ")
    losses = rows_of(text, "Interleaving")
    assert len(losses) == 4 and len(losses[0]) == 6  # the same two seeds in every row have no column
    assert 0 < float(losses[0][2].split(" ± ")[0]) <= 1
    rows = rows_of(text, "Spearman's ρ")
    assert [row[-1] for row in rows] == ["4"] * len(rows)
    assert {name for row in rows for name in row[0].split(", ")} >= {"G's loss", "G / D", "D(x)"}
    dashes = [row for row in rows if row[1] == "–"]
    alike = "Crossings per 1000 steps, Accuracy on real images, Accuracy on generated images"
    assert [row[0] for row in dashes] == [alike]  # the same in all cells
    assert rows[-1] == dashes[0]
    assert "No number goes with the quality of images beyond chance" in text  # 4 cells cannot show it
    assert "The higher this number, the " not in text and "no test of a cause" in text


@pytest.mark.parametrize(("rho", "told"), [(-0.9, "the closer a cell's"), (0.9, "the farther a cell's")])
def test_the_sign_of_a_correlation_beyond_chance_is_read_out(tmp_path: Path, rho: float, told: str) -> None:
    content = content_of(small_plan(), tmp_path)
    found = correlations(content)
    assert found is not None
    sure = RankCorrelation("loss_ratio", 12, rho, 0.001)
    text = strongest_text(content, replace(found, found=(sure,)))
    assert text.startswith("Strongest: G / D (ρ = ") and told in text
    chance = [replace(sure, name=name, p=0.02, rho=rho / (i + 1)) for i, name in enumerate(("prob_real", "prob_fake"))]
    assert "The higher" in strongest_text(content, replace(found, found=tuple(chance)))
    many = (*chance, replace(sure, name="loss_ratio", rho=0.1, p=0.6))
    text = strongest_text(content, replace(found, found=many))
    assert "after adjustment for 3 comparisons; closest to it: D(x) (ρ = " in text and "The higher" not in text


def test_losses_that_hardly_take_turns_are_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = content_of(small_plan(evaluation=[]), tmp_path)
    monkeypatch.setattr(dynamics_tables, "HARDLY", 0.9)
    assert interleaving_summary(content).startswith(
        "The losses hardly take turns in any cell: interleaving is at most 0."
    )
    monkeypatch.setattr(dynamics_tables, "HARDLY", 0.01)
    assert interleaving_summary(content).startswith("The losses take turns in 4 of 4 cells")


def test_what_crossings_are_counted_in_is_told_only_with_their_table(tmp_path: Path) -> None:
    apart = {name: Story(swings=0, level=(3.0, 0.1)) for name in ("baseline", "one")}
    cells = [{"name": "one", "latent_dim": 100}]
    text = lived(only(small_plan(grid=[], cell=cells, evaluation=[]), "loss-crossings"), tmp_path, apart)
    assert "cross in none of 4 runs" in text and "Counts and rates refer" not in text
    assert "## Losses of G and D" in text


def test_dynamics_without_measurements_have_no_correlations(tmp_path: Path) -> None:
    text = told(small_plan(evaluation=[]), tmp_path, "dynamics")
    assert "nothing has been measured" in text and "Spearman" not in text


@pytest.fixture(scope="module")
def diagnosed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The diagnosis where one seed makes one class alone, a cell copies its noise, and one is much better."""
    grid = [{"kind": "one-at-a-time", "levels": {"latent_dim": [200], "normalization": ["none"], "generator": ["mlp"]}}]
    stories = {
        "baseline seed 0": Story(fid=300.0),
        "baseline seed 1": Story(fid=300.0, classes=(100,) + (0,) * 9, level=(0.01, 0.01)),
        "latent_dim=200": Story(fid=290.0),
        "generator=mlp": Story(classes=(100,) + (0,) * 9, fid=5000.0),
        "normalization=none": Story(classes=(100,) + (0,) * 9, fid=100.0),
    }
    plan = measured_plan(grid=grid, evaluation=[{"samples": 100, "repeats": 3, "metrics": list(METRICS)}])
    return told(plan, tmp_path_factory.mktemp("diagnosed"), "diagnosis", stories)


def test_the_diagnosis_names_evidence_of_each_seed(diagnosed: str) -> None:
    table = {row[1]: row[2:] for row in rows_of(diagnosed, "Cell")}
    assert table["**baseline**"][5] == "**1 of 2**" and table["latent\\_dim=200"][5] == "0 of 2"
    assert "missing classes in 1 of 2 seeds (1 of 10 classes there)" in diagnosed
    assert "](figures/diagnosis-1.png)" in diagnosed
    assert (
        "was less than 0.05 nats above its least in this share of training, the mean over seeds (in brackets, first "
        "and last in any seed): baseline: 50 % (about step 55, about step 345)." in diagnosed
    )


def test_classes_of_noise_have_no_verdict_and_no_remedy(diagnosed: str) -> None:
    """Precision is near 0 where FID is in the thousands."""
    table = {row[1]: row[2:] for row in rows_of(diagnosed, "Cell")}
    assert table["generator=mlp"][5] == "–"
    (mlp,) = [line for line in diagnosed.splitlines() if line.startswith("- generator=mlp:")] or [""]
    assert "missing classes" not in mlp


def test_each_remedy_is_one_block_to_paste_for_its_first_cell(diagnosed: str) -> None:
    blocks = [tomllib.loads(block.split("```")[0])["cell"] for block in diagnosed.split("```toml\n")[1:]]
    assert all(len(cells) == 1 and cells[0] for cells in blocks)
    assert len({str(cells) for cells in blocks}) == len(blocks)
    symptoms = {row[0]: row[1:] for row in rows_of(diagnosed, "What to try")}
    assert symptoms["Classes are missing"] == [
        "larger latent vector, noise on all images, Wasserstein loss",
        "baseline",
    ]


def test_a_remedy_that_the_file_has_is_named_and_not_proposed(diagnosed: str) -> None:
    assert "This file has already: larger latent vector for baseline (latent\\_dim=200)" in diagnosed
    assert "larger latent vector, for" not in diagnosed


def test_a_cell_that_is_clearly_better_gets_no_remedies(diagnosed: str) -> None:
    assert "Nothing is proposed for normalization=none: closer to the real images" in diagnosed
    assert (
        "In this experiment the rules " in diagnosed
        and "The cell closest to the real images, normalization=none" in diagnosed
    )


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
    monkeypatch.setattr(chosen_cells, "MOST_LARGE", 3)
    plan = only(many_cells(5, seeds=[0], **SHORT), "probabilities", "diagnosis")
    text = lived(plan, tmp_path, {cell.name: Story(reached=40, pictured=False) for cell in plan.cells})
    evidence = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert [len(picture["sources"]) for picture in evidence["pictures"]] == [3, 3]
    for name in ("probabilities", "diagnosis"):
        told = "Of 5 cells, 3 are shown: the baseline and the first others, those with results before the rest. "
        assert told + "Tables have all cells." in section(text, name)
    assert len(rows_of(section(text, "diagnosis"), "Cell")) == 5


def test_sections_stand_behind_the_answers() -> None:
    names = list(NOTES)
    at = names.index("probabilities")
    assert names[at : at + 4] == ["probabilities", "equilibrium", "dynamics", "diagnosis"]
