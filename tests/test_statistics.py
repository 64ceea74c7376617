"""Comparisons of cells: what is compared with what, on which scale, and the verdict of each case."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pytest
import scipy.stats

from harness.analysis.multiplicity import MOST_FLIPPED, holm, least_sign_flip, sign_flip
from harness.analysis.seeds_needed import StandingTest, seeds_needed
from harness.analysis.statistics import Asked, CellValues, Comparison, Difference, Verdict, compare
from harness.analysis.variance import components, pooled

BASE = {0: 30.0, 1: 33.0, 2: 29.0}


def cell(name: str, by_seed: Mapping[int, float | Sequence[float]], *, seeds: int = 3, diverged: int = 0) -> CellValues:
    values = {seed: [value] if isinstance(value, float) else value for seed, value in by_seed.items()}
    return CellValues(name, values, seeds, diverged, 2.0)


def scaled(factor: float, base: Mapping[int, float] = BASE) -> dict[int, float]:
    """The baseline's values times a factor and a little noise."""
    return {seed: value * factor * (1 + 0.02 * math.sin(7 * seed + 13 * factor)) for seed, value in base.items()}


def against_baseline(
    other: CellValues, *more: CellValues, metric: str = "fid", baseline: CellValues | None = None
) -> Difference:
    cells = [baseline or cell("baseline", BASE), other, *more]
    found = compare(cells, metric=metric, baseline="baseline", asked=None).of(other.cell)
    assert found is not None
    return found


def test_two_cells_give_the_paired_t_test_of_the_logs() -> None:
    values = {0: 21.0, 1: 28.0, 2: 26.0, 3: 19.0}
    base = {0: 30.0, 1: 33.0, 2: 29.0, 3: 35.0}
    found = against_baseline(cell("other", values, seeds=4), baseline=cell("baseline", base, seeds=4))
    logs = [np.log(list(one.values())) for one in (values, base)]
    expected = scipy.stats.ttest_rel(*logs)
    interval = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-12)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert (found.freedom, found.estimate) == (3, pytest.approx(float(np.mean(logs[0] - logs[1]))))
    assert found.ratio == pytest.approx(np.exp(np.mean(logs[0] - logs[1])))


def test_repeats_are_averaged_before_the_log() -> None:
    found = against_baseline(cell("other", {0: [10.0, 30.0]}), baseline=cell("baseline", {0: [40.0]}))
    assert found.estimate == pytest.approx(math.log(20 / 40))


def test_the_pooled_error_is_that_of_the_additive_model() -> None:
    """By hand: residuals beside cell and seed means, (cells - 1) (seeds - 1) degrees of freedom."""
    x = np.array([[3.0, 3.4, 3.1], [2.9, 3.1, 3.2], [3.3, 3.5, 3.2], [3.0, 3.2, 3.3]])
    cells = [cell(f"c{index}", dict(enumerate(np.exp(row).tolist()))) for index, row in enumerate(x)]
    found = compare(cells, metric="fid", baseline="c0", asked=None)
    residuals = x - x.mean(1, keepdims=True) - x.mean(0) + x.mean()
    assert found.pool.freedom == 6
    assert found.pool.sd == pytest.approx(math.sqrt((residuals**2).sum() / 6))
    assert found.pool.cells == ("c0", "c1", "c2", "c3")
    errors = {one.cell: one for one in found.differences}
    for index in (1, 2, 3):
        own = np.std(x[index] - x[0], ddof=1) / math.sqrt(3)
        shared = found.pool.sd * math.sqrt(2 / 3)
        assert errors[f"c{index}"].se == pytest.approx(max(own, shared))
        assert errors[f"c{index}"].error == ("larger" if own > shared else "pooled")


def test_seeds_that_not_all_cells_have_are_taken_into_the_pool() -> None:
    """Against least squares with indicator columns."""
    values = {"a": {0: 3.0, 1: 3.3, 2: 2.8, 5: 3.9}, "b": {0: 2.7, 2: 3.0}, "c": {1: 3.1, 2: 3.3}, "d": {7: 9.0}}
    rows = [(name, seed, x) for name in "abc" for seed, x in values[name].items()]
    design = np.array(
        [[name == one for one in "abc"] + [seed == one for one in (0, 1, 2, 5)] for name, seed, _ in rows]
    )
    x = np.array([row[2] for row in rows])
    fitted = design @ np.linalg.lstsq(design.astype(float), x, rcond=None)[0]
    freedom = len(rows) - np.linalg.matrix_rank(design.astype(float))
    found = pooled(values)
    assert (found.freedom, found.cells) == (freedom, ("a", "b", "c"))
    assert found.sd == pytest.approx(math.sqrt(((x - fitted) ** 2).sum() / freedom))


def test_pairing_takes_seeds_that_both_have() -> None:
    found = against_baseline(cell("other", {1: 20.0, 2: 21.0, 7: 90.0}))
    assert found.shared_seeds == (1, 2)
    assert found.by_seed == pytest.approx((math.log(20 / 33), math.log(21 / 29)))
    apart = against_baseline(cell("other", {5: 20.0, 6: 21.0}))
    assert (apart.verdict, apart.estimate, apart.shared_seeds) == ("not measured", None, ())


@pytest.mark.parametrize(
    ("values", "metric", "scale"),
    [
        ({0: 1.0, 1: 2.0}, "fid", "log"),
        ({0: 1.0, 1: 2.0}, "inception_score", "log"),
        ({0: 0.0, 1: 2.0}, "fid", "linear"),
        ({0: -0.5, 1: 2.0}, "fid_infinity", "linear"),
        ({0: [-0.5, 4.0], 1: [2.0]}, "fid", "linear"),
        ({0: 1.0, 1: 2.0}, "kid", "linear"),
        ({0: 1.0, 1: 2.0}, "recall", "linear"),
    ],
)
def test_only_values_above_0_of_ratio_metrics_are_on_the_log_scale(
    values: dict[int, float | list[float]], metric: str, scale: str
) -> None:
    found = compare([cell("baseline", BASE), cell("other", values)], metric=metric, baseline="baseline", asked=None)
    assert found.scale == scale
    assert {one.scale for one in found.differences} == {scale}
    assert (found.differences[1].ratio is None) == (scale == "linear")


def test_what_is_not_finite_counts_as_diverged() -> None:
    found = against_baseline(cell("other", {0: 10.0, 1: math.nan, 2: [11.0, math.inf]}))
    assert (found.shared_seeds, found.diverged, found.verdict) == ((0,), 2, "one seed")


@pytest.mark.parametrize(
    ("other", "verdict"),
    [
        (cell("other", scaled(0.3)), "helps"),
        (cell("other", scaled(3.0)), "hurts"),
        (cell("other", {0: 31.0, 1: 32.0, 2: 29.5}), "inconclusive"),
        (cell("other", {0: 3.0}), "one seed"),
        (cell("other", {}), "not measured"),
        (cell("other", {0: 9.0, 1: 9.9}, diverged=1), "inconclusive"),
        (cell("other", {seed: 90.0 + seed for seed in BASE}, seeds=4, diverged=1), "hurts"),
        (cell("other", {}, diverged=3), "hurts"),
        (cell("other", {}, diverged=2), "not measured"),
        (cell("other", {}, seeds=1, diverged=1), "not measured"),
        (cell("other", {0: 9.0}, diverged=2), "one seed"),
    ],
)
def test_verdicts(other: CellValues, verdict: Verdict) -> None:
    assert against_baseline(other).verdict == verdict


def test_a_diverged_run_of_the_other_side_bars_hurts_not_helps() -> None:
    base = cell("baseline", BASE, seeds=4, diverged=1)
    worse, better = (against_baseline(cell("other", scaled(by)), baseline=base) for by in (3.0, 0.3))
    assert (worse.verdict, better.verdict) == ("inconclusive", "helps")
    assert worse.p_holm is not None and worse.p_holm < 0.05
    assert worse.needed is None, "more seeds of the same do not decide it"


def test_all_diverged_is_no_verdict_against_what_diverged_as_well() -> None:
    base = cell("baseline", {}, diverged=3)
    assert against_baseline(cell("other", {}, diverged=3), baseline=base).verdict == "not measured"
    assert against_baseline(cell("other", BASE), baseline=base).verdict == "not measured"


@pytest.mark.parametrize(
    ("metric", "verdict"),
    [("kid", "helps"), ("recall", "hurts"), ("inception_score", "hurts"), ("nearest_ratio", "differs")],
)
def test_the_verdict_follows_the_metrics_direction(metric: str, verdict: Verdict) -> None:
    assert against_baseline(cell("other", scaled(0.3)), metric=metric).verdict == verdict
    assert against_baseline(cell("other", {}, diverged=3), metric="nearest_share").verdict == "not measured"


def test_every_cell_has_a_row_and_only_what_is_asked_is_tested() -> None:
    cells = [cell("baseline", BASE), cell("a", scaled(0.3)), cell("b", scaled(0.31)), cell("c", scaled(2.0))]
    whole = compare(cells, metric="fid", baseline="baseline", asked=None)
    assert [one.cell for one in whole.differences] == ["baseline", "a", "b", "c"]
    assert (whole.family, whole.differences[0].verdict, whole.differences[0].estimate) == (3, "baseline", None)
    asked = [Asked("a", "baseline"), Asked("c", "b")]
    some = compare(cells, metric="fid", baseline="baseline", asked=asked)
    assert [(one.cell, one.against, one.verdict) for one in some.differences] == [
        ("baseline", "baseline", "baseline"),
        ("a", "baseline", "helps"),
        ("b", "baseline", "not asked"),
        ("c", "baseline", "not asked"),
        ("c", "b", "hurts"),
    ]
    assert some.family == 2
    unasked = some.of("b")
    assert unasked is not None and unasked.p is not None and unasked.p_holm is None and unasked.needed is None
    assert some.of("c", "b") is some.differences[4] and some.of("nobody") is None
    first = some.of("a")
    assert first is not None and first.p is not None and first.p_holm is not None
    assert first.p < first.p_holm <= 2 * first.p
    without = compare(cells, metric="fid", baseline=None, asked=asked)
    assert [(one.cell, one.against) for one in without.differences] == [("a", "baseline"), ("c", "b")]


def test_tests_without_two_seeds_cost_the_others_nothing() -> None:
    cells = [cell("baseline", BASE), cell("a", scaled(0.8)), cell("one", {0: 3.0}), cell("none", {})]
    found = compare(cells, metric="fid", baseline="baseline", asked=None)
    first = found.of("a")
    assert found.family == 1 and first is not None and first.p_holm == first.p


def test_nothing_varies() -> None:
    """No error to divide by: the exact test stands in, which two seeds cannot make small."""
    constant = {seed: 2.0 for seed in BASE}
    same = against_baseline(cell("other", constant), baseline=cell("baseline", constant))
    assert (same.estimate, same.se, same.p, same.verdict, same.needed) == (0.0, 0.0, 1.0, "inconclusive", None)
    other = against_baseline(cell("other", {seed: 3.0 for seed in BASE}), baseline=cell("baseline", constant))
    assert (other.se, other.low, other.p, other.verdict) == (0.0, None, 0.25, "inconclusive")
    seven = {seed: 2.0 for seed in range(7)}
    sure = against_baseline(
        cell("other", {seed: 1.0 for seed in seven}, seeds=7), baseline=cell("baseline", seven, seeds=7)
    )
    assert (sure.p, sure.verdict) == (2 / 2**7, "helps")


@pytest.mark.parametrize("count", [0, 1])
def test_few_cells_are_no_error(count: int) -> None:
    found = compare([cell("baseline", BASE)][:count], metric="fid", baseline="baseline", asked=None)
    assert (found.family, found.pool.sd, found.pool.check) == (0, None, None)
    assert [one.verdict for one in found.differences] == ["baseline"] * count


def test_an_unknown_cell_is_not_measured() -> None:
    found = compare([cell("a", BASE)], metric="fid", baseline=None, asked=[Asked("a", "gone", 0.1)])
    assert [one.verdict for one in found.differences] == ["not measured"]


def grid(sds: Sequence[float], seeds: int = 4, seed: int = 3) -> Comparison:
    noise = np.random.default_rng(seed).normal(size=(len(sds), seeds))
    cells = [
        cell(f"c{index}", dict(enumerate(np.exp(3 + sd * row).tolist())), seeds=seeds)
        for index, (sd, row) in enumerate(zip(sds, noise, strict=True))
    ]
    return compare(cells, metric="fid", baseline="c0", asked=None)


def test_a_loud_cell_leaves_the_pool_and_is_judged_by_its_own_spread() -> None:
    found = grid([0.1, 0.1, 0.1, 3.0, 0.1, 0.1])
    assert (found.pool.louder, found.pool.quieter) == (("c3",), ())
    assert found.pool.check is not None and found.pool.check.p < 0.01
    assert found.pool.sd is not None and found.pool.sd < 0.2
    loud, other = found.of("c3"), found.of("c1")
    assert loud is not None and (loud.error, loud.freedom) == ("own", 3)
    assert loud.se == pytest.approx(np.std(loud.by_seed, ddof=1) / 2)
    assert other is not None and other.freedom == found.pool.freedom == 12


def test_a_quiet_cell_leaves_the_pool_and_is_judged_by_its_error() -> None:
    found = grid([0.1, 0.1, 0.1, 1e-5, *[0.1] * 12], seeds=6)
    assert (found.pool.louder, found.pool.quieter) == ((), ("c3",))
    quiet = found.of("c3")
    assert quiet is not None and quiet.freedom == found.pool.freedom == 14 * 5
    assert found.pool.sd is not None and quiet.se is not None and quiet.se >= found.pool.sd / math.sqrt(3) - 1e-12


def test_equal_variances_are_left_alone() -> None:
    found = grid([0.1] * 6)
    assert (found.pool.louder, found.pool.quieter, len(found.pool.cells)) == ((), (), 6)


def test_the_check_of_variances_is_an_exact_f_test() -> None:
    """Four cells at two seeds: a cell's share is that of its difference against the mean of the others'."""
    x = {"a": {0: 1.0, 1: 2.4}, "b": {0: 2.0, 1: 2.1}, "c": {0: 3.0, 1: 2.9}, "d": {0: 3.0, 1: 3.1}}
    slope = {name: of_seed[1] - of_seed[0] for name, of_seed in x.items()}
    tails = []
    for name, mine in slope.items():
        others = [value for other, value in slope.items() if other != name]
        ratio = (mine - np.mean(others)) ** 2 / (1 + 1 / 3) / np.var(others, ddof=1)
        tails += [scipy.stats.f.sf(ratio, 1, 2), scipy.stats.f.cdf(ratio, 1, 2)]
    found = pooled(x)
    assert found.check is not None
    assert found.check.p == pytest.approx(8 * min(tails)) and found.check.p < 0.25
    assert (found.louder, found.cells) == (("a",), ("b", "c", "d"))
    assert (found.check.cell, found.check.freedom, found.check.rest_freedom, found.check.tests) == ("a", 1, 2, 8)
    assert scipy.stats.f.sf(found.check.ratio, 1, 2) == pytest.approx(min(tails))
    bartlett = scipy.stats.bartlett(*(list(of_seed.values()) for of_seed in x.values()))
    assert found.check.p_bartlett == pytest.approx(bartlett.pvalue)
    without = pooled(x | {"e": {0: 1.0, 1: 1.0}}).check
    assert without is not None and without.p_bartlett is None, "one does not vary"
    del x["d"]
    assert (pooled(x).check, pooled(x).louder) == (None, ())


def test_seed_correlation_tells_whether_pairing_is_worth_anything() -> None:
    generator = np.random.default_rng(0)
    for correlation in (0.0, 0.8):
        shared = math.sqrt(correlation) * generator.normal(size=400)
        noise = math.sqrt(1 - correlation) * generator.normal(size=(6, 400))
        found = pooled({f"c{index}": dict(enumerate(row.tolist())) for index, row in enumerate(shared + noise)})
        assert found.seed_correlation == pytest.approx(correlation, abs=0.06)


def test_components_are_those_of_one_way_random_effects() -> None:
    """By hand: the mean squares between and within seeds."""
    values = np.array([[3.0, 5.0, 4.0], [9.0, 8.0, 13.0], [6.0, 6.0, 3.0]])
    found = components(cell("a", dict(enumerate(values.tolist()))), "linear")
    within = ((values - values.mean(1, keepdims=True)) ** 2).sum() / 6
    between = 3 * values.mean(1).var(ddof=1)
    assert found is not None and (found.seeds, found.repeats) == (3, (3, 3))
    assert found.sd_repeats == pytest.approx(math.sqrt(within))
    assert found.sd_seeds == pytest.approx(math.sqrt((between - within) / 3))


def test_components_without_replication() -> None:
    single = components(cell("a", {0: 3.0, 1: 5.0}), "linear")
    assert single is not None and (single.sd_repeats, single.sd_seeds) == (None, pytest.approx(math.sqrt(2)))
    noisy = components(cell("a", {0: [1.0, 9.0], 1: [9.0, 1.0]}), "linear")
    assert noisy is not None and noisy.sd_seeds == 0.0
    one = components(cell("a", {0: [1.0, 9.0]}), "log")
    assert one is not None and one.sd_seeds is None
    assert one.sd_repeats == pytest.approx(np.std(np.log([1.0, 9.0]), ddof=1))
    assert components(cell("a", {}), "linear") is None


def test_holm_is_the_step_down_procedure() -> None:
    """By hand: 4 x 0.005, 3 x 0.01, 2 x 0.03, then not below the one before."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert holm([0.9, 0.8]) == (1.0, 1.0)
    assert holm([]) == ()


@pytest.mark.parametrize("differences", [[0.3, 0.1, -0.2], [1.0, 1.0], [0.5, -0.5, 0.1, 0.7, -0.9, 0.4]])
def test_sign_flip_is_exact(differences: list[float]) -> None:
    """Against every pattern, one after the other."""
    sums = [
        sum(s * d for s, d in zip(signs, differences, strict=True))
        for signs in product((1, -1), repeat=len(differences))
    ]
    expected = np.mean([abs(value) >= abs(sum(differences)) - 1e-9 for value in sums])
    assert sign_flip(differences) == expected
    least = least_sign_flip(len(differences))
    assert least is not None and sign_flip([1.0] * len(differences)) == least == 2 / 2 ** len(differences)


def test_sign_flip_where_it_says_nothing() -> None:
    assert sign_flip([0.0, 0.0]) == 1.0
    assert sign_flip([1.0]) is None and least_sign_flip(1) is None
    assert sign_flip([1.0] * (MOST_FLIPPED + 1)) is None
    assert sign_flip([1.0] * MOST_FLIPPED) == least_sign_flip(MOST_FLIPPED)


def claimed(values: Mapping[int, float], smallest: float, metric: str = "fid") -> Difference:
    cells = [cell("baseline", BASE), cell("other", values)]
    (found,) = compare(cells, metric=metric, baseline=None, asked=[Asked("other", "baseline", smallest)]).differences
    return found


def test_the_smallest_effect_is_a_share_of_ratio_metrics() -> None:
    assert claimed(scaled(1.01), 0.1).smallest_effect == pytest.approx(math.log(1.1))
    assert claimed(scaled(1.01), 0.1, "kid").smallest_effect == 0.1
    fallen_back = claimed({0: 0.0, 1: 20.0}, 0.1)
    assert fallen_back.scale == "linear"
    assert fallen_back.smallest_effect == pytest.approx(0.1 * np.mean(list(BASE.values())))


def test_no_difference_that_matters_is_two_one_sided_tests() -> None:
    """The 90 % interval within the margin: scipy's two one-sided tests, both at 5 %."""
    values = {0: 30.5, 1: 33.2, 2: 28.6}
    differences = np.log(list(values.values())) - np.log(list(BASE.values()))
    answers = set()
    for smallest in (0.01, 0.02, 0.03, 0.04, 0.05, 0.1):
        margin = math.log1p(smallest)
        below = scipy.stats.ttest_1samp(differences, margin, alternative="less").pvalue
        above = scipy.stats.ttest_1samp(differences, -margin, alternative="greater").pvalue
        found = claimed(values, smallest)
        assert found.within_smallest == (max(below, above) <= 0.05)
        assert found.needed is None or not found.within_smallest
        answers.add(found.within_smallest)
    assert answers == {True, False}
    assert claimed({0: 3.0}, 0.1).within_smallest is None


@pytest.mark.parametrize(("of_cell", "of_baseline"), [(1, 0), (0, 1)])
def test_nothing_is_ruled_out_where_runs_diverged(of_cell: int, of_baseline: int) -> None:
    base = cell("baseline", BASE, seeds=4, diverged=of_baseline)
    other = cell("other", scaled(1.001), seeds=4, diverged=of_cell)
    found = compare([base, other], metric="fid", baseline="baseline", asked=[Asked("other", "baseline", 0.9)]).of(
        "other"
    )
    assert found is not None and found.smallest_effect is not None and found.within_smallest is None
    assert (found.diverged, found.against_diverged, found.against_seeds) == (of_cell, of_baseline, 4)


@pytest.mark.parametrize(
    "base",
    [cell("baseline", {0: 30.0}, diverged=2), cell("baseline", {0: 30.0}), cell("baseline", BASE, seeds=4, diverged=1)],
)
def test_all_diverged_hurts_only_beside_two_seeds_that_did_not(base: CellValues) -> None:
    assert against_baseline(cell("other", {}, diverged=3), baseline=base).verdict == "not measured"


def test_a_diverged_run_with_a_value_that_is_not_finite_is_one_run() -> None:
    found = against_baseline(cell("other", {0: math.nan}, seeds=2, diverged=1))
    assert (found.diverged, found.verdict) == (1, "not measured")


def test_no_seeds_are_promised_where_a_diverged_run_bars_the_verdict() -> None:
    near = {0: 29.5, 1: 32.9, 2: 28.4}
    barred, open_ = (
        against_baseline(cell("other", near, seeds=4, diverged=n), baseline=cell("baseline", BASE, seeds=4))
        for n in (1, 0)
    )
    assert barred.verdict == open_.verdict == "inconclusive" and barred.p_holm == open_.p_holm
    assert barred.is_barred and barred.needed is None
    assert not open_.is_barred and open_.needed is not None


@pytest.mark.parametrize(
    ("own", "lost", "other", "minutes"),
    [
        ((0, 1), (), (0, 1), 4.0),  # a run of either
        ((0, 1), (2, 3), (0, 1, 2, 3), 4.0),  # what diverged never gets a value
        ((0, 1), (), (0, 1, 2, 3), 2.0),  # one of the two seeds that the other has
        ((0, 1, 7), (), (0, 1, 8), 2.0),  # one run makes one of them shared
    ],
)
def test_missing_runs_are_those_until_so_many_seeds_are_shared(
    own: tuple[int, ...], lost: tuple[int, ...], other: tuple[int, ...], minutes: float
) -> None:
    one = CellValues("one", {seed: [1.0] for seed in own}, 4, len(lost), 2.0, frozenset(lost))
    two = CellValues("two", {seed: [1.0] for seed in other}, 4, 0, 2.0)
    found = seeds_needed(StandingTest(1.0, 3.0, 2, 0.05), 12.0, one, two)
    assert found is not None and found.low == 3 and found.minutes_low == minutes


def test_nothing_varies_over_many_seeds() -> None:
    seeds = range(MOST_FLIPPED + 1)
    base, other = (
        cell(name, dict.fromkeys(seeds, value), seeds=21) for name, value in (("baseline", 1.0), ("other", 2.0))
    )
    found = against_baseline(other, baseline=base)
    assert (found.p, found.verdict) == (2.0**-20, "hurts")


def test_the_luck_of_seeds_is_tested_beside_their_correlation() -> None:
    """Against the F test of a two-way analysis of variance by hand."""
    x = np.random.default_rng(4).normal(size=(4, 3)) + np.array([0.0, 2.0, -2.0])
    found = pooled({f"c{index}": dict(enumerate(row)) for index, row in enumerate(x.tolist())})
    residuals = x - x.mean(1, keepdims=True) - x.mean(0) + x.mean()
    ratio = 4 * ((x.mean(0) - x.mean()) ** 2).sum() / 2 / ((residuals**2).sum() / 6)
    assert found.p_seeds == pytest.approx(scipy.stats.f.sf(ratio, 2, 6))
