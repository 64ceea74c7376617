"""The summary's sentences on what came out: levels, the largest effects with their price, and what is undecided."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from report_data import Story, small_plan
from report_tables import content_of
from test_comparisons import DIMS
from test_effects import FAR, THREE

from harness.report.content import Content
from harness.report.findings import diverged, findings
from harness.report.rounding import rounded


def found_in(content: Content) -> str:
    """The summary's paragraphs on the first protocol."""
    return "\n".join(findings(content, content.columns[0]))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Content:
    """Four cells of three seeds: one far worse, one far closer, one a little worse."""
    return content_of(small_plan(seeds=THREE), tmp_path_factory.mktemp("three"), FAR)


def test_the_summary_says_where_the_baseline_and_the_others_stand(three: Content) -> None:
    told = found_in(three)
    (last,) = [one for one in three.of_cell(three.cells[0], three.columns[0]) if one.step == 400]
    value = rounded(last.mean, last.sd_seeds)
    assert f"At step 400 the baseline's FID (digits) is {value} (mean ± SD over 3 seeds)." in told
    assert "Real images against other real images give 4.00 ± 0.71, about the best to be hoped for." in told
    assert re.search(r"The means of 4 cells lie between [\d.]+ \(latent\\_dim=100\) and [\d.]+ \(generator=mlp\)", told)


def test_the_largest_effect_and_the_largest_improvement_are_named_by_their_factors(three: Content) -> None:
    told = found_in(three)
    assert re.search(
        r"The largest effect is that of `generator` cnn → mlp: after 400 steps FID \*\*× [\d.]+\*\* \(95 % interval "
        r"[\d.]+ to [\d.]+; 3 seeds; p .* after adjustment for 3 comparisons\)\.",
        told,
    )
    assert re.search(
        r"The largest improvement is that of `latent_dim` 16 → 100: FID \*\*× 0\.\d+\*\* \(95 % interval .*; p .* "
        r"after the same adjustment\), with about the same training time and as many parameters\.",
        told,
    )
    assert "p and intervals rest on the larger of two spreads over seeds: that of" in told
    assert re.search(r"Closer to the real .* beyond chance: latent\\_dim=100 \(× 0\.\d+\)\.", told)
    assert re.search(r"Farther from .* beyond chance: generator=mlp \(× \d+\.\d\)\.", told)
    assert not re.search(r"\b(better|worse|significant)\b", told)


def test_an_improvement_that_is_the_largest_effect_is_told_once(tmp_path: Path) -> None:
    content = content_of(small_plan(seeds=THREE), tmp_path, {"latent_dim=100": Story(fid=2)})
    told = found_in(content)
    assert "The largest effect is an improvement, that of `latent_dim` 16 → 100: after 400 steps FID **× " in told
    assert "largest improvement" not in told


def test_the_largest_effect_of_a_generator_that_has_not_begun_says_no_more_than_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.analysis.unfinished.PROGRESS", 0.5)
    told = found_in(content_of(small_plan(seeds=THREE), tmp_path, {"generator=mlp": Story(fid=3000)}))
    assert "largest effect is that of `generator` cnn → mlp" in told
    assert "which says that its generator has not begun to learn by then, and nothing of such networks" in told
    assert "so its generator has not begun to learn: generator=mlp" in told


def test_what_few_more_seeds_would_decide_is_named_and_the_rest_counted(three: Content) -> None:
    told = found_in(three)
    assert "No effect is shown for normalization=none." in told
    assert re.search(r"Worth more seeds, .*: normalization=none \(\d+–\d+ seeds, .* to .* more\)\.", told)
    assert "which is itself a noisy one." in told


def test_a_cell_with_one_seed_is_told_with_its_number(tmp_path: Path) -> None:
    cells = [{"name": "alone", "latent_dim": 100, "seeds": [0]}, {"name": "other", "latent_dim": 8}]
    told = found_in(content_of(small_plan(grid=[], cell=cells), tmp_path, {"alone": Story(fid=300)}))
    assert re.search(r"One seed, so numbers and no verdict: alone \(× 1\d\.\d\)\.", told)
    assert "Worth more seeds: first a second and a third one for alone, which has one." in told
    assert "no comparison is possible" not in told


def test_one_seed_of_every_cell_allows_no_comparison(tmp_path: Path) -> None:
    told = found_in(content_of(small_plan(seeds=[0]), tmp_path, {"generator=mlp": Story(fid=300)}))
    assert "(one seed)." in told and "One seed: no comparison is possible." in told
    assert "largest" not in told and "p =" not in told


def test_diverged_runs_are_said_and_are_no_finding_beyond_chance(tmp_path: Path) -> None:
    stories = {
        "latent_dim=100": Story(fid=5),
        "latent_dim=100 seed 2": Story("diverged", reached=200),
        "generator=mlp": Story("diverged", reached=0, evaluated=False),
    }
    content = content_of(small_plan(seeds=THREE), tmp_path, stories)
    told = found_in(content)
    assert "All runs diverged, which counts as *hurts* without a test: generator=mlp." in told
    assert "Farther from the real images" not in told
    named = "Diverged, with a loss or weight that is not finite: latent\\_dim=100 (1 of 3 runs), generator=mlp (3"
    assert named in diverged(content)


def test_what_is_beyond_chance_and_barred_is_not_called_chance(tmp_path: Path) -> None:
    stories = {
        "latent_dim=100": Story(fid=4),
        "latent_dim=100 seed 2": Story("diverged", reached=200),
        "normalization=none": Story(fid=19.7),
        "normalization=none seed 2": Story("diverged", reached=200),
    }
    told = found_in(content_of(small_plan(seeds=THREE), tmp_path, stories))
    assert "beyond what chance explains" not in told and "No single cell" not in told
    assert re.search(
        r"Beyond chance, but without a verdict because runs diverged .*: latent\\_dim=100 \(× 0\.\d+\)", told
    )


def test_where_nothing_varies_no_run_is_said_to_have_diverged(tmp_path: Path) -> None:
    plan = small_plan(evaluation=[{"samples": 100, "repeats": 3, "metrics": ["missing_classes"]}])
    told = found_in(content_of(plan, tmp_path))
    assert "Nothing varies, so nothing can be told, in: latent\\_dim=100" in told and "diverged" not in told


def test_steps_of_differences_are_told_where_cells_stand_apart(tmp_path: Path) -> None:
    late = Story("interrupted", reached=200)
    told = found_in(content_of(small_plan(), tmp_path, {"baseline seed 1": late, "latent_dim=100 seed 1": late}))
    assert "no comparison is possible" not in told
    assert "Differences and verdicts are of step 200, which all measured seeds of the baseline have" in told


def test_without_a_baseline_nothing_is_said_of_it(tmp_path: Path) -> None:
    told = found_in(content_of(small_plan(include_baseline=False), tmp_path))
    assert "the baseline" not in told and "The means of 3 cells lie between" in told


def test_main_effects_of_a_grid_are_quotable_and_left_out_beside_claims(tmp_path: Path) -> None:
    stories = {"latent_dim=100,hidden_dim=8": Story(fid=90)}
    told = found_in(content_of(small_plan(**DIMS), tmp_path / "all", stories))
    assert re.search(
        r"Averaged over `latent_dim` 16 and 100, `hidden_dim` 64 → 8 raises FID: \*\*× \d\.\d\d\*\* \(", told
    )
    assert "What `latent_dim` 16 → 100 does depends on `hidden_dim`" in told
    claimed = content_of(small_plan(**DIMS, claim=[{"cell": "latent_dim=100"}]), tmp_path / "some", stories)
    assert "veraged over" not in found_in(claimed) and "depends on" not in found_in(claimed)
