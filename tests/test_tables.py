"""Tables: every ± says of what, n is said, protocols stay apart, and nothing that people type breaks the Markdown."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from report_data import SHA, Story, live, prepare, small_plan, write_run
from report_tables import cell_rows, content_of, csv_rows, rows_of

from harness.report.content import gather
from harness.report.crossings import crossings_table
from harness.report.csv_files import comparison_csv, runs_csv
from harness.report.factor_tables import shared_table, varying_table
from harness.report.markdown import code, escape, fenced, number, spread
from harness.report.rounding import rounded, rounded_pair
from harness.report.tables import cells_table, comparison_table, measured_alike, spreads_table, states_table
from harness.tracking.reader import read_experiment


def test_comparison_says_mean_spreads_and_every_n(tmp_path: Path) -> None:
    content = content_of(small_plan(), tmp_path, {"generator=mlp seed 1": Story("diverged", reached=200)})
    rows = cell_rows(comparison_table(content, content.columns[0]))
    assert [row["#"] for row in rows] == ["1", "2", "3", "4"]
    baseline, mlp = rows[0], rows[3]
    (measured,) = [one for one in content.of_cell(content.cells[0], content.columns[0]) if one.step == 400]
    assert baseline["FID (digits) ↓"] == rounded(measured.mean, measured.sd_seeds)
    assert baseline["Measured"] == "2 seeds × 3 repeats, step 400"
    assert baseline["Lacking"] == "–"
    spreads = rows_of(spreads_table(content, content.columns[0]))
    assert spreads[0]["SD over repeats"] == spread(measured.sd_repeats)
    assert spreads[0]["SD over seeds"] == spread(measured.sd_seeds)
    by_seed = zip(measured.seeds, measured.seed_means, strict=True)
    assert spreads[0]["Mean of each seed"] == ", ".join(
        f"{seed}: {rounded_pair(mean, measured.sd_repeats)[0]}" for seed, mean in by_seed
    )
    (alone,) = [one for one in content.of_cell(content.cells[3], content.columns[0]) if one.step == 400]
    assert mlp["FID (digits) ↓"] == number(alone.mean)
    assert mlp["Measured"] == "1 seed × 3 repeats, step 400"
    assert mlp["Lacking"] == "1 of 2 runs diverged, 1 of 4 evaluations missing"
    assert spreads[3]["SD over seeds"] == "–"


def test_nothing_lacking_needs_no_column_and_the_table_fits_a_page(tmp_path: Path) -> None:
    levels = {"latent_dim": [8, 100], "hidden_dim": [8], "normalization": ["none"], "batch_size": [8], "lr": [1e-3]}
    content = content_of(small_plan(grid=[{"kind": "one-at-a-time", "levels": levels}]), tmp_path)
    headers = list(rows_of(comparison_table(content, content.columns[0]))[0])
    assert headers == ["#", "Cell", "FID (digits) ↓", "times the floor", "Against the baseline", "Verdict"]
    assert measured_alike(content, [content.columns[0]]) == "2 seeds × 3 repeats, step 400"


def test_a_cell_stands_beside_its_difference_and_verdict(tmp_path: Path) -> None:
    content = content_of(small_plan(), tmp_path, {"generator=mlp": Story(fid=900)})
    against = content.comparisons["FID (digits)"]
    rows = cell_rows(comparison_table(content, content.columns[0]))
    assert (rows[0]["Against the baseline"], rows[0]["Verdict"]) == ("–", "–")
    difference = against.of(content.cells[3])
    assert difference and difference.estimate and math.exp(difference.estimate) > 10 and difference.low is not None
    assert rows[3]["Against the baseline"].startswith("× ") and " to " in rows[3]["Against the baseline"]
    assert rows[3]["Verdict"] == "hurts"


def test_a_cell_is_what_it_changes_and_the_baseline_its_levels(tmp_path: Path) -> None:
    plan = small_plan(cell=[{"name": "slow", "discriminator_lr": 5e-5}])
    rows = rows_of(cells_table(gather(read_experiment(plan, tmp_path))))
    told = [row["What it changes against the baseline"] for row in rows]
    assert told[0] == "`generator` cnn, `latent_dim` 16, `normalization` batch, `discriminator_lr` 0.0002"
    assert told[1] == "`latent_dim` 16 → 100" and told[3] == "`generator` cnn → mlp"
    assert told[4] == "`discriminator_lr` 0.0002 → 0.00005"
    assert [row["Cell"] for row in rows][:2] == ["**baseline**", "latent\\_dim=100"]


def test_levels_that_differ_stand_out_where_nothing_is_measured(tmp_path: Path) -> None:
    rows = rows_of(states_table(gather(read_experiment(small_plan(evaluation=[]), tmp_path))))
    assert [row["`latent_dim`"] for row in rows] == ["16", "**100**", "16", "16"]
    assert [row["`generator`"] for row in rows] == ["cnn", "cnn", "cnn", "**mlp**"]


def test_a_factor_that_changes_nothing_in_a_cell_has_no_level_there(tmp_path: Path) -> None:
    cells = [{"name": "wide", "generator_kernel_size": 5}, {"name": "flat", "generator": "mlp"}]
    content = gather(read_experiment(small_plan(grid=[], cell=cells), tmp_path))
    rows = cell_rows(states_table(content))
    assert [row["`generator_kernel_size`"] for row in rows] == ["4", "**5**", "\\-"]
    levels = {row["cell"]: row["generator_kernel_size"] for row in csv_rows(comparison_csv(content))}
    assert levels == {"baseline": "4", "wide": "5", "flat": "-"}
    varying = {row["Factor"]: row for row in rows_of(varying_table(content))}
    assert varying["`generator_kernel_size`"]["Baseline"] == "4"
    assert varying["`generator_kernel_size`"]["Other levels"] == "5"
    assert varying["`generator`"]["What it is"].startswith("network from z to images")
    shared = {row["Factor"]: row for row in rows_of(shared_table(content))}
    assert shared["`latent_dim`"]["Level"] == "16"
    assert shared.keys().isdisjoint({*varying, "`gradient_penalty`", "`label_swap_decay`"})


def test_a_cell_without_measurements_stays_in_the_table(tmp_path: Path) -> None:
    content = content_of(small_plan(), tmp_path, {"latent_dim=100": Story(evaluated=False)})
    row = cell_rows(comparison_table(content, content.columns[0]))[1]
    assert (row["FID (digits) ↓"], row["Measured"], row["Lacking"]) == (
        "not measured", "–", "4 of 4 evaluations missing",
    )  # fmt: skip
    assert (row["Against the baseline"], row["Verdict"]) == ("–", "not measured")


def test_fewer_repeats_than_asked_are_missing_and_more_are_not_used(tmp_path: Path) -> None:
    stories = {"baseline": Story(repeats=2), "latent_dim=100": Story(repeats=5)}
    content = content_of(small_plan(), tmp_path, stories)
    few, many = cell_rows(comparison_table(content, content.columns[0]))[:2]
    assert (few["Measured"], few["Lacking"]) == ("2 seeds × 2 repeats, step 400", "4 of 4 evaluations missing")
    assert (many["Measured"], many["Lacking"]) == ("2 seeds × 3 repeats, step 400", "–")


def test_protocols_that_differ_never_share_a_column(tmp_path: Path) -> None:
    """In train mode the batch size joins the protocol, so its levels make a column each."""
    plan = small_plan(
        evaluation=[{"generator_mode": "train", "repeats": 3}],
        grid=[{"levels": {"batch_size": [32]}}, {"levels": {"latent_dim": [8]}}],
    )
    content = content_of(plan, tmp_path)
    assert [column.title for column in content.columns] == ["FID (digits, batch 64)", "FID (digits, batch 32)"]
    assert len({column.protocol for column in content.columns}) == 2
    tables = [cell_rows(comparison_table(content, column)) for column in content.columns]
    assert [[row["Cell"] for row in table] for table in tables] == [
        ["**baseline**", "latent\\_dim=8"],
        ["batch\\_size=32"],
    ]


def test_two_blocks_of_one_extractor_have_columns_of_their_own(tmp_path: Path) -> None:
    content = content_of(small_plan(evaluation=[{"samples": 100}, {"samples": 200}]), tmp_path)
    assert [column.title for column in content.columns] == ["FID (digits)", "FID (digits-2)"]
    first, second = (content.of_cell(content.cells[0], column)[0].mean for column in content.columns)
    assert first != second


def test_unverified_weights_are_marked_in_the_column_itself(tmp_path: Path) -> None:
    plan = small_plan(evaluation=[{"extractor": "inception", "unverified_weights": True}])
    content = content_of(plan, tmp_path)
    assert content.columns[0].title == "FID (inception, unverified weights)"


def test_evaluations_of_another_checkpoint_do_not_count(tmp_path: Path) -> None:
    """The checkpoint on disk was made anew and the evaluation with it, but the commit names the one before."""
    content = content_of(small_plan(), tmp_path)
    run = content.runs[0]
    other = dict.fromkeys(run.checkpoints, SHA)
    status = run.view.status
    assert status.commit is not None
    object.__setattr__(status.commit, "checkpoints", {str(step): digest for step, digest in other.items()})
    again = gather(content.view)
    assert again.runs[0].checkpoints == other
    assert again.run_values(again.runs[0], again.columns[0]) == {}
    assert again.run_values(again.runs[1], again.columns[0]) != {}


def test_lowered_steps_leave_later_checkpoints_and_records_out(tmp_path: Path) -> None:
    live(small_plan(), tmp_path)
    lowered = small_plan(training={"steps": 200, "log_every": 10, "checkpoint_every": 200})
    content = gather(read_experiment(lowered, tmp_path))
    assert list(content.runs[0].checkpoints) == [200]
    assert content.runs[0].metrics[-1]["step"] == 200
    assert [found.step for found in content.of_cell(content.cells[0], content.columns[0])] == [200]


def test_crossings_of_every_seed(tmp_path: Path) -> None:
    content = content_of(small_plan(), tmp_path, {"latent_dim=100": Story(swings=0)})
    rows = rows_of(crossings_table(content))
    counts = [len(run.dynamics.crossings) for run in content.cells[0].runs if run.dynamics]
    assert counts == [2, 2]
    assert rows[0]["Crossings at steps"].startswith("seed 0: ")
    assert rows[0]["Per 1000 steps, mean over seeds"] == number(2000 / 350, 3)


def test_states_table_counts_every_run(tmp_path: Path) -> None:
    plan = small_plan(evaluation=[])
    prepare(plan, tmp_path)
    write_run(plan.runs[0], plan, tmp_path, Story())
    write_run(plan.runs[1], plan, tmp_path, Story("failed", reached=200))
    rows = rows_of(states_table(gather(read_experiment(plan, tmp_path))))
    kept = ("Runs", "Complete", "Failed", "Unfinished")
    assert [rows[0][name] for name in kept] == ["2", "1 of 2", "1 of 2", "0 of 2"]
    assert [rows[1][name] for name in kept] == ["2", "0 of 2", "0 of 2", "2 of 2"]


def test_comparison_csv_has_every_cell_column_and_step(tmp_path: Path) -> None:
    content = content_of(small_plan(), tmp_path, {"generator=mlp": Story("diverged", reached=200)})
    rows = csv_rows(comparison_csv(content))
    assert [(row["cell"], row["step"]) for row in rows] == [
        (cell.cell.name, step) for cell in content.cells for step in ("200", "400")
    ]
    assert [row["is_last"] for row in rows] == ["no", "yes"] * 3 + ["yes", ""]
    assert rows[-1]["mean"] == "" and rows[-1]["seeds"] == "0"
    first = content.of_cell(content.cells[0], content.columns[0])[0]
    assert (float(rows[0]["mean"]), float(rows[0]["sd_over_seeds"])) == (first.mean, first.sd_seeds)
    assert {row["protocol_sha256"] for row in rows} == {
        str(content.columns[0].protocol and content.columns[0].protocol.sha256)
    }


def test_runs_csv_has_every_run_and_its_checkpoint(tmp_path: Path) -> None:
    content = content_of(small_plan(), tmp_path, {"generator=mlp": Story("diverged", reached=200, evaluated=False)})
    rows = csv_rows(runs_csv(content))
    assert [row["key"] for row in rows] == [run.key for run in content.runs]
    for row, run in zip(rows[:6], content.runs[:6], strict=True):
        values = content.run_values(run, content.columns[0])[400]
        assert float(row["fid.digits"]) == pytest.approx(sum(values) / 3)
        assert row["fid.digits_checkpoint_sha256"] == run.checkpoints[400]
    assert (rows[-1]["state"], rows[-1]["fid.digits"]) == ("diverged", "")


HOSTILE = "a|b `c` <script>alert(1)</script> *d* [x](y) _e_ \\ #"


def test_names_cannot_break_a_table(tmp_path: Path) -> None:
    plan = small_plan(grid=[], cell=[{"name": HOSTILE, "latent_dim": 7}])
    content = content_of(plan, tmp_path)
    first = content.columns[0]
    tables = (comparison_table(content, first), spreads_table(content, first), cells_table(content))
    for table in (*tables, states_table(content), crossings_table(content)):
        assert len({len(row) for row in rows_of(table)}) == 1
        assert "<script>" not in table
        assert escape(HOSTILE) in table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", "a\\|b"),
        ("two\nlines\tand", "two lines and"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("`x`", "\\`x\\`"),
        ("lr = 2e-4, 50 %", "lr = 2e-4, 50 %"),
    ],
)
def test_escape(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_code_and_fences_hold_any_backticks() -> None:
    assert code("a`b|c") == "``a`b\\|c``"
    assert code("`a") == "`` `a ``"
    assert fenced("x = '```'", "toml") == "````toml\nx = '```'\n````"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (12.3456, "12.35"),
        (0.0123456, "0.01235"),
        (123456.7, "123457"),
        (3e-5, "3.000e-05"),
        (0.00027823, "0.0002782"),
        (-0.5, "−0.5000"),
        (0.0, "0"),
    ],
)
def test_number(value: Any, shown: str) -> None:
    assert number(value) == shown


def test_spread_and_counts() -> None:
    assert (spread(0.4862), spread(12.3), spread(None)) == ("0.49", "12", "–")


def test_equal_labels_are_told_apart_by_names(tmp_path: Path) -> None:
    plan = small_plan(labels={"latent_dim=100": "same", "generator=mlp": "same"})
    prepare(plan, tmp_path)
    labels = [cell.label for cell in gather(read_experiment(plan, tmp_path)).cells]
    assert labels == ["baseline", "same (latent_dim=100)", "normalization=none", "same (generator=mlp)"]


def test_no_spreadsheet_takes_text_for_a_formula_and_numbers_stay_numbers(tmp_path: Path) -> None:
    labels = {"latent_dim=100": "=1+1", "normalization=none": "@SUM(A1)", "generator=mlp": "+cmd|' /C calc'!A0"}
    content = content_of(small_plan(labels=labels), tmp_path, {"baseline": Story(fid=-30.0)})
    told = {row["cell"]: row["label"] for row in csv_rows(runs_csv(content))}
    assert told == {"baseline": "baseline"} | {cell: f"'{label}" for cell, label in labels.items()}
    rows = csv_rows(comparison_csv(content))
    assert {row["cell"]: row["label"] for row in rows} == told
    means = [row["mean"] for row in rows if row["cell"] == "baseline"]
    assert len(means) == 2 and all(float(mean) < 0 for mean in means)
    negative = small_plan(labels={"generator=mlp": "-5", "latent_dim=100": "-five"})
    shown = [cell["label"] for cell in csv_rows(runs_csv(gather(read_experiment(negative, tmp_path / "none"))))]
    assert list(dict.fromkeys(shown)) == ["baseline", "'-five", "normalization=none", "-5"]
