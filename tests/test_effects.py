"""The section on effects and the summary: sentences with numbers, and verdicts only where seeds allow them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from report_data import Story, lived, measured_plan, section, small_plan
from test_comparisons import DIMS
from test_tables import content_of, rows_of

from harness.report.claims import answers, family_text, plain
from harness.report.content import Content
from harness.report.effect_tables import pool_text
from harness.report.effects import joint_changes, single_changes
from harness.report.equilibrium import equilibrium_summary, reached
from harness.report.findings import findings
from harness.report.language import ENGLISH
from harness.report.tables import comparison_table
from harness.report.verdicts import change_text, duration, factor_text, p_text, size_text

THREE = [0, 1, 2]
FAR = {"generator=mlp": Story(fid=300), "latent_dim=100": Story(fid=8)}


def table_with(text: str, header: str) -> list[dict[str, str]]:
    """The rows of the first table that has this column."""
    tables = [part for part in text.split("\n\n") if part.startswith("|")]
    return next(rows for rows in map(rows_of, tables) if header in rows[0])


def item(text: str, start: str) -> str:
    (found,) = [line for line in text.splitlines() if line.startswith(f"- {start}")]
    return found


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of four cells and three seeds: one far worse, one far closer, one like the baseline."""
    folder = tmp_path_factory.mktemp("three")
    lived(small_plan(seeds=THREE, cost={"per_hour": 2.0, "currency": "EUR"}), folder, FAR)
    return folder


def text_of(folder: Path) -> str:
    return (folder / "report" / "report.md").read_text(encoding="utf-8")


def test_each_factor_has_a_sentence_with_estimate_interval_seeds_and_verdict(three: Path) -> None:
    shown = section(text_of(three), "effects")
    number = r"[<>]? ?[\d.]+"
    pattern = rf"FID {number} → {number}, × {number} \(95 % interval {number} to {number}; 3 seeds\): \*\*"
    for start, verdict in (("`generator` cnn → mlp:", "hurts"), ("`latent_dim` 16 → 100:", "helps")):
        found = item(shown, start)
        assert re.search(pattern + verdict, found), found
        assert "after Holm's adjustment p " in found
        assert "sign-flip p = 0.25 (least possible with 3 seeds: 0.25)." in found
    undecided = item(shown, "`normalization` batch → none:")
    assert "**inconclusive**" in undecided and ("seeds in all" in undecided or "1000 seeds" in undecided)


def test_the_table_says_what_would_decide_and_what_it_costs(three: Path) -> None:
    rows = table_with(section(text_of(three), "effects"), "Ratio")
    assert [row["#"] for row in rows] == ["2", "3", "4"]
    told = {row["Cell"]: row for row in rows}
    assert told["generator=mlp"]["Verdict"] == "hurts" and told["latent\\_dim=100"]["Verdict"] == "helps"
    assert told["generator=mlp"]["Sign-flip p (least)"] == "0.25 (0.25)"
    assert re.fullmatch(r"(pooled|larger than pooled|its own), \d+ df", told["generator=mlp"]["Error"])
    needed = [row.get("Seeds that it would take", "–") for row in rows]
    assert needed[0] == needed[2] == "–"
    assert needed[1] == "–" or "EUR" in needed[1] or "or more" in needed[1]


def test_the_error_and_where_variance_comes_from_are_shown(three: Path) -> None:
    shown = section(text_of(three), "effects")
    assert re.search(r"The error is pooled over \d cells: one run varies beside its cell and its seed by an SD", shown)
    assert "correlation across cells" in shown
    rows = table_with(shown, "Share of seeds in the variance")
    assert [row["#"] for row in rows] == ["1", "2", "3", "4"]
    assert all(row["Seeds"] == "3" and row["Repeats"] == "3" for row in rows)


def test_the_summary_says_what_mattered_most_by_how_much_and_how_sure(three: Path) -> None:
    shown = section(text_of(three), "summary")
    assert re.search(
        r"What mattered most is `generator` cnn → mlp: it multiplies FID by \*\*[\d.]+\*\* \(95 % interval [\d.]+ to "
        r"[\d.]+; 3 seeds; p .* after adjustment for 3 comparisons\)\.",
        shown,
    )
    assert re.search(r"Closer to the real .* beyond chance: latent\\_dim=100 \(× 0\.\d+\)\.", shown)
    assert re.search(r"Farther from .* beyond chance: generator=mlp \(× \d+\.\d\)\.", shown)
    assert "Undecided: normalization=none (" in shown
    assert "this does not make it the best one" in shown
    assert not re.search(r"\b(better|worse|significant)\b", shown)


def test_the_forest_plot_is_there_with_its_sources(three: Path) -> None:
    assert "![FID (digits): differences to the baseline](figures/fid-digits-differences.png)" in text_of(three)
    assert (three / "report" / "figures" / "fid-digits-differences.png").stat().st_size > 10_000


def test_one_seed_gives_numbers_and_no_verdict(tmp_path: Path) -> None:
    text = lived(small_plan(seeds=[0]), tmp_path, {"generator=mlp": Story(fid=300)})
    for name in ("effects", "summary", "comparison"):
        assert not re.search(r"\b(helps|hurts|p =|p <|95 % interval)\b", section(text, name)), name
    shown = section(text, "effects")
    assert "**One seed: no verdict." in shown
    assert re.search(r"- `generator` cnn → mlp: FID 20\.\d → 300, × 14\.\d. One seed: no verdict\.", shown)
    assert "The mean closest" not in section(text, "summary")


def test_a_cell_with_one_seed_among_others_has_no_verdict(tmp_path: Path) -> None:
    cells = [{"name": "alone", "latent_dim": 100, "seeds": [0]}, {"name": "other", "latent_dim": 8}]
    text = lived(small_plan(grid=[], cell=cells), tmp_path, {"alone": Story(fid=300)})
    rows = {row["Cell"]: row for row in table_with(section(text, "effects"), "Ratio")}
    assert (rows["alone"]["Verdict"], rows["alone"]["p"]) == ("one seed: no verdict", "–")
    assert rows["other"]["p"] != "–"
    assert "One seed: no comparison is possible for alone." in section(text, "summary")
    assert "alone (" not in section(text, "summary").split("lie between")[1].split("\n", 1)[1]


def test_diverged_runs_are_said_and_never_help(tmp_path: Path) -> None:
    stories = {
        "latent_dim=100": Story(fid=5),
        "latent_dim=100 seed 2": Story("diverged", reached=200),
        "generator=mlp": Story("diverged", reached=0, evaluated=False),
    }
    text = lived(small_plan(seeds=THREE), tmp_path, stories)
    shown = section(text, "effects")
    some = item(shown, "`latent_dim` 16 → 100:")
    assert "1 of its 3 runs diverged" in some and "helps**" not in some
    assert item(shown, "`generator` cnn → mlp:") == "- `generator` cnn → mlp: all 3 runs diverged. That **hurts**."
    summary = section(text, "summary")
    assert "All runs diverged, which counts as *hurts* without a test: generator=mlp." in summary
    assert "Farther from the real images" not in summary
    assert (
        "Diverged, with a loss or weight that is not finite: latent\\_dim=100 (1 of 3 runs), generator=mlp (3"
        in summary
    )


def test_without_a_baseline_nothing_is_compared_with_it(tmp_path: Path) -> None:
    text = lived(small_plan(include_baseline=False), tmp_path)
    shown = section(text, "effects")
    assert "The file leaves the baseline out (`include_baseline = false`)" in shown
    assert "figures/fid-digits-differences.png" not in text
    rows = table_with(section(text, "comparison"), "Verdict")
    assert {row["Verdict"] for row in rows} == {"–"}


def test_one_cell_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    shown = section(lived(small_plan(grid=[]), tmp_path), "effects")
    assert shown.count("There is one cell, so there is nothing to compare.") == 1
    assert "How differences are judged" not in shown and "pooled" not in shown
    assert len(table_with(shown, "SD over seeds")) == 1


def test_nothing_measured_says_so(tmp_path: Path) -> None:
    plan = small_plan()
    text = lived(plan, tmp_path, {cell.name: Story(evaluated=False) for cell in plan.cells})
    assert "Nothing to show yet" in section(text, "effects")
    assert "FID (digits): nothing has been measured yet." in section(text, "summary")


def test_cells_that_change_several_factors_are_told_apart(tmp_path: Path) -> None:
    cells = [{"name": "both", "latent_dim": 100, "loss": "hinge"}, {"name": "one", "latent_dim": 8}]
    shown = section(lived(small_plan(grid=[], cell=cells), tmp_path), "effects")
    single, joint = shown.split("Several factors changed together")
    assert item(single, "one (`latent_dim` 16 → 8):")
    assert item(joint, "both (`latent_dim` 16 → 100, `loss` bce → hinge):")
    assert "no single one of them explains it" in joint


def test_a_factorial_grid_has_main_effects_and_its_interaction(tmp_path: Path) -> None:
    """hidden_dim = 8 does nothing at latent_dim = 16, and much at 100."""
    stories = {"latent_dim=100,hidden_dim=8": Story(fid=90)}
    text = lived(small_plan(seeds=THREE, **DIMS), tmp_path, stories)
    shown = section(text, "effects")
    assert "#### Crossed: `latent_dim` and `hidden_dim` (grid dims)" in shown
    rows = table_with(shown, "Effect")
    assert [row["Effect"].split(",")[0] for row in rows] == [
        "`latent_dim` 16 → 100",
        "`hidden_dim` 64 → 8",
        "Interaction: `latent_dim` 16 → 100 with `hidden_dim` 64 → 8",
    ]
    at = re.search(r"multiplies FID by ([\d.]+) at `hidden_dim` = 64 and by ([\d.]+) at `hidden_dim` = 8", shown)
    assert at and float(at[2]) / float(at[1]) == pytest.approx(float(rows[2]["Ratio"]), rel=0.02)
    assert float(at[2]) > 3 and "The two factors may interact" in shown
    assert "What `latent_dim` does depends on `hidden_dim`: the two interact (p" in section(text, "summary")
    assert "![FID (digits): crossed factors](figures/fid-digits-interactions.png)" in shown


def test_claims_lead_the_section_and_the_summary(tmp_path: Path) -> None:
    claims = [
        {"cell": "generator=mlp", "smallest_effect": 0.1},
        {"cell": "normalization=none", "against": "latent_dim=100", "smallest_effect": 2.0},
    ]
    text = lived(small_plan(seeds=THREE, claim=claims), tmp_path, {"generator=mlp": Story(fid=300)})
    shown = section(text, "effects")
    assert shown.index("### The claims of the file") < shown.index("### FID (digits)")
    assert "The file makes 2 claims, which are the whole family of tests" in shown
    first = item(section(text, "summary"), "generator=mlp against baseline:")
    assert "**hurts**" in first and "The whole interval lies beyond 10 %" in first
    second = item(section(text, "summary"), "normalization=none against latent\\_dim=100:")
    assert "**no difference that matters**" in second and "A difference of 200 % or more is ruled out" in second
    assert "not among the file's claims, so not tested" in item(shown, "`latent_dim` 16 → 100:")
    assert "What mattered most" not in section(text, "summary")


def test_a_metric_in_its_own_unit_has_differences_and_a_plain_axis(tmp_path: Path) -> None:
    plan = measured_plan(seeds=THREE, claim=[{"cell": "generator=mlp", "metric": "recall"}])
    shown = section(lived(plan, tmp_path, {"generator=mlp": Story(fid=300)}), "effects")
    recall = shown.split("### Recall (digits): each cell against the baseline")[1]
    assert "so that 0 (the dashed line) is no difference" in recall and "Difference" in table_with(recall, "p")[0]
    assert re.search(r"Recall 0\.\d+ → 0\.\d+, a difference of -0\.\d+ \(95 % interval -0\.\d+ to -0\.\d+; 3 s", recall)


def test_an_evaluation_left_out_cannot_answer_a_claim(tmp_path: Path) -> None:
    from report_data import prepare, report, write_run

    blocks: list[dict[str, Any]] = [{"repeats": 3}, {"extractor": "inception", "required": False, "metrics": ["kid"]}]
    plan = small_plan(evaluation=blocks, claim=[{"cell": "latent_dim=100", "metric": "kid"}])
    prepare(plan, tmp_path, weights=None)
    for run in plan.runs:
        write_run(run, plan, tmp_path, Story())
    shown = section(report(plan, tmp_path, tmp_path / "report"), "effects")
    assert "latent\\_dim=100 against baseline: kid was not evaluated" in shown


def test_hostile_names_are_words_in_sentences_and_come_back_plain(tmp_path: Path) -> None:
    name = "a|b `c` <script>alert(1)</script> **d** [x](y) _e_ #"
    content = content_of(small_plan(grid=[], cell=[{"name": name, "latent_dim": 7}]), tmp_path)
    (answer,) = answers(content)
    assert "<script>" not in answer.sentence
    assert plain(answer.sentence).startswith(f"{name} against baseline: FID ")


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "1.00"), (0.247, "1.28"), (8.0, "> 1000"), (-800.0, "< 0.001"), (800.0, "> 1000")]
)
def test_factors_are_told_to_three_digits_or_as_beyond(value: float, shown: str) -> None:
    assert factor_text(value) == shown


@pytest.mark.parametrize(("p", "shown"), [(None, "–"), (0.0004, "< 0.001"), (0.0123, "0.012"), (0.5, "0.50")])
def test_p_values_are_told_to_two_digits(p: float | None, shown: str) -> None:
    assert p_text(p) == shown


@pytest.mark.parametrize(("minutes", "shown"), [(0.5, "30 s"), (1.5, "1.5 min"), (30, "30 min"), (210, "3.5 h")])
def test_durations_have_a_unit_that_fits(minutes: float, shown: str) -> None:
    assert duration(ENGLISH, minutes) == shown


def test_percentages_of_tables_and_ratios_of_sentences_agree(tmp_path: Path) -> None:
    content = content_of(small_plan(), tmp_path, {"latent_dim=100": Story(fid=10), "generator=mlp": Story(fid=1e9)})
    near, _, far = (content.comparisons["FID (digits)"].of(cell) for cell in content.cells[1:])
    assert near and far and near.ratio
    assert change_text(ENGLISH, near).startswith(f"{100 * (near.ratio - 1):+.0f} % (-")
    assert size_text(near) == f"{near.ratio:.3f}"
    assert change_text(ENGLISH, far).startswith("> +100000 %")


def found_in(content: Content) -> str:
    """The summary's paragraphs on the first protocol."""
    return "\n".join(findings(content, content.columns[0]))


def test_what_is_beyond_chance_and_barred_is_not_called_chance(tmp_path: Path) -> None:
    stories = {"latent_dim=100": Story(fid=4), "latent_dim=100 seed 2": Story("diverged", reached=200)}
    told = found_in(content_of(small_plan(seeds=THREE), tmp_path, stories))
    assert "beyond what chance explains" not in told and "No change brought" not in told
    assert re.search(
        r"Beyond chance, but without a verdict because runs diverged .*: latent\\_dim=100 \(× 0\.\d+\)", told
    )
    assert "latent\\_dim=100 (runs diverged)" in told


def test_where_nothing_varies_no_run_is_said_to_have_diverged(tmp_path: Path) -> None:
    plan = small_plan(evaluation=[{"samples": 100, "repeats": 3, "metrics": ["missing_classes"]}])
    told = found_in(content_of(plan, tmp_path))
    assert "latent\\_dim=100 (nothing varies)" in told and "diverged" not in told
    assert "The mean closest" not in told, "all means are alike"


def test_a_row_of_two_checkpoints_names_the_one_of_its_difference(tmp_path: Path) -> None:
    late = Story("interrupted", reached=200)
    content = content_of(small_plan(), tmp_path, {"baseline seed 1": late, "latent_dim=100 seed 1": late})
    rows = rows_of(comparison_table(content, content.columns[0]))
    row = next(row for row in rows if row["Cell"] == "latent\\_dim=100")
    assert row["Measured"].endswith("step 400") and row["Against the baseline"].endswith(", step 200")
    told = found_in(content)
    assert "no comparison is possible" not in told
    assert "Differences and verdicts are of step 200, which all measured seeds of the baseline have" in told


def test_the_size_that_a_claim_rules_out_is_a_share_where_a_value_is_below_0(tmp_path: Path) -> None:
    claim = [{"cell": "latent_dim=100", "smallest_effect": 0.9}]
    content = content_of(small_plan(seeds=THREE, claim=claim), tmp_path, {"generator=mlp seed 0": Story(fid=-20)})
    (answer,) = answers(content)
    assert answer.difference and answer.difference.scale == "linear"
    assert "A difference of 90 % or more is" in answer.sentence
    assert answer.against and "A value of FID is not above 0" in pool_text(content, answer.against)


def test_the_diverged_runs_of_the_other_side_are_told(tmp_path: Path) -> None:
    stories = {"generator=mlp": Story(fid=300), "baseline seed 2": Story("diverged", reached=200)}
    content = content_of(small_plan(seeds=THREE), tmp_path, stories)
    sentence = answers(content)[-1].sentence
    assert "**no verdict, because of the diverged runs**" in sentence
    assert "Of baseline, 1 of 3 runs diverged and are not among these values" in sentence
    assert "seeds in all" not in sentence and "1000 seeds" not in sentence


def test_without_a_baseline_no_item_is_empty(tmp_path: Path) -> None:
    content = content_of(small_plan(include_baseline=False), tmp_path)
    (against,) = content.comparisons.values()
    assert against.cells and single_changes(content, against) == joint_changes(content, against) == []
    assert "compared with the baseline" not in found_in(content)


def test_interactions_are_adjusted_and_left_out_beside_claims(tmp_path: Path) -> None:
    stories = {"latent_dim=100,hidden_dim=8": Story(fid=90)}
    content = content_of(small_plan(**DIMS), tmp_path / "all", stories)
    assert "the two interact (p" in found_in(content) and "the one interaction of this report" in found_in(content)
    claimed = content_of(small_plan(**DIMS, claim=[{"cell": "latent_dim=100"}]), tmp_path / "some", stories)
    assert "interact" not in found_in(claimed)


def test_means_beside_a_ratio_are_geometric(tmp_path: Path) -> None:
    """10 and 1000 against 20 and 500: the ratio is 1, and so is that of the means beside it."""
    stories = {
        f"{name} seed {seed}": Story(fid=fid) for name, seed, fid in (("baseline", 0, 1e4), ("baseline", 1, 1e6))
    }
    stories |= {"latent_dim=100 seed 0": Story(fid=2e4), "latent_dim=100 seed 1": Story(fid=5e5)}
    sentence = answers(content_of(small_plan(), tmp_path, stories))[0].sentence
    found = re.search(r"FID ([\d.e+]+) → ([\d.e+]+), × (1\.00|0\.99\d|1\.000) ", sentence)
    assert found and float(found[1]) == pytest.approx(1e5, rel=0.01) == float(found[2])


def test_runs_on_the_way_do_not_count_as_having_reached_the_equilibrium(tmp_path: Path) -> None:
    stories = {
        "latent_dim=100 seed 0": Story("diverged", reached=200),
        "generator=mlp seed 1": Story("interrupted", reached=60),
    }
    content = content_of(small_plan(), tmp_path, stories)
    assert [len(reached(one)) for one in content.cells] == [2, 1, 2, 1]
    assert "of 6 runs that can tell" in equilibrium_summary(content)
    assert "2 runs that are not complete are left out." in equilibrium_summary(content)


def test_the_family_is_what_could_be_tested(tmp_path: Path) -> None:
    claims = [{"cell": "latent_dim=100"}, {"cell": "generator=mlp"}]
    content = content_of(small_plan(claim=claims), tmp_path, {"generator=mlp seed 1": Story(evaluated=False)})
    assert "2 claims, which are the whole family of tests; 1 of them can be tested so far" in family_text(content)
