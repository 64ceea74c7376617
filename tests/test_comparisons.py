"""What cells are compared by: which checkpoint, which seeds, which family; and what their files and evidence say."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from report_data import Story, live, lived, small_plan
from report_tables import content_of, csv_rows

from harness.report.comparison_evidence import comparisons_evidence
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content, ReportCell, gather
from harness.report.csv_files import differences_csv
from harness.report.factor_changes import changes, factorials
from harness.store import atomic
from harness.tracking.reader import read_experiment

FID = "FID (digits)"
BOTH = {"samples": 100, "repeats": 3, "metrics": ["fid", "recall"]}
DIMS: dict[str, Any] = {
    "baseline": {"resolution": 16, "latent_dim": 16, "generator_hidden_dim": 64, "discriminator_hidden_dim": 64},
    "grid": [{"name": "dims", "levels": {"latent_dim": [16, 100], "hidden_dim": [8, 64]}}],
}
"""A factorial grid that has the baseline in it."""


def cell(content: Content, name: str) -> ReportCell:
    return next(one for one in content.cells if one.cell.name == name)


def against(content: Content, title: str = FID) -> ColumnComparison:
    return content.comparisons[title]


def test_values_are_those_of_every_repeat_at_the_last_checkpoint(tmp_path: Path) -> None:
    content = content_of(small_plan(), tmp_path)
    found = against(content)
    assert found.steps == dict.fromkeys((one.cell.name for one in content.cells), 400)
    run = content.cells[1].runs[1]
    values = found.values["latent_dim=100"]
    assert values.values[1] == content.run_values(run, content.columns[0])[400]
    assert (sorted(values.values), values.seeds, values.diverged) == ([0, 1], 2, 0)


def test_minutes_are_of_training_and_measuring_a_whole_run(tmp_path: Path) -> None:
    """40 records of 0.1 s and two evaluations of 1 s each; of a cell without a complete run nothing is known."""
    content = content_of(small_plan(), tmp_path, {"generator=mlp": Story("diverged", reached=200)})
    values = against(content).values
    assert values["baseline"].minutes_per_run == pytest.approx((40 * 0.1 + 2 * 1.0) / 60)
    assert values["generator=mlp"].minutes_per_run is None


def test_a_metric_of_the_same_evaluation_costs_no_time_of_its_own(tmp_path: Path) -> None:
    one, two = content_of(small_plan(), tmp_path / "one"), content_of(small_plan(evaluation=[BOTH]), tmp_path / "two")
    minutes = [against(content).values["baseline"].minutes_per_run for content in (one, two)]
    assert minutes[0] == minutes[1]


def test_while_runs_are_under_way_cells_compare_at_the_step_that_all_seeds_of_the_baseline_have(tmp_path: Path) -> None:
    stories = {
        "baseline seed 1": Story("interrupted", reached=200),
        "normalization=none": Story("interrupted", reached=0, evaluated=False),
    }
    content = content_of(small_plan(), tmp_path, stories)
    found = against(content)
    assert set(found.steps.values()) == {200}
    difference = found.of(cell(content, "latent_dim=100"))
    assert difference and difference.shared_seeds == (0, 1)
    nothing = found.of(cell(content, "normalization=none"))
    assert nothing and nothing.verdict == "not measured"


def test_a_cell_behind_the_baseline_is_not_compared_at_another_step(tmp_path: Path) -> None:
    content = content_of(small_plan(), tmp_path, {"latent_dim=100": Story("interrupted", reached=200)})
    found = against(content)
    late = found.of(cell(content, "latent_dim=100"))
    assert found.steps["latent_dim=100"] == 400 and late and late.estimate is None
    assert content.summary(cell(content, "latent_dim=100"), found.column) is not None


def test_a_run_that_diverged_or_failed_holds_nobody_up(tmp_path: Path) -> None:
    stories = {"baseline seed 1": Story("diverged", reached=200), "latent_dim=100 seed 0": Story("failed", reached=200)}
    content = content_of(small_plan(seeds=[0, 1, 2]), tmp_path, stories)
    found = against(content)
    assert set(found.steps.values()) == {400}
    difference = found.of(cell(content, "latent_dim=100"))
    assert difference and difference.shared_seeds == (2,)


def test_without_claims_every_cell_is_tested_once_per_protocol(tmp_path: Path) -> None:
    blocks = [{"samples": 100, "repeats": 3}, {"samples": 200, "repeats": 3}]
    content = content_of(small_plan(evaluation=blocks), tmp_path)
    assert list(content.comparisons) == [FID, "FID (digits-2)"]
    assert [found.comparison.family for found in content.comparisons.values()] == [3, 3]
    assert content.comparisons is content.comparisons


def test_claims_are_the_whole_family(tmp_path: Path) -> None:
    claims = [{"cell": "latent_dim=100"}, {"cell": "generator=mlp", "against": "latent_dim=100"}]
    content = content_of(small_plan(claim=claims, seeds=[0, 1, 2]), tmp_path, {"generator=mlp": Story(fid=200)})
    found = against(content)
    assert found.comparison.family == 2 and not found.is_whole_family
    verdicts = {(one.cell, one.against): one.verdict for one in found.comparison.differences}
    assert verdicts["normalization=none", "baseline"] == verdicts["generator=mlp", "baseline"] == "not asked"
    assert verdicts["generator=mlp", "latent_dim=100"] == "hurts"


def test_claims_on_several_metrics_share_one_adjustment(tmp_path: Path) -> None:
    """As many claims on FID alone, or spread over two metrics: p is adjusted for all of them."""
    claims: list[dict[str, Any]] = [{"cell": "latent_dim=100"}, {"cell": "generator=mlp", "metric": "recall"}]
    content = content_of(small_plan(evaluation=[BOTH], claim=claims, seeds=[0, 1, 2]), tmp_path)
    fid = against(content).of(cell(content, "latent_dim=100"))
    recall = against(content, "Recall (digits)").of(cell(content, "generator=mlp"))
    assert fid and recall and fid.p and recall.p and fid.p_holm and recall.p_holm
    smaller, larger = sorted([fid, recall], key=lambda one: one.p or 0)
    assert smaller.p_holm == pytest.approx(min(1, 2 * (smaller.p or 0)))
    assert larger.p_holm == pytest.approx(max(larger.p or 0, smaller.p_holm or 0))
    assert {found.comparison.family for found in content.comparisons.values()} == {2}


def test_what_a_larger_family_makes_unsure_is_no_longer_called_sure(tmp_path: Path) -> None:
    """The same runs, with one claim and with two on two metrics, at a p between 2.5 and 5 %."""
    live(small_plan(evaluation=[BOTH]), tmp_path, {"latent_dim=100": Story(fid=20.8)})

    def difference(*claims: dict[str, str]) -> Any:
        content = gather(read_experiment(small_plan(evaluation=[BOTH], claim=claims), tmp_path))
        return against(content).of(cell(content, "latent_dim=100"))

    alone = difference({"cell": "latent_dim=100"})
    other = {"cell": "normalization=none", "metric": "recall"}
    beside = difference({"cell": "latent_dim=100"}, other)
    assert 0.025 < alone.p < 0.05 and alone.verdict == "hurts" and alone.needed is None
    assert beside.p == alone.p and beside.p_holm > 0.05
    assert beside.verdict == "inconclusive" and beside.needed is not None


def test_cells_of_another_protocol_are_not_compared_with_the_baseline(tmp_path: Path) -> None:
    plan = small_plan(
        evaluation=[{"generator_mode": "train", "repeats": 3}],
        grid=[{"levels": {"batch_size": [32]}}, {"levels": {"latent_dim": [8]}}],
    )
    content = content_of(plan, tmp_path)
    first, second = content.comparisons.values()
    assert first.baseline is not None and [one.cell.name for one in first.others] == ["latent_dim=8"]
    assert second.baseline is None and second.comparison.differences == ()


def test_changes_name_the_alias_that_a_cell_sets(tmp_path: Path) -> None:
    cells = [
        {"name": "both", "activation": "relu"},
        {"name": "one", "generator_activation": "relu"},
        {"name": "two", "latent_dim": 8, "loss": "hinge"},
    ]
    content = content_of(small_plan(grid=[], cell=cells), tmp_path)
    told = {one.cell.name: [change.text for change in changes(content, one)] for one in content.cells}
    assert told == {
        "baseline": [],
        "both": ["`activation` leaky\\_relu → relu"],
        "one": ["`generator_activation` leaky\\_relu → relu"],
        "two": ["`latent_dim` 16 → 8", "`loss` bce → hinge"],
    }


def test_a_factorial_grid_has_the_baselines_level_first(tmp_path: Path) -> None:
    (grid,) = factorials(content_of(small_plan(**DIMS), tmp_path))
    assert (grid.name, grid.factors) == ("dims", ("latent_dim", "hidden_dim"))
    assert grid.levels == {"latent_dim": ("16", "100"), "hidden_dim": ("64", "8")}
    assert len({one.number for one in grid.cells.values()}) == 4


def test_a_grid_that_leaves_the_baseline_out_is_completed_by_other_cells(tmp_path: Path) -> None:
    alone = {"kind": "one-at-a-time", "levels": {"latent_dim": [100], "hidden_dim": [8]}}
    corner = {"name": "corner", "levels": {"latent_dim": [100], "hidden_dim": [8]}}
    (grid,) = factorials(content_of(small_plan(grid=[alone, corner]), tmp_path / "all"))
    assert (grid.name, grid.levels["latent_dim"]) == ("corner", ("16", "100"))
    assert factorials(content_of(small_plan(grid=[corner]), tmp_path / "corner")) == []


def test_four_cells_that_cross_two_factors_are_found_without_a_grid(tmp_path: Path) -> None:
    cells = [
        {"name": "G", "generator_activation": "relu"},
        {"name": "D", "discriminator_activation": "relu"},
        {"name": "G and D", "activation": "relu"},
    ]
    (grid,) = factorials(content_of(small_plan(grid=[], cell=cells), tmp_path))
    assert grid.name is None and set(grid.factors) == {"generator_activation", "discriminator_activation"}
    assert grid.cells["relu", "relu"].cell.name == "G and D"


def test_differences_csv_has_every_difference_and_effect(tmp_path: Path) -> None:
    content = content_of(small_plan(**DIMS, claim=[{"cell": "latent_dim=100", "smallest_effect": 0.1}]), tmp_path)
    rows = csv_rows(differences_csv(content))
    assert sorted(row["kind"] for row in rows[:3]) == ["baseline", "baseline", "claim"]
    assert [row["kind"] for row in rows[3:]] == ["factor", "factor", "interaction"]
    (claimed,) = [row for row in rows if row["kind"] == "claim"]
    other = next(row for row in rows if row["kind"] == "baseline")
    difference = against(content).of(cell(content, "latent_dim=100"))
    assert difference and difference.estimate is not None and difference.high is not None
    assert float(claimed["estimate"]) == difference.estimate
    assert float(claimed["ratio_high_95"]) == pytest.approx(math.exp(difference.high))
    assert (claimed["p_holm"], other["p_holm"]) == (str(difference.p_holm), "")
    assert float(claimed["smallest_effect"]) == pytest.approx(math.log(1.1))
    assert (claimed["cell_step"], claimed["seeds"], other["verdict"]) == ("400", "2", "not asked")
    interaction = rows[-1]
    assert (interaction["cell"], interaction["against"]) == (
        "latent_dim=100,hidden_dim=8",
        "latent_dim=16,hidden_dim=64",
    )
    assert float(interaction["ratio"]) == pytest.approx(math.exp(float(interaction["estimate"])))


def test_every_difference_resolves_to_checkpoints_and_a_protocol(tmp_path: Path) -> None:
    block = {"samples": 100, "repeats": 3, "metrics": ["fid", "kid"]}
    asked: dict[str, Any] = {**DIMS, "evaluation": [block], "report": {"samples": 16, "sections": ["problems"]}}
    lived(small_plan(**asked, claim=[{"cell": "latent_dim=100", "metric": "kid"}]), tmp_path)
    document = atomic.read_json(tmp_path / "report" / "report.json")
    runs = {run["key"]: run for run in document["runs"]}
    protocols = {column["protocol_sha256"] for column in document["columns"]}
    found = document["comparisons"]
    assert [one["column"] for one in found] == [FID, "KID (digits)"]
    for one in found:
        assert one["protocol_sha256"] in protocols
        for difference in one["differences"]:
            for name in (difference["cell"], difference["against"]):
                seeds = [source["seed"] for source in one["sources"][name]]
                assert set(difference["shared_seeds"]) <= set(seeds)
                for source in one["sources"][name]:
                    assert runs[source["key"]]["checkpoints"][str(source["step"])] == source["checkpoint_sha256"]
        assert one["crossed"][0]["effects"] and len(one["crossed"][0]["cells"]) == 4
    assert found[1]["claims"] == [{"cell": "latent_dim=100", "against": "baseline", "smallest_effect": None}]
    assert comparisons_evidence(gather(read_experiment(small_plan(**asked), tmp_path / "runs")))[0]["claims"] == []
