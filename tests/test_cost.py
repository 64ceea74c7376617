"""Cost: times from records, sizes of networks, and the price of a machine that runs share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from report_data import MACHINE, NETWORKS, Story, lived, prepare, section, small_plan, write_run

from harness.design.expansion import Plan
from harness.report.content import Content, gather
from harness.report.cost import cell_costs, cost_numbers, images_per_epoch, machine_time, mean_over, price
from harness.report.sections import cost
from harness.store.records import append_record
from harness.tracking.reader import ExperimentView, read_experiment

HEADER = "| Cell "


def rows(text: str) -> dict[str, list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    header, _, *body = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {"header": header, **{row[0]: row for row in body}}


def timed(plan: Plan, runs_dir: Path, spans: dict[str, list[tuple[float, float]]]) -> Content:
    """Runs whose attempts worked at these times, by `CELL seed N`."""
    prepare(plan, runs_dir, images=1797)
    for run in plan.runs:
        directory = write_run(run, plan, runs_dir, Story())
        directory.attempts.unlink()
        for start, end in spans.get(run.name, []):
            append_record(
                directory.attempts,
                {"event": "begin", "time": start, "step": 0, "machine": MACHINE, "work": "train and evaluate"},
            )
            append_record(
                directory.attempts,
                {
                    "event": "end", "time": end, "step": 400, "outcome": "finished", "reason": "",
                    "metrics_offset": None, "metrics_sha256": "",
                },
            )  # fmt: skip
    return gather(read_experiment(plan, runs_dir))


def one_cell(**changes: object) -> Plan:
    return small_plan(grid=[], report={"samples": 16, "sections": ["cost"]}, **changes)


def test_times_come_from_the_records_of_training(tmp_path: Path) -> None:
    """Ten steps take 0.1 s in every story: 0.01 s a step, 28 steps of 64 images in an epoch of 1797 images."""
    plan = one_cell()
    prepare(plan, tmp_path, images=1797)
    for run in plan.runs:
        write_run(run, plan, tmp_path, Story())
    content = gather(read_experiment(plan, tmp_path))
    (found,) = cell_costs(content)
    assert images_per_epoch(content, content.cells[0]) == 1797
    for name, expected in {"step_s": 0.01, "epoch_s": 0.28, "images_per_s": 6400.0, "training_s": 4.0}.items():
        over = found.over(name)
        assert over is not None and over.n == 2
        assert over.mean == pytest.approx(expected) and over.sd == pytest.approx(0.0, abs=1e-9)
    assert found.over("measuring_s").mean == 2.0  # type: ignore[union-attr]  # one second at each of two checkpoints
    assert found.networks == NETWORKS


def test_discriminator_steps_and_limits_count_in_an_epoch(tmp_path: Path) -> None:
    plan = one_cell(baseline={"resolution": 16, "latent_dim": 16, "discriminator_steps": 2, "limit": 640})
    prepare(plan, tmp_path, images=1797)
    write_run(plan.runs[0], plan, tmp_path, Story())
    (found,) = cell_costs(gather(read_experiment(plan, tmp_path)))
    assert found.over("epoch_s").mean == pytest.approx(0.01 * 5)  # type: ignore[union-attr]
    assert found.over("images_per_s").mean == pytest.approx(12800.0)  # type: ignore[union-attr]


def test_runs_that_did_not_end_have_no_time_of_a_run(tmp_path: Path) -> None:
    plan = one_cell()
    text = section(lived(plan, tmp_path, {"baseline seed 1": Story("diverged", reached=200)}), "cost")
    row = rows(text)["baseline"]
    assert "To train a run took 4.0 s." in text and "mean ± SD over 2 runs each" in text
    assert row[3] == "4.00 (n = 1)" and row[4] == "2.00 (n = 1)"
    assert "(n = " not in row[2]


def test_the_table_names_sizes_and_prices_only_where_asked(tmp_path: Path) -> None:
    plain = rows(section(lived(one_cell(), tmp_path / "plain"), "cost"))
    assert plain["baseline"][5:] == ["16,784", "9,073", "67.5 KB", "36.5 KB"]
    assert "Price" not in " ".join(plain["header"])
    priced = section(lived(one_cell(cost={"per_hour": 36.0, "currency": "EUR"}), tmp_path / "priced"), "cost")
    assert rows(priced)["header"][-1] == "Price of a run (EUR)"
    assert "At 36 EUR an hour of the machine" in priced


def test_an_hour_of_the_machine_is_paid_once(tmp_path: Path) -> None:
    plan = one_cell(cost={"per_hour": 10.0})
    spans = {"baseline seed 0": [(0.0, 1800.0), (7200.0, 9000.0)], "baseline seed 1": [(0.0, 1800.0)]}
    content = timed(plan, tmp_path, spans)
    whole = machine_time(content)
    assert (whole.busy_s, whole.present_s, whole.most) == (3600.0, 5400.0, 2)
    assert whole.at_once == pytest.approx(1.5)
    assert price(content, whole.busy_s) == pytest.approx(10.0)
    text = cost.body(content, None)  # type: ignore[arg-type]  # it draws nothing
    assert rows(text)["baseline"][-1] == "5.00"
    assert "that is 10.0 USD" in text
    assert "1.5 were at work at the same time on average, 2 at most" in text


def test_machines_of_other_names_are_paid_each(tmp_path: Path) -> None:
    plan = one_cell()
    content = timed(plan, tmp_path, {run.name: [(0.0, 100.0)] for run in plan.runs})
    assert machine_time(content).busy_s == 100.0
    attempts = [run.view.status.attempts for run in content.runs]
    elsewhere = replace(attempts[1][0], machine=MACHINE | {"host": "elsewhere"})
    runs = list(content.view.runs)
    runs[1] = replace(runs[1], status=replace(runs[1].status, attempts=(elsewhere,)))
    view: ExperimentView = replace(content.view, runs=tuple(runs))
    whole = machine_time(gather(view))
    assert (whole.busy_s, whole.most) == (200.0, 1)


def test_a_killed_attempt_counts_until_its_last_record(tmp_path: Path) -> None:
    plan = one_cell(seeds=[0])
    content = timed(plan, tmp_path, {})
    directory = content.runs[0].view.directory
    assert directory is not None
    start = 1.7e9 + 100  # records of step 110 and later come after it
    append_record(
        directory.attempts,
        {"event": "begin", "time": start, "step": 100, "machine": MACHINE, "work": "train and evaluate"},
    )
    assert machine_time(gather(read_experiment(plan, tmp_path))).busy_s == pytest.approx(300.0)


def test_unlike_devices_are_said(tmp_path: Path) -> None:
    gpu = MACHINE | {"device": "NVIDIA H200", "threads": 4}
    text = section(lived(one_cell(), tmp_path, {"baseline seed 1": Story(machine=gpu)}), "cost")
    assert "cpu with 1 CPU thread (1 run), NVIDIA H200 with 4 CPU threads (1 run)" in text
    assert "Times on different devices do not compare" in text and "Means over different devices: baseline." in text


def test_what_is_not_noted_is_said(tmp_path: Path) -> None:
    plan = one_cell()
    lived(plan, tmp_path)
    for path in (tmp_path / "runs" / "small").glob("*/networks.json"):
        path.unlink()
    text = cost.body(gather(read_experiment(plan, tmp_path / "runs")), None)  # type: ignore[arg-type]
    assert "Sizes of the networks are not noted for: baseline." in text
    assert rows(text)["baseline"][5:] == ["–", "–", "–", "–"]


def test_nothing_begun_is_nothing_to_show(tmp_path: Path) -> None:
    content = gather(read_experiment(small_plan(), tmp_path))
    assert cost.body(content, None).startswith("Nothing to show yet")  # type: ignore[arg-type]


def test_the_evidence_names_every_run(tmp_path: Path) -> None:
    plan = one_cell()
    content = timed(plan, tmp_path, {run.name: [(0.0, 60.0)] for run in plan.runs})
    numbers = cost_numbers(content)
    assert [run["key"] for run in numbers["runs"]] == [run.key for run in plan.runs]
    assert numbers["networks"]["baseline"]["generator"] == {"parameters": 16_784, "weights_bytes": 67_524}
    assert numbers["machine_s"] == 60.0


def test_means_say_of_how_many() -> None:
    assert mean_over([]) is None
    one, two = mean_over([2.0]), mean_over([2.0, 4.0])
    assert one is not None and (one.mean, one.sd, one.n) == (2.0, None, 1)
    assert two is not None and (two.mean, two.n) == (3.0, 2) and two.sd == pytest.approx(2**0.5)
