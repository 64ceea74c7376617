"""Tidy frames and the summary made from them: the right mean over the right things, with the n of each."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from harness.analysis.frame import EVALUATION_COLUMNS, RunEvaluations, evaluation_frame
from harness.analysis.summary import count_states, measurements, summarize


def run(seed: int, evaluations: dict[int, list[float]], cell: str = "a") -> RunEvaluations:
    by_step = {step: {"fid": values} for step, values in evaluations.items()}
    return RunEvaluations(cell, seed, f"key {cell} {seed}", evaluations={"digits": by_step})


def test_evaluation_frame_has_a_row_per_repeat() -> None:
    frame = evaluation_frame([run(1, {200: [3.0, 5.0]})])
    assert frame.values.tolist() == [
        ["a", 1, "key a 1", "digits", 200, 0, "fid", 3.0],
        ["a", 1, "key a 1", "digits", 200, 1, "fid", 5.0],
    ]


def test_frames_of_nothing_keep_their_columns() -> None:
    assert list(evaluation_frame([]).columns) == list(EVALUATION_COLUMNS)
    assert measurements(evaluation_frame([])) == []


def test_mean_weighs_seeds_not_repeats() -> None:
    """Seed 0 has four repeats, seed 1 one: a pooled mean would be 2.8, that over seeds is 5.5."""
    (found,) = measurements(evaluation_frame([run(0, {200: [0.0, 2.0, 0.0, 2.0]}), run(1, {200: [10.0]})]))
    assert found.mean == 5.5
    assert found.sd_seeds == pytest.approx(9 / np.sqrt(2))
    assert found.sd_repeats == pytest.approx(np.sqrt(4 / 3))  # seed 1 has no spread over repeats to pool
    assert (found.seeds, found.seed_means, found.repeats) == ((0, 1), (1.0, 10.0), (1, 4))


def test_sd_over_repeats_is_pooled_within_seeds() -> None:
    """Seeds far apart must not widen it."""
    (found,) = measurements(evaluation_frame([run(0, {200: [1.0, 3.0]}), run(1, {200: [101.0, 105.0]})]))
    assert found.sd_repeats == pytest.approx(np.sqrt((2.0 + 8.0) / 2))


def test_one_seed_has_no_spread_over_seeds_and_one_repeat_none_over_repeats() -> None:
    (found,) = measurements(evaluation_frame([run(0, {200: [4.0]})]))
    assert (found.mean, found.sd_seeds, found.sd_repeats) == (4.0, None, None)


def test_last_is_what_compares_and_best_is_told_apart() -> None:
    by_step = {100: [9.0, 9.0], 200: [3.0, 3.0], 300: [5.0, 5.0]}
    found = measurements(evaluation_frame([run(seed, by_step) for seed in (0, 1)]))
    summary = summarize(found)
    assert summary is not None
    assert summary.best is not None
    assert (summary.last.step, summary.last.mean, summary.best.step) == (300, 5.0, 200)


def test_best_is_chosen_on_even_repeats_and_reported_on_odd_ones() -> None:
    """Step 200 is the lowest by its lucky even repeats; what is reported is what the others say of it."""
    by_step = {100: [4.0, 2.0, 4.0], 200: [1.0, 7.0, 2.0], 300: [5.0, 1.0, 5.0]}
    summary = summarize(measurements(evaluation_frame([run(0, by_step), run(1, {100: [4.0, 2.0], **by_step})])))
    assert summary is not None and summary.best is not None
    assert (summary.best.step, summary.best.chosen_by, summary.best.mean) == (200, 1.5, 7.0)
    assert summary.best.seeds == (0, 1)


def test_halves_of_repeats_weigh_seeds_alike() -> None:
    (found,) = measurements(evaluation_frame([run(0, {200: [0.0, 10.0, 2.0, 30.0]}), run(1, {200: [5.0, 40.0]})]))
    assert (found.even_mean, found.odd_mean) == ((1.0 + 5.0) / 2, (20.0 + 40.0) / 2)


def test_there_is_no_best_where_nothing_is_left_to_report_it_on() -> None:
    summary = summarize(measurements(evaluation_frame([run(0, {100: [9.0], 200: [3.0]})])))
    assert summary is not None and summary.best is None
    seeds = [run(0, {100: [9.0, 9.0]}), run(1, {100: [9.0]})]
    summary = summarize(measurements(evaluation_frame(seeds)))
    assert summary is not None and summary.best is None


@pytest.mark.parametrize(("metric", "step"), [("kid", 200), ("recall", 100), ("nearest_ratio", None)])
def test_best_follows_the_metrics_own_direction(metric: str, step: int | None) -> None:
    found = RunEvaluations(
        "a", 0, "key", {"digits": {100: {metric: [9.0] * 2}, 200: {metric: [3.0] * 2}, 300: {metric: [5.0] * 2}}}
    )
    summary = summarize(measurements(evaluation_frame([found])))
    assert summary is not None and summary.last.step == 300
    assert (summary.best.step if summary.best else None) == step


def test_best_is_not_a_checkpoint_of_fewer_seeds() -> None:
    """Step 100 is lowest only because the worse seed was not measured there."""
    found = measurements(evaluation_frame([run(0, {100: [1.0] * 2, 200: [2.0] * 2}), run(1, {200: [8.0] * 2})]))
    summary = summarize(found)
    assert summary is not None and summary.best is not None and summary.best.step == 200


def test_cells_blocks_and_steps_are_kept_apart() -> None:
    found = measurements(evaluation_frame([run(0, {100: [1.0]}, "b"), run(0, {200: [2.0], 100: [3.0]}, "a")]))
    assert [(one.cell, one.step, one.mean) for one in found] == [("b", 100, 1.0), ("a", 100, 3.0), ("a", 200, 2.0)]
    assert summarize([]) is None


def test_states_are_counted() -> None:
    counts = count_states(["complete", "diverged", "pending", "running", "failed"])
    assert (counts.runs, counts.complete, counts.diverged, counts.failed, counts.unfinished) == (5, 1, 1, 1, 2)


def test_analysis_and_report_load_neither_torch_nor_mlflow() -> None:
    code = (
        "import sys, harness.report.render; "
        "print([name for name in ('torch', 'torchvision', 'mlflow') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
