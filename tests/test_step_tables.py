"""A metric at every checkpoint as numbers; what an extractor is; what a step is; how the cells' grids are titled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from report_data import Story, live, small_plan
from report_tables import rows_of

from harness.report.content import Content, gather
from harness.report.extractors import extractor_text, learned, metric_caveat, scale_note
from harness.report.picture_values import value_of
from harness.report.rounding import rounded, significant
from harness.report.settings import step_line, training_lines
from harness.report.step_tables import step_table, steps_shown
from harness.tracking.reader import read_experiment


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Content:
    folder = tmp_path_factory.mktemp("steps")
    plan = small_plan(training={"steps": 400, "log_every": 100, "checkpoint_every": 50})
    live(plan, folder, {"generator=mlp": Story("diverged", reached=200)})
    return gather(read_experiment(plan, folder))


def test_every_cell_has_its_mean_at_each_step(content: Content) -> None:
    column = content.columns[0]
    rows = rows_of(step_table(content, column))
    assert steps_shown(content, column) == ([50, 100, 200, 250, 350, 400], True)
    first = {one.step: one for one in content.of_cell(content.cells[0], column)}
    assert first[50].sd_repeats is not None
    assert (
        rows[0]["step 50"] == f"{rounded(first[50].mean, first[50].sd_seeds)} ({significant(first[50].sd_repeats, 2)})"
    )
    assert rows[0]["Since the checkpoint before"].startswith("× ")
    assert rows[3]["step 200"] != "–" == rows[3]["step 400"]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ((60.0, 55.0, 42.0), "× 0.76, still improving"),
        ((55.0, 75.0, 42.0), "× 0.56, swinging"),
        ((60.0, 55.0, 54.0), "× 0.98"),
        ((60.0, 75.0, 82.0), "× 1.09, farther again"),
        ((75.0, 42.0), "× 0.56, still improving"),
    ],
)
def test_how_a_cell_ended_is_told(content: Content, values: tuple[float, ...], told: str) -> None:
    column, cell = content.columns[0], content.cells[0]
    like = content.of_cell(cell, column)[0]
    measured = [
        replace(like, step=step, seeds=(0,), seed_means=(value,), mean=value, sd_seeds=None)
        for step, value in enumerate(values)
    ]
    changed = replace(content, measured=dict(content.measured) | {column.title: measured})
    assert rows_of(step_table(changed, column))[0]["Since the checkpoint before"] == told


def test_one_checkpoint_makes_no_table(content: Content, tmp_path: Path) -> None:
    plan = small_plan(grid=[], evaluation=[{"samples": 100, "repeats": 3, "at": "last"}])
    live(plan, tmp_path)
    alone = gather(read_experiment(plan, tmp_path))
    assert step_table(alone, alone.columns[0]) == ""


def test_a_picture_says_the_value_of_its_own_run(content: Content) -> None:
    cell = content.cells[0]
    values = content.run_values(cell.runs[1], content.columns[0])[400]
    assert value_of(content, cell, cell.runs[1], 400) == f"FID {sum(values) / len(values):.1f}"
    assert value_of(content, content.cells[3], content.cells[3].runs[0], 400) == ""


@pytest.mark.parametrize(
    ("block", "scale", "told"),
    [
        ({"extractor": "digits"}, "a small classifier of handwritten digits", "that ships with harness"),
        ({"extractor": "mnist"}, "compare with one another only", "that ships with harness"),
        ({"extractor": "inception"}, "compares with published values where", "with the weights of pytorch-fid"),
        ({"extractor": "inception", "unverified_weights": True}, "are not those of pytorch-fid", "not those of"),
        ({"extractor": "trained", "extractor_weights": "mine.safetensors"}, "`mine`", "harness extractor train"),
    ],
)
def test_whose_features_values_are_measured_in(tmp_path: Path, block: dict[str, object], scale: str, told: str) -> None:
    known = read_experiment(small_plan(grid=[], evaluation=[block | {"repeats": 3}]), tmp_path)
    found = gather(known)
    column = found.columns[0]
    if not block.get("unverified_weights"):  # of which nothing is known before they are there
        assert scale in scale_note(found, column) and told in extractor_text(found, column)
    assert learned(column) is None


def test_what_is_noted_of_weights_that_ship_is_told(tmp_path: Path) -> None:
    from harness.evaluation.extractor_weights import weights_sha256

    plan = small_plan(grid=[])
    live(plan, tmp_path)
    found = gather(read_experiment(plan, tmp_path))
    column = found.columns[0]
    assert column.protocol is not None and learned(column) is None  # made-up weights
    digest = weights_sha256(column.block.settings)
    shipped = replace(column, protocol=replace(column.protocol, extractor_sha256=digest))
    noted = learned(shipped)
    assert noted and (noted.train, noted.held_out, noted.pixels) == (1348, 449, 16) and noted.accuracy > 0.95
    assert f"{100 * noted.accuracy:.1f} % right on the 449 others at 16 × 16 pixels" in extractor_text(found, shipped)
    score = replace(shipped, metric="inception_score")
    assert "at most 10" in metric_caveat(found, score)


def test_a_step_is_told_and_counted_in_epochs(tmp_path: Path) -> None:
    plan = small_plan(grid=[], data={"source": "digits"}, baseline={"resolution": 16, "discriminator_steps": 2})
    found = gather(read_experiment(plan, tmp_path))
    assert step_line(found) == (
        "A step is 2 updates of the discriminator, then 1 update of the generator, each on a batch of 64 images."
    )
    mixed = small_plan(grid=[], cell=[{"name": "slow", "generator_steps": 3}])
    assert "cells differ in these" in step_line(gather(read_experiment(mixed, tmp_path)))
    assert any(line.startswith("Training: 400 steps") for line in training_lines(found))
