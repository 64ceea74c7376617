"""What numbers are read by: the floor, standard errors, ranks of covariances, and what is said where there are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_data import Story, lived, measured_plan, prepare, report, section, small_plan
from test_report_metrics import SHOWN, change, column_of, other_tables, text_of
from test_tables import cell_rows, content_of, rows_of

from harness.report.captions import against_step_caption
from harness.report.content import Content, gather
from harness.report.floors import floor_note, others_floor_note, rank_note, ratio_text
from harness.report.markdown import number, spread
from harness.report.problems import problems
from harness.report.rounding import rounded
from harness.report.standard_errors import cell_error, standard_error
from harness.report.tables import comparison_table
from harness.store import atomic
from harness.store.evaluations import Floor
from harness.tracking.reader import read_experiment


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs and report of four cells with every metric."""
    folder = tmp_path_factory.mktemp("measured")
    lived(measured_plan(report=SHOWN), folder)
    return folder


@pytest.fixture(scope="module")
def content(measured: Path) -> Content:
    return gather(read_experiment(measured_plan(), measured / "runs"))


def plan_of(*metrics: str, **changes: Any) -> Any:
    block = {"samples": 100, "repeats": 3, "metrics": list(metrics)}
    return small_plan(**{"grid": [], "evaluation": [block], "report": SHOWN, **changes})


def first_table(text: str) -> list[dict[str, str]]:
    return rows_of(next(part for part in section(text, "comparison").split("\n\n") if part.startswith("|")))


def last_of(content: Content, metric: str) -> Any:
    (found,) = [one for one in content.of_cell(content.cells[0], column_of(content, metric)) if one.step == 400]
    return found


def test_the_floor_stands_over_the_cells_with_its_spread_and_splits(content: Content, measured: Path) -> None:
    fid = content.columns[0]
    real, *cells = rows_of(comparison_table(content, fid))
    assert (real["Cell"], real["FID (digits) ↓"], real["times the floor"]) == (
        "*real vs real*", "4.00 ± 0.71", "1",
    )  # fmt: skip
    assert cells[0]["times the floor"] == f"≈{number(last_of(content, 'fid').mean / 4.0, 3)}"
    real = rows_of(other_tables(content, content.columns[1:])[0])[0]
    assert real["KID ↓"] == "0.9 ± 0"
    document = atomic.read_json(measured / "report" / "report.json")
    column = document["columns"][0]
    assert column["floor"]["values"] == [3.5, 4.5] and (column["floor"]["samples"], column["better"]) == (50, "lower")
    ratios = {one["mean_over_floor"] for one in document["numbers"] if one["column"] == "KID (digits)"}
    assert ratios == {None}


def test_each_metric_says_its_own_number_of_splits(tmp_path: Path) -> None:
    """Of many images all but FID are taken of one split."""
    content = content_of(plan_of("fid", "kid", "recall", seeds=[0]), tmp_path, {"baseline": Story(floor=False)})
    floor = Floor(20_000, 20_000, {"fid": [3.0, 4.0, 5.0], "kid": [0.25], "recall": [0.5]})
    changed = change(content, tmp_path, 0, floor=floor)
    (real, _) = rows_of(other_tables(changed, changed.columns[1:])[0])
    assert (real["KID ↓"], real["Recall ↑"]) == ("0.2500", "0.5000")
    assert rows_of(comparison_table(changed, changed.columns[0]))[0]["FID (digits) ↓"] == "4.0 ± 1.0"
    assert "mean ± SD of 3 random splits" in floor_note(changed, changed.columns)
    assert "of one random split" in floor_note(changed, changed.columns[1:])


def test_pooled_values_stand_beside_the_floor_of_fid_and_have_no_ratio(content: Content, tmp_path: Path) -> None:
    real = rows_of(other_tables(content, content.columns[1:])[0])[0]
    assert real["Pooled FID ↓"] == real["FID∞ ↓"] == "4.00 ± 0.71 (of FID)"
    for metric in ("fid_pooled", "fid_infinity"):
        text = lived(plan_of(metric), tmp_path / metric)
        real, baseline = first_table(text)
        value = next(name for name in real if name.endswith("(digits) ↓"))
        assert real[value] == "4.00 ± 0.71 (of FID)"
        assert "times the floor" not in real and baseline[value] != "–"
        assert "has no floor: FID's is shown, of 50 images, and no ratio to it is given." in section(text, "comparison")


def test_fid_leads_its_block_wherever_it_is_listed(tmp_path: Path) -> None:
    text = lived(plan_of("kid", "fid"), tmp_path)
    real, baseline = first_table(text)
    assert {"FID (digits) ↓", "times the floor"} <= set(real)
    assert "(2 seeds × 3 repeats, step 400)" in text and baseline["times the floor"].startswith("≈")
    assert "### FID (digits) against the step" in text and "### KID (digits) against the step" in text


def test_a_ratio_of_unequal_numbers_of_images_is_marked_and_explained(content: Content, tmp_path: Path) -> None:
    assert ratio_text(content, content.columns[0], 8.0) == "≈2.00"
    assert "the ratios (≈) are rough" in floor_note(content, content.columns)
    exact = small_plan(evaluation=[{"samples": 50, "reference": 50, "repeats": 3}], grid=[], report=SHOWN)
    equal = content_of(exact, tmp_path)
    assert ratio_text(equal, equal.columns[0], 8.0) == "2.00"
    shown = section(report(exact, tmp_path, tmp_path / "report"), "comparison")
    assert "≈" not in shown and "too few" not in shown


def test_a_bias_is_told_only_of_metrics_that_have_one(tmp_path: Path) -> None:
    def noted(*metrics: str) -> str:
        plan = plan_of(*metrics)
        runs = tmp_path / " ".join(metrics)
        content_of(plan, runs)
        prepare(plan, runs, images=1000)
        content = gather(read_experiment(plan, runs))
        return floor_note(content, content.columns) + others_floor_note(content, content.columns[1:])

    few = "The data are too few for two disjoint sets of the protocol's size, so the floor is"
    assert noted("kid").endswith(f"{few} a rough one.")
    assert f"{few} higher than it would be, a good generator may stand below it, and the ratios (≈) are" in noted("fid")
    assert "Recall depends on the number of images" in noted("kid", "recall") and "KID" not in noted("kid", "recall")


def test_why_there_is_no_floor_is_said_truly(tmp_path: Path) -> None:
    plan = small_plan(grid=[], report=SHOWN)
    none = section(report(plan, tmp_path / "none", tmp_path / "none"), "comparison")
    assert "(the floor) is not measured yet: it comes with the first evaluation." in none and "older" not in none
    old = lived(plan, tmp_path / "old", {"baseline": Story(floor=False)})
    real, baseline = first_table(old)
    assert (real["FID (digits) ↓"], baseline["times the floor"]) == ("–", "–")
    assert "(the floor) was not measured: these evaluations are older. The next `harness run`" in old
    empty = Floor(1, 1, {"fid": []})
    content = gather(read_experiment(plan, tmp_path / "old" / "runs"))
    for index in range(2):
        content = change(content, tmp_path / "old" / "runs", index, floor=empty)
    assert "there are too few real images for two sides" in floor_note(content, content.columns)


def test_the_floor_of_any_evaluation_will_do_and_two_that_differ_are_told(tmp_path: Path) -> None:
    content = content_of(small_plan(), tmp_path, {"baseline": Story(floor=False)})
    assert content.floors["FID (digits)"].values == (3.5, 4.5)
    lacking = [f"baseline, seed {seed}: interrupted at step 400." for seed in (0, 1)]
    assert problems(content, []) == lacking  # an older evaluation gets its floor at the next call
    changed = change(content, tmp_path, 5, floor=Floor(50, 50, {"fid": [3.5, 4.6]}))
    assert changed.floors["FID (digits)"].values == (3.5, 4.5)
    *_, told = problems(changed, [])
    assert told.startswith("FID (digits): evaluations hold different floors")


def test_the_figure_against_the_step_says_where_the_floor_is(tmp_path: Path) -> None:
    content = content_of(small_plan(seeds=[0]), tmp_path)
    fid = content.columns[0]
    values = [mean for one in content.measured[fid.title] for mean in one.seed_means]
    width = max(values) - min(values)

    def captioned(floor: float) -> str:
        of_column = replace(content.floors[fid.title], values=(floor,))
        return against_step_caption(replace(content, floors={fid.title: of_column}), fid)

    assert captioned(min(values) - 2.9 * width).endswith(
        "The dotted line is the floor: real images against real images."
    )
    far = min(values) - 3.1 * width
    assert captioned(far).endswith(f"is the floor: real images against real images, {number(far)}.")
    assert "floor" not in against_step_caption(replace(content, floors={}), fid)


def test_captions_of_pooled_metrics_speak_of_no_single_repeats(tmp_path: Path) -> None:
    text = lived(plan_of("fid_infinity"), tmp_path)
    shown = section(text, "against-step")
    assert "each seed's value of all its repeats' images together" in shown
    assert "ticks are single repeats" not in shown and "mean over repeats" not in shown
    assert "dots are single seeds, each one value of all its repeats' images together" in shown
    assert "FID∞ is one value of all repeats' images together" in section(text, "comparison")
    assert "FID at n = 50" in shown


def test_standard_errors_come_from_the_repeats(content: Content, measured: Path) -> None:
    run = content.runs[0]
    fids = content.run_values(run, content.columns[0])[400]
    mean = sum(fids) / 3
    expected = (sum((value - mean) ** 2 for value in fids) / 2 / 3) ** 0.5
    infinity = column_of(content, "fid_infinity")
    assert standard_error(content, run, infinity, 400) == pytest.approx(expected)
    assert standard_error(content, run, content.columns[0], 400) is None
    numbers = atomic.read_json(measured / "report" / "report.json")["numbers"]
    (found,) = [
        source["standard_error"]
        for one in numbers
        if one["column"] == infinity.title and one["step"] == 400
        for source in one["sources"]
        if source["key"] == run.key
    ]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("metric", "how"), [("kid", "KID: SD / √K"), ("fid_infinity", "FID∞: SD of the repeats' FIDs")]
)
def test_every_cell_has_its_own_standard_error_even_of_the_only_metric(tmp_path: Path, metric: str, how: str) -> None:
    plan = plan_of(metric)
    content = content_of(plan, tmp_path)
    column, cell = content.columns[0], content.cells[0]
    errors = [standard_error(content, run, column, 400) or 0.0 for run in cell.runs]
    both = (sum(error**2 for error in errors) / 2) ** 0.5
    assert min(errors) > 0 and cell_error(content, cell, column, 400) == pytest.approx(both)
    last = last_of(content, metric)
    (row,) = cell_rows(comparison_table(content, column))
    expected = f"{rounded(last.mean, last.sd_seeds)} (SE {spread(both)})"
    assert row[f"{column.title} ↓"] == expected
    shown = section(report(plan, tmp_path, tmp_path / "report"), "comparison")
    assert f"SE: the standard error of one seed's value, from its K repeats ({how}" in shown


def test_one_seed_has_its_value_and_its_standard_error(content: Content, tmp_path: Path) -> None:
    single = content_of(plan_of("fid", "kid", seeds=[0]), tmp_path)
    row = cell_rows(other_tables(single, single.columns[1:])[0])[0]
    error = standard_error(single, single.runs[0], column_of(single, "kid"), 400)
    assert row["KID ↓"] == f"{number(last_of(single, 'kid').mean)} (SE {spread(error)})"
    assert "SE" not in cell_rows(comparison_table(single, single.columns[0]))[0]["FID (digits) ↓"]


def test_one_repeat_has_no_standard_error(tmp_path: Path) -> None:
    block = {"repeats": 1, "samples": 100, "metrics": ["fid", "kid"]}
    plan = small_plan(evaluation=[block], grid=[], report=SHOWN)
    content = content_of(plan, tmp_path)
    assert standard_error(content, content.runs[0], column_of(content, "kid"), 400) is None
    assert "standard error" not in report(plan, tmp_path, tmp_path / "report")


def rank_of(folder: Path, samples: int, images: int, **changes: Any) -> str:
    """The note on an experiment that nothing was measured of yet."""
    runs = folder / f"{samples} {images} {changes}"
    plan = small_plan(evaluation=[{"samples": samples, **changes}], grid=[])
    prepare(plan, runs, images=images)
    content = gather(read_experiment(plan, runs))
    return rank_note(content, content.columns)


def test_a_covariance_that_is_not_of_full_rank_is_marked(tmp_path: Path) -> None:
    assert rank_of(tmp_path, 65, 1000) == ""
    few = "64 generated images per repeat are fewer than the 64 features + 1"
    assert rank_of(tmp_path, 64, 1000).startswith(few)
    assert rank_of(tmp_path, 65, 64).startswith("64 real images are fewer than")
    assert rank_of(tmp_path, 65, 1000, reference=40).startswith("40 real images are fewer than")
    assert "of full rank, and FID depends" in rank_of(tmp_path, 10, 1000)
    assert rank_of(tmp_path, 10, 1000, metrics=["kid"]) == ""
    assert "2048 features" in rank_of(tmp_path, 100, 1000, extractor="inception")
    trained = {"extractor": "trained", "extractor_weights": "some.safetensors"}
    assert rank_of(tmp_path, 10, 1000, **trained) == ""  # nobody noted how many features it has


def test_pooled_metrics_are_marked_by_their_own_numbers_of_images(tmp_path: Path) -> None:
    infinity = rank_of(tmp_path, 40, 1000, metrics=["fid_infinity"], repeats=3)
    assert infinity.startswith("40 generated images per repeat are fewer than") and "and FID∞ depends" in infinity
    assert rank_of(tmp_path, 40, 1000, metrics=["fid_pooled"], repeats=3) == ""
    pooled = rank_of(tmp_path, 20, 1000, metrics=["fid_pooled"], repeats=3)
    assert pooled.startswith("60 generated images of all repeats together are fewer than")
    both = rank_of(tmp_path, 20, 1000, metrics=["fid", "fid_infinity", "fid_pooled"], repeats=3)
    assert "FID, FID∞ depend on" in both and "Pooled FID depends on" in both


def test_an_evaluation_says_how_many_features_its_extractor_has(tmp_path: Path) -> None:
    content = content_of(small_plan(grid=[]), tmp_path)
    assert rank_note(content, content.columns) == ""
    changed = change(content, tmp_path, 0, feature_dims=512)
    assert "512 features" in rank_note(changed, changed.columns)


def test_every_metric_is_explained_beside_its_name_in_the_file(measured: Path) -> None:
    shown = section(text_of(measured), "comparison")
    assert "- Density (`density`): real neighborhoods that a generated image lies in, over 5, mean." in shown
    assert "- Nearer than real (`nearest_share`): share of generated images nearer" in shown
    assert "FID (`fid`): squared Fréchet distance" in shown and "Its scale is that of the extractor's" in shown
    assert "at most 10, its number of classes" in shown and "compare with one another only" in shown


def test_an_errors_remedy_is_a_sentence_of_its_own(tmp_path: Path) -> None:
    content = content_of(small_plan(grid=[], seeds=[0]), tmp_path)
    (run,) = content.runs
    status = replace(run.view.status, state="failed", reason="FID needs 65 images, and was given 5\n  Use more images.")
    object.__setattr__(run.view, "status", status)
    (told,) = problems(content, [])
    assert "was given 5. Use more images." in told
