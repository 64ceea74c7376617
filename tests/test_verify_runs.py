"""`harness report --verify` with the runs at hand: each kind of forged number is found, though all hashes fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from verify_parts import planned, rewrite, told, verified

from harness.store.attempts import begin_attempt, end_attempt
from harness.store.evaluations import write_evaluation
from harness.tracking.reader import read_experiment

pytest_plugins = ["verify_fixtures"]


def first_source(document: dict[str, Any]) -> dict[str, Any]:
    source: dict[str, Any] = document["numbers"][0]["sources"][0]
    return source


def better_value(document: dict[str, Any]) -> None:
    first_source(document)["values"][0] -= 10


def better_mean(document: dict[str, Any]) -> None:
    document["numbers"][0]["mean_over_seeds"] -= 10


def smaller_spread(document: dict[str, Any]) -> None:
    document["numbers"][0]["sd_over_seeds"] /= 2


def other_checkpoint(document: dict[str, Any]) -> None:
    first_source(document)["checkpoint_sha256"] = "ab" * 32


def other_run(document: dict[str, Any]) -> None:
    first_source(document)["key"] = "cd" * 32


def other_protocol(document: dict[str, Any]) -> None:
    document["columns"][0]["protocol"]["samples"] *= 10


def lower_floor(document: dict[str, Any]) -> None:
    floor = document["columns"][0]["floor"]
    floor["values"] = [value / 2 for value in floor["values"]]
    floor["mean"] /= 2


def other_records(document: dict[str, Any]) -> None:
    document["crossings"][0]["metrics_sha256"] = "ef" * 32


def fewer_steps_of_records(document: dict[str, Any]) -> None:
    document["crossings"][0]["records_to_step"] += 5


def number_of(document: dict[str, Any], column: str, cell: str, step: int) -> dict[str, Any]:
    return next(
        number
        for number in document["numbers"]
        if (number["column"], number["cell"], number["step"]) == (column, cell, step)
    )


def swapped_cells(document: dict[str, Any]) -> None:
    one, other = (number_of(document, "FID (digits)", cell, 200) for cell in ("baseline", "latent_dim=100"))
    one["cell"], other["cell"] = other["cell"], one["cell"]


def swapped_steps(document: dict[str, Any]) -> None:
    one, other = (number_of(document, "FID (digits)", "baseline", step) for step in (200, 400))
    one["step"], other["step"] = other["step"], one["step"]


def no_numbers(document: dict[str, Any]) -> None:
    document["numbers"] = []


def best_repeat_alone(document: dict[str, Any]) -> None:
    """Everything that follows from the values is made to fit."""
    number = number_of(document, "FID (digits)", "baseline", 400)
    for source in number["sources"]:
        source["values"] = source["values"][:1]
    first = [source["values"][0] for source in number["sources"]]
    number |= {"mean_over_seeds": fmean(first), "sd_over_seeds": stdev(first), "sd_over_repeats": None}
    number["mean_over_floor"] = fmean(first) / document["columns"][0]["floor"]["mean"]


def nearer_to_the_floor(document: dict[str, Any]) -> None:
    number_of(document, "FID (digits)", "baseline", 400)["mean_over_floor"] = 1.0


def smaller_standard_error(document: dict[str, Any]) -> None:
    number_of(document, "KID (digits)", "baseline", 400)["sources"][0]["standard_error"] /= 2


def floor_of_less_spread(document: dict[str, Any]) -> None:
    document["columns"][0]["floor"]["sd_over_splits"] /= 2


def fewer_of_a_class(document: dict[str, Any]) -> None:
    document["classes"][0]["counts"][0] = 0


def other_counts_of_classes(document: dict[str, Any]) -> None:
    """With sums that fit."""
    entry = document["classes"][0]
    entry["sources"][0]["class_counts"][0][0] += 5
    entry["counts"][0] += 5


def more_crossings(document: dict[str, Any]) -> None:
    document["crossings"][0]["count"] += 1


def run_of(document: dict[str, Any], state: str) -> dict[str, Any]:
    return next(run for run in document["runs"] if run["state"] == state)


def other_seed(document: dict[str, Any]) -> None:
    run_of(document, "complete")["seed"] = 7


def further_step(document: dict[str, Any]) -> None:
    run_of(document, "complete")["step"] += 100


def divergence_made_a_success(document: dict[str, Any]) -> None:
    run_of(document, "diverged")["state"] = "complete"


def success_made_a_divergence(document: dict[str, Any]) -> None:
    run_of(document, "complete")["state"] = "diverged"


FORGERIES = [
    better_value, better_mean, smaller_spread, other_checkpoint, other_run, other_protocol, lower_floor, other_records,
    fewer_steps_of_records, swapped_cells, swapped_steps, no_numbers, best_repeat_alone, nearer_to_the_floor,
    smaller_standard_error, floor_of_less_spread, fewer_of_a_class, other_counts_of_classes, more_crossings, other_seed,
    further_step, divergence_made_a_success, success_made_a_divergence,
]  # fmt: skip


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_the_runs_contradict_a_forged_report(place: Path, forge: Callable[[dict[str, Any]], None]) -> None:
    rewrite(place, forge)
    assert verified(place, "nowhere").holds  # all of its hashes fit
    assert not verified(place).holds


def test_the_runs_are_read_themselves(place: Path) -> None:
    run = read_experiment(planned(), place / "runs").runs[0]
    assert run.directory is not None and run.protocols[0] is not None
    for path in (
        run.directory.checkpoint(200),
        run.directory.evaluation(400, run.protocols[0].sha256),
        run.directory.metrics,
    ):
        content = path.read_bytes()
        changed = bytearray(content)
        changed[len(changed) // 3] ^= 1
        path.write_bytes(changed)
        assert not verified(place).holds, path
        path.write_bytes(content)
    assert verified(place).holds
    run.directory.checkpoint(200).unlink()
    found = verified(place)
    assert found.holds and found.traced is not None
    assert (found.traced.gone, found.traced.checkpoints) == (1, 6)
    shutil.rmtree(run.directory.root)
    assert told(verified(place))["baseline, seed 0"] == "its run is not among the runs"


def better_p_value(document: dict[str, Any]) -> None:
    document["comparisons"][0]["differences"][0]["p_holm"] = 0.001


def better_verdict(document: dict[str, Any]) -> None:
    document["comparisons"][0]["differences"][0]["verdict"] = "helps"


@pytest.mark.parametrize("forge", [better_p_value, better_verdict], ids=lambda forge: forge.__name__)
def test_what_statistics_make_of_the_values_is_compared_with_file(
    place: Path, forge: Callable[[dict[str, Any]], None]
) -> None:
    rewrite(place, forge)
    assert told(verified(place, again=True)) == {"report.json": "is not what the runs give now"}


def test_a_run_that_went_on_since_is_no_contradiction(place: Path) -> None:
    """More repeats than the report asked for, and another attempt that diverged later."""
    run = read_experiment(planned(), place / "runs").runs[0]
    assert run.directory is not None
    evaluation = run.evaluation(0, 400)
    assert evaluation is not None
    write_evaluation(run.directory, evaluation.with_repeat(3, {"fid": 19.0}, None, seconds=1.0))
    begin_attempt(run.directory, step=400, machine={})
    end_attempt(run.directory, "diverged", step=500, reason="raised steps")
    assert verified(place).holds
