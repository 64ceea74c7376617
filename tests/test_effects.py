"""The section on effects: sentences with numbers, tables, and verdicts only where seeds allow them."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
from report_data import Story, lived, prepare, report, section, small_plan, write_run
from report_tables import content_of, rows_of
from test_comparisons import DIMS

from harness.report.claims import answers, family_text, plain
from harness.report.columns import Column
from harness.report.comparisons import ColumnComparison
from harness.report.content import Content
from harness.report.effect_groups import EffectGroup, baseline_text, effect_groups
from harness.report.effect_tables import (
    differences_table,
    flips_text,
    verdict_counts,
)
from harness.report.factorial_tables import crossed_effects, effects_table
from harness.report.factorial_words import effects_text
from harness.report.tables import comparison_table
from harness.report.variance_tables import components_table, pool_text, shared_error_text, shares_text
from harness.report.verdicts import sized

THREE = [0, 1, 2]
FAR = {
    "generator=mlp": Story(fid=300),
    "latent_dim=100": Story(fid=8),
    "normalization=none seed 0": Story(fid=25),
    "normalization=none seed 1": Story(fid=22),
    "normalization=none seed 2": Story(fid=20),
}
ONLY: dict[str, Any] = {"report": {"samples": 16, "sections": ["summary", "effects"]}}
NUMBER = r"[<>]? ?[\d.]+"


def table_with(text: str, header: str) -> list[dict[str, str]]:
    """The rows of the first table that has this column."""
    tables = [part for part in text.split("\n\n") if part.startswith("|")]
    return next(rows for rows in map(rows_of, tables) if header in rows[0])


def item(text: str, start: str) -> str:
    (found,) = [line for line in text.splitlines() if line.startswith(f"- {start}")]
    return found


def first(content: Content) -> ColumnComparison:
    return next(iter(content.comparisons.values()))


def groups(content: Content) -> dict[str, EffectGroup]:
    """By heading."""
    return {group.heading: group for group in effect_groups(content, first(content))}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Content:
    """Four cells of three seeds: one far worse, one far closer, one a little worse. A price is set."""
    plan = small_plan(seeds=THREE, cost={"per_hour": 2.0, "currency": "EUR"})
    return content_of(plan, tmp_path_factory.mktemp("three"), FAR)


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> Content:
    """A 2 x 2 grid of two seeds, one corner of which is far off."""
    stories = {"latent_dim=100,hidden_dim=8": Story(fid=90)}
    return content_of(small_plan(**DIMS), tmp_path_factory.mktemp("crossed"), stories)


def test_what_is_sure_has_a_sentence_with_estimate_interval_seeds_and_verdict(three: Content) -> None:
    found = groups(three)["Beyond chance"].items
    pattern = rf": FID {NUMBER} → {NUMBER}, × {NUMBER} \(95 % interval {NUMBER} to {NUMBER}; 3 seeds\): \*\*"
    assert re.match("`latent_dim` 16 → 100" + pattern + "helps", found[0])
    assert re.match("`generator` cnn → mlp" + pattern + "hurts", found[1])
    assert len(found) == 2 and all("after Holm's adjustment p " in one for one in found)
    assert not any("sign-flip" in one for one in found), "it can tell nothing with three seeds"


def test_what_may_be_chance_has_a_line_with_its_numbers_under_its_heading(three: Content) -> None:
    assert list(groups(three)) == ["Beyond chance", "Inconclusive"]
    rest = groups(three)["Inconclusive"]
    pattern = rf"`normalization` batch → none: FID {NUMBER} → {NUMBER}, × [\d.]+ \([\d.]+ to [\d.]+\)\."
    assert re.match(pattern, rest.items[0]) and len(rest.items) == 1
    assert rest.note == "No effect is shown, which does not mean that there is none."
    assert groups(three)["Beyond chance"].note == "", "no cell changes several factors"


def test_which_value_of_the_baseline_stands_beside_cells_of_fewer_seeds_is_said(tmp_path: Path) -> None:
    cells = [{"name": "alone", "latent_dim": 100, "seeds": [1]}, {"name": "other", "latent_dim": 8}]
    stories = {"baseline seed 0": Story(fid=10), "baseline seed 1": Story(fid=40)}
    content = content_of(small_plan(grid=[], cell=cells), tmp_path, stories)
    assert re.fullmatch(
        r"Beside each cell stands the baseline's FID over the seeds that both have, as a geometric mean: [\d.]+ over "
        r"seeds 0, 1; 4[\d.]+ over seed 1\. Its arithmetic mean over 2 seeds, which other tables have, is 2[\d.]+\.",
        baseline_text(content, first(content)),
    )
    (told,) = groups(content)["One seed"].items
    assert re.match(r"alone \(`latent_dim` 16 → 100\): FID 4[\d.]+ → [\d.]+, × 0\.\d+\.", told)


def test_very_many_cells_of_a_group_share_a_line(three: Content, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.report.effect_groups.MOST_LISTED", 0)
    assert groups(three)["Inconclusive"].items[0].endswith("(1 in all).")


def test_the_table_says_what_would_decide_and_what_it_costs(three: Content) -> None:
    rows = rows_of(differences_table(three, first(three)))
    assert [row["Cell"] for row in rows] == ["latent\\_dim=100", "normalization=none", "generator=mlp"]
    assert [row["Verdict"] for row in rows] == ["helps", "inconclusive", "hurts"]
    assert all(re.fullmatch(r"(pooled|larger than pooled|its own), \d+ df", row["Error"]) for row in rows)
    needed = [row["Seeds that it would take"] for row in rows]
    assert needed[0] == needed[2] == "–"
    assert re.fullmatch(r"\d+–\d+ \(.* to .*; [\d.]+ to [\d.]+ EUR\)", needed[1])
    assert "Sign-flip p (least)" not in rows[0]
    counted = "Verdicts on 3 cells beside the baseline: helps 1, hurts 1, inconclusive 1."
    assert verdict_counts(three, first(three)) == counted
    assert "cannot go below p = 0.25 with 3 seeds" in flips_text(three, first(three))


def test_the_sign_flip_test_is_shown_once_it_can_tell(tmp_path: Path) -> None:
    plan = small_plan(seeds=list(range(6)), grid=[], cell=[{"latent_dim": 100}])
    content = content_of(plan, tmp_path, {"latent_dim=100": Story(fid=8)})
    (row,) = rows_of(differences_table(content, first(content)))
    assert row["Sign-flip p (least)"] == "0.031 (0.031)" and flips_text(content, first(content)) == ""
    (told,) = groups(content)["Beyond chance"].items
    assert "sign-flip p = 0.031 (least possible with 6 seeds: 0.031)." in told


def test_the_error_and_where_variance_comes_from_are_shown(three: Content) -> None:
    shown = pool_text(three, first(three))
    assert re.search(r"The error is pooled over \d cells: one run varies beside its cell and its seed by an SD", shown)
    assert "correlation across cells" in shown and re.search(
        r"Most unlike the others is [\w\\=]+: F = [\d.]+ with 2 and 4 degrees of freedom, p .* for 8 tests",
        shown,
    )
    rows = rows_of(components_table(three, first(three)))
    assert [row["#"] for row in rows] == ["1", "2", "3", "4"]
    assert all(row["Seeds"] == "3" and row["Repeats"] == "3" for row in rows)
    assert {row["In the pool"] for row in rows} <= {"yes", "no: louder", "no: quieter"}
    assert "From 3 seeds these shares are rough" in shares_text(three, first(three))
    assert re.search(
        r"rest on the larger of two spreads over seeds: that of [34] cells .*\(up to 3\)\. The .* in [0-3] of \d",
        told_error(three),
    )


def told_error(content: Content) -> str:
    return shared_error_text(content, first(content))


def test_a_check_that_can_hardly_find_anything_says_so(crossed: Content) -> None:
    shown = pool_text(crossed, first(crossed))
    few, pool = "with 2 seeds of a cell it can hardly find anything", first(crossed).comparison.pool
    assert (few in shown) == ("Bartlett's test" in shown) == (not pool.louder and not pool.quieter)


def test_what_a_level_changes_besides_is_said(tmp_path: Path) -> None:
    from harness.store.networks import Networks, NetworkSize, write_networks

    grid = [{"kind": "one-at-a-time", "levels": {"resolution": [32], "latent_dim": [100], "loss": ["hinge"]}}]
    plan = small_plan(seeds=THREE, grid=grid)
    content = content_of(plan, tmp_path, {"resolution=32": Story(fid=90)})
    for run in content.runs:
        larger = run.view.run.cell.name == "resolution=32"
        size = Networks(NetworkSize(57_936 if larger else 16_784, 8), NetworkSize(42_545 if larger else 9_073, 8))
        assert run.view.directory
        run.view.directory.networks.unlink()
        write_networks(run.view.directory, size)
    told = [one for one in groups(content)["Beyond chance"].items if one.startswith("`resolution`")]
    assert (
        "both networks change, too: 16,784 → 57,936 parameters in G, 9,073 → 42,545 in D. Its images of 32 pixels"
        in told[0]
    )
    assert "are measured at 16, as those of all cells are." in told[0]
    assert not any("With it" in one for one in groups(content)["Inconclusive"].items)


def test_one_seed_gives_numbers_and_no_verdict(tmp_path: Path) -> None:
    text = lived(small_plan(seeds=[0], **ONLY), tmp_path, {"generator=mlp": Story(fid=300)})
    for name in ("effects", "summary"):
        assert not re.search(r"\b(helps|hurts|p =|p <|95 % interval)\b", section(text, name)), name
    shown = section(text, "effects")
    assert "**One seed: no verdict." in shown
    assert "#### One seed\n\nNumbers and no verdict: " in shown
    assert re.search(r"\n- `generator` cnn → mlp: FID [\d.]+ → 300, × 1\d\.\d\.", shown)


def test_a_cell_with_one_seed_among_others_has_no_verdict(tmp_path: Path) -> None:
    cells = [{"name": "alone", "latent_dim": 100, "seeds": [0]}, {"name": "other", "latent_dim": 8}]
    content = content_of(small_plan(grid=[], cell=cells), tmp_path, {"alone": Story(fid=300)})
    rows = {row["Cell"]: row for row in rows_of(differences_table(content, first(content)))}
    assert (rows["alone"]["Verdict"], rows["alone"]["p"]) == ("one seed: no verdict", "–")
    assert rows["other"]["p"] != "–"


def test_diverged_runs_are_said_and_never_help(tmp_path: Path) -> None:
    stories = {
        "latent_dim=100": Story(fid=5),
        "latent_dim=100 seed 2": Story("diverged", reached=200),
        "generator=mlp": Story("diverged", reached=0, evaluated=False),
    }
    content = content_of(small_plan(seeds=THREE), tmp_path, stories)
    found = groups(content)
    (every,) = found["Beyond chance"].items
    (some,) = [one for one in found["Inconclusive"].items if one.startswith("`latent_dim`")]
    assert "1 of its 3 runs diverged" in some and "helps**" not in some
    assert every == "`generator` cnn → mlp: all 3 runs diverged. That **hurts**."


def test_a_lone_run_that_diverged_is_not_measured_in_table_and_sentence(tmp_path: Path) -> None:
    cells = [{"name": "lone", "latent_dim": 100, "seeds": [0]}, {"name": "other", "latent_dim": 8}]
    plan = small_plan(grid=[], cell=cells)
    content = content_of(plan, tmp_path, {"lone": Story("diverged", reached=0, evaluated=False)})
    row = rows_of(differences_table(content, first(content)))[0]
    assert row["Verdict"] == "not measured"
    assert "its one run diverged, so it is not measured." in groups(content)["Without a value to compare"].items[0]


def test_without_a_baseline_nothing_is_compared_with_it(tmp_path: Path) -> None:
    sections = {"samples": 16, "sections": ["comparison", "effects"]}
    text = lived(small_plan(include_baseline=False, report=sections), tmp_path)
    assert "The file leaves the baseline out (`include_baseline = false`)" in section(text, "effects")
    assert "figures/fid-digits-differences.png" not in text
    rows = table_with(section(text, "comparison"), "Verdict")
    assert {row["Verdict"] for row in rows} == {"–"}


def test_without_a_baseline_no_item_is_empty(tmp_path: Path) -> None:
    content = content_of(small_plan(include_baseline=False), tmp_path)
    against = first(content)
    assert against.cells and effect_groups(content, against) == [] and baseline_text(content, against) == ""


def test_one_cell_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    shown = section(lived(small_plan(grid=[], **ONLY), tmp_path), "effects")
    assert shown.count("There is one cell, so there is nothing to compare.") == 1
    assert "How differences are judged" not in shown and "pooled" not in shown
    assert len(table_with(shown, "SD over seeds")) == 1


def test_crossed_factors_have_main_effects_and_an_interaction(crossed: Content) -> None:
    (found,) = crossed_effects(crossed, first(crossed))
    rows = rows_of(effects_table(crossed, first(crossed), found))
    assert [row["Effect"].split(",")[0] for row in rows] == [
        "`latent_dim` 16 → 100",
        "`hidden_dim` 64 → 8",
        "Interaction: `latent_dim` 16 → 100 with `hidden_dim` 64 → 8",
    ]
    assert [one.family for one in found.judged] == [2, 2, 1]
    smallest = min(one.effect.p or 1 for one in found.judged[:2])
    assert min(one.p_holm or 1 for one in found.judged[:2]) == pytest.approx(2 * smallest)
    latent, hidden, both = effects_text(crossed, first(crossed), found)
    quotable = (
        r"Averaged over `hidden_dim` 64 and 8, `latent_dim` 16 → 100 raises FID: \*\*× [\d.]+\*\* \(95 % interval "
    )
    assert re.match(quotable + r"[\d.]+ to [\d.]+; 2 seeds; p .* after adjustment for 2 main effects\)\.$", latent)
    assert hidden.startswith("Averaged over `latent_dim` 16 and 100, `hidden_dim` 64 → 8 raises FID: ")
    at = re.search(
        r"FID × ([\d.]+) at `hidden_dim` = 64, × ([\d.]+) at `hidden_dim` = 8 \(interaction × ([\d.]+)", both
    )
    assert at and float(at[2]) / float(at[1]) == pytest.approx(float(at[3]), rel=0.02)
    assert float(at[2]) > 3 and both.startswith("What `latent_dim` 16 → 100 does depends on `hidden_dim`: ")


def test_an_interaction_that_the_adjustment_takes_away_is_a_hint(tmp_path: Path) -> None:
    """A 3 x 2 grid has two interactions; the smaller p is below 5 % by itself alone."""
    grid = [{"name": "dims", "levels": {"latent_dim": [16, 50, 100], "hidden_dim": [8, 64]}}]
    plan = small_plan(**{**DIMS, "grid": grid, "seeds": THREE})
    stories = {"latent_dim=100,hidden_dim=8": Story(fid=22.7)}
    content = content_of(plan, tmp_path, stories)
    (found,) = crossed_effects(content, first(content))
    hints = [one for one in found.judged if len(one.effect.factors) == 2 and one.is_hint(0.05)]
    assert [one.is_sure(0.05) for one in hints] == [False], [(one.effect.p, one.p_holm) for one in found.judged]
    told = " ".join(effects_text(content, first(content), found))
    assert "A hint, not more: `latent_dim` 16 → 100 may act differently at another level of `hidden_dim`" in told
    assert "after adjustment for 2 interactions" in told


def test_crossed_factors_of_one_seed_have_numbers_and_no_verdict(tmp_path: Path) -> None:
    content = content_of(small_plan(**DIMS, seeds=[0]), tmp_path)
    (found,) = crossed_effects(content, first(content))
    main, _, both = effects_text(content, first(content), found)
    pattern = r"`latent_dim` 16 → 100: FID × [\d.]+, averaged over `hidden_dim` 64 and 8. One seed: no verdict."
    assert re.fullmatch(pattern, main)
    assert both.endswith("One seed: whether the two factors interact cannot be told.")


def test_a_grid_of_fewer_seeds_than_its_cells_says_so_with_the_cells_own_difference(tmp_path: Path) -> None:
    grid = [{"name": "dims", "seeds": [1], "levels": {"latent_dim": [16, 100], "hidden_dim": [64, 8]}}]
    cells = [{"name": "latent 100", "latent_dim": 100}]
    content = content_of(small_plan(**{**DIMS, "grid": grid, "cell": cells, "seeds": THREE}), tmp_path)
    (found,) = crossed_effects(content, first(content))
    basis, latent, hidden, _ = effects_text(content, first(content), found)
    assert basis == (
        "What is said of `latent_dim` and `hidden_dim` crossed rests on seed 1, the only one that all 4 cells have."
    )
    (cell,) = [cell for cell in first(content).others if cell.label == "latent 100"]
    difference = first(content).of(cell)
    assert difference is not None and difference.shared_seeds == (0, 1, 2)
    lone = f"seed 1 alone gives × {math.exp(difference.by_seed[1]):.2f}."
    assert f"At `hidden_dim` = 64 alone it is {sized(difference)} (" in latent and latent.endswith(lone)
    assert hidden.endswith("One seed: no verdict."), "its cell has no more seeds than the grid"


def test_pictures_and_words_stand_in_the_report(tmp_path: Path) -> None:
    claims = [
        {"cell": "latent_dim=100,hidden_dim=8", "smallest_effect": 0.1},
        {"cell": "hidden_dim=8", "against": "latent_dim=100", "smallest_effect": 2.0},
    ]
    stories = {"latent_dim=100,hidden_dim=8": Story(fid=90)}
    text = lived(small_plan(**DIMS, seeds=THREE, claim=claims, **ONLY), tmp_path, stories, painted=True)
    shown = section(text, "effects")
    assert "![FID (digits): differences to the baseline](figures/fid-digits-differences.png)" in shown
    assert "![FID (digits): crossed factors](figures/fid-digits-interactions.png)" in shown
    assert (tmp_path / "report" / "figures" / "fid-digits-differences.png").stat().st_size > 10_000
    assert shown.index("### The claims of the file") < shown.index("### FID (digits)")
    assert "The file makes 2 claims, which are the whole family of tests" in shown
    corner = item(section(text, "summary"), "latent\\_dim=100, hidden\\_dim=8 against baseline:")
    assert "**hurts**" in corner and "The whole interval lies beyond 10 %" in corner
    same = item(section(text, "summary"), "hidden\\_dim=8 against latent\\_dim=100:")
    assert "**no difference that matters**" in same and "A difference of 200 % or more is ruled out" in same
    assert "sign-flip p = 0.25 (least possible with 3 seeds: 0.25)." in corner
    assert "#### Not tested\n\nThese cells are not among the file's claims.\n\n- " in shown
    assert item(shown, "`latent_dim` 16 → 100: FID ")
    assert "largest effect" not in section(text, "summary")


def test_a_metric_in_its_own_unit_has_differences_and_a_plain_axis(tmp_path: Path) -> None:
    block = {"samples": 100, "repeats": 3, "metrics": ["fid", "recall"]}
    claim = [{"cell": "generator=mlp", "metric": "recall"}]
    plan = small_plan(seeds=THREE, claim=claim, evaluation=[block], **ONLY)
    shown = section(lived(plan, tmp_path, {"generator=mlp": Story(fid=300)}), "effects")
    recall = shown.split("### Recall (digits): each cell against the baseline")[1]
    assert "so that 0 (the dashed line) is no difference" in recall and "Difference" in table_with(recall, "p")[0]
    assert re.search(
        r"Recall 0\.\d+ → 0\.\d+, −0\.\d+ \(95 % interval −0\.\d+ to −0\.\d+; 3 seeds\): \*\*hurts", recall
    )


def test_an_evaluation_left_out_cannot_answer_a_claim(tmp_path: Path) -> None:
    blocks: list[dict[str, Any]] = [{"repeats": 3}, {"extractor": "inception", "required": False, "metrics": ["kid"]}]
    plan = small_plan(evaluation=blocks, claim=[{"cell": "latent_dim=100", "metric": "kid"}], **ONLY)
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


def test_a_row_of_two_checkpoints_names_the_one_of_its_difference(tmp_path: Path) -> None:
    late = Story("interrupted", reached=200)
    content = content_of(small_plan(), tmp_path, {"baseline seed 1": late, "latent_dim=100 seed 1": late})
    rows = rows_of(comparison_table(content, fid(content)))
    row = next(row for row in rows if row["Cell"] == "latent\\_dim=100")
    assert row["Against the baseline"].endswith(", step 200")


def fid(content: Content) -> Column:
    return content.columns[0]


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


def test_means_beside_a_ratio_are_geometric(tmp_path: Path) -> None:
    """10 and 1000 against 20 and 500: the ratio is 1, and so is that of the means beside it."""
    stories = {
        f"{name} seed {seed}": Story(fid=fid) for name, seed, fid in (("baseline", 0, 1e4), ("baseline", 1, 1e6))
    }
    stories |= {"latent_dim=100 seed 0": Story(fid=2e4), "latent_dim=100 seed 1": Story(fid=5e5)}
    sentence = answers(content_of(small_plan(), tmp_path, stories))[0].sentence
    found = re.search(r"FID ([\d.e+]+) → ([\d.e+]+), × (1\.00|1\.0000\d|0\.9999\d) ", sentence)
    assert found and float(found[1]) == pytest.approx(1e5, rel=0.01) == float(found[2])


def test_the_family_is_what_could_be_tested(tmp_path: Path) -> None:
    claims = [{"cell": "latent_dim=100"}, {"cell": "generator=mlp"}]
    content = content_of(small_plan(claim=claims), tmp_path, {"generator=mlp seed 1": Story(evaluated=False)})
    assert "2 claims, which are the whole family of tests; 1 of them can be tested so far" in family_text(content)
