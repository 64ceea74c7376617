"""Metrics beside FID in the report: directions, floors, standard errors, ranks, and protocols that are never mixed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_data import Story, live, lived, measured_plan, prepare, report, section, small_plan, write_run
from test_tables import cell_rows, content_of, csv_rows, rows_of

from harness.design.metrics import METRICS
from harness.errors import ProtocolError
from harness.report.columns import Column, joined_title
from harness.report.content import Content, gather
from harness.report.csv_files import comparison_csv, runs_csv
from harness.report.problems import problems
from harness.report.rounding import rounded
from harness.report.standard_errors import standard_error
from harness.report.tables import comparison_table, in_parts, measured_alike, other_metrics_table, spreads_table
from harness.store import atomic
from harness.store.evaluations import Evaluation, write_evaluation
from harness.tracking.reader import read_experiment

SHOWN = {"samples": 16, "sections": ["summary", "comparison", "against-step", "modes", "protocol"]}
COMPARED = {"samples": 16, "sections": ["comparison", "against-step"]}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs and report of four cells with every metric; the MLP's are far worse."""
    folder = tmp_path_factory.mktemp("measured")
    lived(measured_plan(report=SHOWN), folder, {"generator=mlp": Story(fid=90)})
    return folder


@pytest.fixture(scope="module")
def content(measured: Path) -> Content:
    return gather(read_experiment(measured_plan(), measured / "runs"))


def other_tables(content: Content, columns: Sequence[Column], alike: bool = True) -> list[str]:
    """The tables of further metrics of one protocol."""
    return [other_metrics_table(content, part, alike) for part in in_parts(columns)]


def column_of(content: Content, metric: str) -> Column:
    return next(column for column in content.columns if column.metric == metric)


def text_of(folder: Path) -> str:
    return (folder / "report" / "report.md").read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")


def change(content: Content, runs_dir: Path, index: int, **changes: Any) -> Content:
    """The same experiment after the last evaluation of one run was written anew with `changes`."""
    run = content.runs[index]
    assert run.view.directory is not None
    evaluation = content.sources["digits", run.key, 400]
    write_evaluation(run.view.directory, replace(evaluation, **changes))
    return gather(read_experiment(content.view.plan, runs_dir))


def test_columns_have_the_titles_and_arrows_of_the_table_of_metrics(content: Content) -> None:
    titles = [column.title for column in content.columns]
    assert titles == [f"{metric.title} (digits)" for metric in METRICS.values()]
    assert {"FID∞ (digits)", "Inception Score (digits)"} <= set(titles)
    (group,) = content.groups
    assert joined_title(group) == "FID and 12 other metrics (digits)"
    assert joined_title(group[3:6]) == "KID, Precision, Recall (digits)"


def test_the_best_checkpoint_is_so_in_the_metrics_own_direction(content: Content) -> None:
    cell = content.cells[0]
    for metric, better in (("fid", min), ("kid", min), ("recall", max), ("inception_score", max)):
        summary = content.summary(cell, column_of(content, metric))
        even = {found.even_mean: found for found in content.of_cell(cell, column_of(content, metric))}
        chosen = even[better(even)]
        assert summary and summary.best, metric
        assert (summary.best.step, summary.best.mean) == (chosen.step, chosen.odd_mean), metric
    for metric in ("nearest_ratio", "nearest_share"):
        summary = content.summary(cell, column_of(content, metric))
        assert summary and summary.best is None


def test_a_first_metric_of_which_more_is_closer_is_shown_so(tmp_path: Path) -> None:
    block = {"metrics": ["recall", "kid"], "samples": 100, "repeats": 3}
    text = lived(measured_plan(evaluation=[block], grid=[], report=COMPARED), tmp_path)
    rows = rows_of(next(part for part in section(text, "comparison").split("\n\n") if part.startswith("|")))
    assert "Recall (digits) ↑" in rows[0] and "times the floor" not in rows[0]
    assert "Higher means closer to the real images." in section(text, "against-step")
    assert "Lower means" not in section(text, "against-step")


def test_pooled_metrics_have_one_value_and_no_spread_over_repeats(content: Content) -> None:
    column = column_of(content, "fid_pooled")
    (found,) = [one for one in content.of_cell(content.cells[0], column) if one.step == 400]
    assert found.sd_repeats is None and found.sd_seeds is not None and found.repeats == (1, 1)
    row = cell_rows(comparison_table(content, column))[0]
    assert measured_alike(content, [column]) == "2 seeds, 3 repeats together, step 400"
    assert "times the floor" not in row and "Lacking" not in row
    assert rows_of(spreads_table(content, column))[0]["SD over repeats"] == "–"


def test_pooled_values_of_another_number_of_repeats_are_missing(measured: Path) -> None:
    plan = measured_plan(evaluation=[{"samples": 100, "repeats": 2, "metrics": list(METRICS)}])
    fewer = gather(read_experiment(plan, measured / "runs"))
    assert fewer.of_cell(fewer.cells[0], column_of(fewer, "fid_pooled")) == []
    assert fewer.missing(fewer.cells[0], column_of(fewer, "fid_pooled")) == 4
    assert fewer.missing(fewer.cells[0], column_of(fewer, "fid")) == 0
    told = [text for text in problems(fewer, []) if text.startswith("baseline: ")]
    lacking = "seed 0 at 200, 400; seed 1 at 200, 400"
    assert told == [f"baseline: Pooled FID, FID∞ (digits) are missing or have fewer than 2 repeats: {lacking}."]


def test_further_metrics_share_tables_that_are_not_too_wide(content: Content, measured: Path) -> None:
    (group,) = content.groups
    tables = other_tables(content, group[1:])
    assert [len(rows_of(table)[0]) for table in tables] == [6, 6, 6]
    first, _, third = (cell_rows(table) for table in tables)
    (found,) = [one for one in content.of_cell(content.cells[3], column_of(content, "precision")) if one.step == 400]
    assert first[3]["Precision ↑"] == rounded(found.mean, found.sd_seeds)
    assert rows_of(other_tables(content, group[1:], alike=False)[0])[1]["Seeds"] == "2"
    assert "1-NN ratio" in third[0] and third[3]["Missing classes ↓"] == "1 ± 0"
    shown = section(text_of(measured), "comparison")
    assert all(table in shown for table in tables)
    assert len(re.findall("^### ", shown, flags=re.MULTILINE)) == 2


def test_small_panels_are_of_some_metrics_and_few_cells(measured: Path, tmp_path: Path) -> None:
    shown = section(text_of(measured), "against-step")
    assert "### KID, Precision, Recall, Coverage (digits) against the step" in shown
    assert "figures/metrics-digits-against-step.png" in shown
    cells = [{"name": f"cell {size}", "latent_dim": size} for size in range(1, 9)]
    block = {"samples": 100, "repeats": 3, "metrics": ["fid", "kid", "recall"]}
    many = lived(small_plan(grid=[], cell=cells, seeds=[0], evaluation=[block], report=COMPARED), tmp_path)
    assert "KID, Recall (digits) at every checkpoint: see `comparison.csv`; more than 8 cells" in section(
        many, "against-step"
    )
    assert not (tmp_path / "report" / "figures" / "metrics-digits-against-step.png").exists()


def test_evaluations_of_another_protocol_are_refused_with_what_differs(tmp_path: Path) -> None:
    content = content_of(small_plan(), tmp_path)
    protocol = content.sources["digits", content.runs[2].key, 400].protocol
    with pytest.raises(ProtocolError, match="these differ in samples 100 and 3000, precision") as error:
        change(content, tmp_path, 2, protocol={**protocol, "samples": 3000, "precision": "bfloat16"})
    assert error.value.where.startswith("FID (digits), step 400, checkpoint ")
    with pytest.raises(ProtocolError, match="does not say under which protocol"):
        change(content, tmp_path, 2, protocol={"extractor": "digits"})


def test_every_table_of_numbers_names_its_protocol(measured: Path, content: Content) -> None:
    protocol = content.columns[0].protocol
    assert protocol is not None
    mark = f"Protocol `{protocol.sha256[:8]}`."
    text = text_of(measured)
    assert section(text, "comparison").count(mark) == 2
    assert section(text, "modes").count(mark) == 1
    assert f"`{protocol.sha256[:16]}`…" in section(text, "protocol")
    assert atomic.read_json(measured / "report" / "report.json")["columns"][0]["protocol_sha256"] == protocol.sha256


def test_csv_files_have_every_metric_with_floor_and_standard_error(content: Content) -> None:
    rows = [row for row in csv_rows(comparison_csv(content)) if row["cell"] == "baseline" and row["step"] == "400"]
    assert [row["metric"] for row in rows] == list(METRICS)
    by_metric = {row["metric"]: row for row in rows}
    fid, kid, pooled = by_metric["fid"], by_metric["kid"], by_metric["fid_pooled"]
    assert (fid["floor"], fid["floor_samples"], fid["floor_reference"]) == ("4.0", "50", "50")
    assert float(fid["mean_over_floor"]) == pytest.approx(float(fid["mean"]) / 4)
    assert (kid["floor"], kid["mean_over_floor"], fid["standard_error_of_a_seed"]) == ("0.9", "", "")
    errors = [standard_error(content, run, column_of(content, "kid"), 400) or 0 for run in content.cells[0].runs]
    assert float(kid["standard_error_of_a_seed"]) == pytest.approx((sum(error**2 for error in errors) / 2) ** 0.5)
    assert (fid["floor_splits"], float(fid["floor_sd_over_splits"])) == ("2", pytest.approx(0.5**0.5))
    assert (pooled["floor"], pooled["floor_metric"], pooled["mean_over_floor"]) == ("4.0", "fid", "")
    assert (pooled["sd_over_repeats"], pooled["most_repeats"]) == ("", "1")
    run = csv_rows(runs_csv(content))[0]
    assert all(run[f"{metric}.digits"] for metric in METRICS)
    assert (run["fid_pooled.digits_sd_over_repeats"], run["kid.digits_repeats"]) == ("", "3")


def test_several_metrics_of_one_block_have_one_protocol_and_one_summary(measured: Path) -> None:
    text = text_of(measured)
    assert section(text, "protocol").count("### FID and 12 other metrics (digits)") == 1
    assert "FID; Pooled FID; FID∞; KID; Precision" in section(text, "protocol")
    assert section(text, "summary").count("the baseline's FID (digits) is") == 1


def test_a_left_out_block_of_several_metrics_names_them(tmp_path: Path) -> None:
    block = {"extractor": "inception", "required": False, "metrics": ["fid", "kid"]}
    plan = small_plan(evaluation=[{"repeats": 3}, block], grid=[], report=COMPARED)
    prepare(plan, tmp_path, weights=None)
    for run in plan.runs:
        write_run(run, plan, tmp_path, Story())
    text = report(plan, tmp_path, tmp_path / "report")
    assert "FID, KID (inception) were left out: its weights are missing" in section(text, "comparison")


def test_reading_an_older_evaluation_needs_none_of_the_new_fields(tmp_path: Path) -> None:
    """As versions before floors and pooled values wrote them."""
    plan = small_plan(grid=[], report=COMPARED)
    live(plan, tmp_path)
    run = read_experiment(plan, tmp_path).runs[0]
    found = run.evaluation(0, 400)
    assert found is not None and run.directory is not None
    kept = ("step", "checkpoint_sha256", "protocol_sha256", "protocol", "values", "seconds")
    path = run.directory.evaluation(400, found.protocol_sha256)
    atomic.write_json(path, {name: getattr(found, name) for name in kept})
    again = run.evaluation(0, 400)
    assert isinstance(again, Evaluation) and again.floor is None
    assert "| **baseline** " in section(report(plan, tmp_path, tmp_path / "report"), "comparison")
