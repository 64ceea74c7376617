"""Whether cells were still learning at their last checkpoints, in numbers and in sentences."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_data import Story, small_plan
from report_tables import content_of

from harness.analysis.summary import Measurement
from harness.analysis.unfinished import unfinished
from harness.report.unfinished import unfinished_text


def measured(cell: str, *steps: dict[int, float], metric: str = "fid") -> list[Measurement]:
    """A measurement per checkpoint, each of values by seed."""
    return [
        Measurement(
            cell, "digits", metric, 100 * place, tuple(values), tuple(values.values()),
            sum(values.values()) / len(values), None, None, (1, 1),
        )
        for place, values in enumerate(steps, start=1)
    ]  # fmt: skip


def test_changes_are_ratios_over_the_seeds_that_both_checkpoints_have() -> None:
    (one,) = unfinished({"a": measured("a", {0: 400.0}, {0: 100.0, 1: 50.0}, {0: 50.0, 1: 40.0, 2: 1.0})}).improving
    assert one.since_before == pytest.approx((0.5 * 0.8) ** 0.5) and one.since_first == pytest.approx(50 / 400)
    assert (one.before_step, one.step, one.before, one.first, one.last) == (200, 300, 75.0, 400.0, 50.0)


@pytest.mark.parametrize(("last", "counts"), [(94.0, 1), (96.0, 0), (110.0, 0)])
def test_five_percent_closer_is_still_on_its_way(last: float, counts: int) -> None:
    assert len(unfinished({"a": measured("a", {0: 100.0}, {0: last})}).improving) == counts


def test_for_a_metric_where_higher_is_closer_a_rise_is_an_improvement() -> None:
    found = unfinished({
        "up": measured("up", {0: 2.0}, {0: 4.0}, metric="inception_score"),
        "down": measured("down", {0: 4.0}, {0: 2.0}, metric="inception_score"),
    })  # fmt: skip
    assert [one.cell for one in found.improving] == ["up"] and found.median == pytest.approx(2.0)


def test_what_hardly_changed_and_is_far_from_the_others_has_not_begun() -> None:
    """A cell as good as the others may have been there by its first checkpoint."""
    cells = {"good": [20.0, 19.5], "noise": [2500.0, 2470.0], "moving": [900.0, 600.0]}
    by_cell = {cell: measured(cell, *({0: value} for value in values)) for cell, values in cells.items()}
    assert [one.cell for one in unfinished(by_cell).stuck] == ["noise"]
    assert [one.cell for one in unfinished(by_cell, floor=300.0).stuck] == [], "near to real images by the floor"
    alone = {"noise": by_cell["noise"]}
    assert unfinished(alone).stuck == () and len(unfinished(alone, floor=8.0).stuck) == 1


def test_what_has_no_ratio_or_no_direction_is_left_out() -> None:
    assert unfinished({"a": measured("a", {0: -1.0}, {0: 2.0}, metric="kid")}).measured == 0
    assert unfinished({"a": measured("a", {0: 3.0}, {0: 1.0}, metric="nearest_ratio")}).improving == ()
    assert unfinished({"a": measured("a", {0: 3.0})}).measured == 0
    assert unfinished({}).measured == 0


def test_the_sentence_says_in_how_many_cells_and_by_how_much(tmp_path: Path) -> None:
    """The made-up FID falls by a quarter between the two checkpoints."""
    content = content_of(small_plan(), tmp_path)
    told = unfinished_text(content, content.columns[0])
    start = "FID was still falling at the last checkpoint in 4 of 4 cells (median × 0.6"
    assert told.startswith(start) and told.endswith("this compares how fast cells learn, not where they end.")


def test_nothing_is_said_of_one_checkpoint(tmp_path: Path) -> None:
    content = content_of(small_plan(training={"steps": 400, "log_every": 10, "checkpoint_every": 400}), tmp_path)
    assert unfinished_text(content, content.columns[0]) == ""


def test_the_few_that_still_move_are_named_and_so_are_those_that_never_did(tmp_path: Path) -> None:
    from test_findings import found_in

    steps = {"training": {"steps": 4000, "log_every": 100, "checkpoint_every": 400}}
    stories = {name: Story(reached=4000, fid=200) for name in ("baseline", "latent_dim=100", "normalization=none")}
    content = content_of(
        small_plan(**steps, seeds=[0]), tmp_path, stories | {"generator=mlp": Story(reached=800, fid=200)}
    )
    told = unfinished_text(content, content.columns[0])
    assert (
        "FID was still improving at the last checkpoint in 1 of 4 cells, so where it ends is open: generator=mlp ("
        in told
    )
    assert "since step 400)" in told and told in found_in(content)
