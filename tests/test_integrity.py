"""A report is refused where a file is not what its run committed; what is gone, or under way, is no lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from report_data import SHA, live, report, small_plan, write_samples

from harness.design.expansion import Plan
from harness.errors import EvidenceError
from harness.store import atomic
from harness.store.evaluations import write_evaluation
from harness.store.locks import held
from harness.store.rundir import RunDirectory, experiment_directory
from harness.tracking.integrity import require_intact
from harness.tracking.reader import ExperimentView, RunView, read_experiment
from harness.tracking.snapshot import read_snapshot


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    found = small_plan(grid=[], report={"samples": 16, "sections": ["comparison", "samples", "problems"]})
    live(found, tmp_path / "runs")
    return found


def first_run(plan: Plan, tmp_path: Path) -> tuple[RunView, RunDirectory]:
    run = read_experiment(plan, tmp_path / "runs").runs[0]
    assert run.directory is not None
    return run, run.directory


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def snapshot(plan: Plan, tmp_path: Path) -> ExperimentView:
    return read_snapshot(plan, tmp_path / "runs")


def evaluation_file(run: RunView, directory: RunDirectory, step: int) -> Path:
    assert run.protocols[0] is not None
    return directory.evaluation(step, run.protocols[0].sha256)


Change = Callable[[RunView, RunDirectory], Path]


def damaged_checkpoint(run: RunView, directory: RunDirectory) -> Path:
    flip(directory.checkpoint(200))
    return directory.checkpoint(200)


def other_checkpoint(run: RunView, directory: RunDirectory) -> Path:
    """Whole, with a note that fits, but another one than was committed."""
    atomic.write_hashed(directory.checkpoint(400), b"other weights")
    return directory.checkpoint(400)


def damaged_records(run: RunView, directory: RunDirectory) -> Path:
    flip(directory.metrics)
    return directory.metrics


def damaged_evaluation(run: RunView, directory: RunDirectory) -> Path:
    flip(evaluation_file(run, directory, 400))
    return evaluation_file(run, directory, 400)


def evaluation_of_another(run: RunView, directory: RunDirectory) -> Path:
    evaluation = run.evaluation(0, 400)
    assert evaluation is not None
    write_evaluation(directory, replace(evaluation, checkpoint_sha256=SHA))
    return evaluation_file(run, directory, 400)


def evaluation_under_a_false_name(run: RunView, directory: RunDirectory) -> Path:
    evaluation_file(run, directory, 400).write_bytes(evaluation_file(run, directory, 200).read_bytes())
    return evaluation_file(run, directory, 400)


def picture_of_another(run: RunView, directory: RunDirectory) -> Path:
    write_samples(directory.samples(400), run.run.key, 400, SHA, 16)
    return directory.samples(400)


def damaged_picture(run: RunView, directory: RunDirectory) -> Path:
    flip(directory.samples(200))
    return directory.samples(200)


def damaged_networks(run: RunView, directory: RunDirectory) -> Path:
    flip(directory.networks)
    return directory.networks


def damaged_real_images(run: RunView, directory: RunDirectory) -> Path:
    path = experiment_directory(directory.root.parent.parent, "small").real_images(16)
    flip(path)
    return path


CHANGES = [
    damaged_checkpoint, other_checkpoint, damaged_records, damaged_evaluation, evaluation_of_another,
    evaluation_under_a_false_name, picture_of_another, damaged_picture, damaged_networks, damaged_real_images,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_no_report_is_made_of_what_does_not_match(plan: Plan, tmp_path: Path, change: Change) -> None:
    report(plan, tmp_path / "runs", tmp_path / "report")
    before = (tmp_path / "report" / "report.md").read_bytes()
    path = change(*first_run(plan, tmp_path))
    with pytest.raises(EvidenceError) as refused:
        report(plan, tmp_path / "runs", tmp_path / "report")
    assert refused.value.where == str(path)
    assert refused.value.exit_code == 1
    assert "harness run FILE" in refused.value.remedy
    assert (tmp_path / "report" / "report.md").read_bytes() == before  # the one that was true stays


def test_the_files_after_the_first_are_named_too(plan: Plan, tmp_path: Path) -> None:
    run, directory = first_run(plan, tmp_path)
    paths = [directory.checkpoint(200), directory.checkpoint(400), directory.samples(200), directory.samples(400)]
    for path in (*paths, directory.metrics, evaluation_file(run, directory, 200)):
        flip(path)
    with pytest.raises(EvidenceError) as refused:
        require_intact(snapshot(plan, tmp_path))
    assert refused.value.where == str(directory.metrics)
    assert str(directory.checkpoint(400)) in refused.value.what
    assert "and 1 more" in refused.value.what


def test_a_run_that_a_process_works_on_is_left_alone(plan: Plan, tmp_path: Path) -> None:
    """It may be about to replace the file."""
    _, directory = first_run(plan, tmp_path)
    view = snapshot(plan, tmp_path)
    flip(directory.checkpoint(200))
    with held(directory.lock, timeout_s=1.0) as mine:
        assert mine
        require_intact(view)  # it began after the files were read
        assert snapshot(plan, tmp_path).runs[0].status.state == "running"
        require_intact(snapshot(plan, tmp_path))
    with pytest.raises(EvidenceError):
        require_intact(view)


def test_a_checkpoint_that_is_gone_takes_nothing_back(plan: Plan, tmp_path: Path) -> None:
    """Somebody removed it to save space: its evaluation and its hash are there."""
    before = report(plan, tmp_path / "runs", tmp_path / "report")
    run, directory = first_run(plan, tmp_path)
    directory.checkpoint(400).unlink()
    assert "checkpoints/step-000400" in read_experiment(plan, tmp_path / "runs").runs[0].status.reason  # `status` says
    assert report(plan, tmp_path / "runs", tmp_path / "report") == before
    found = atomic.read_json(tmp_path / "report" / "report.json")
    sources = [source for number in found["numbers"] for source in number["sources"] if source["key"] == run.run.key]
    assert {source["step"] for source in sources} == {200, 400}
    assert {source["checkpoint_sha256"] for source in sources} == set(run.checkpoints().values())


def test_later_steps_than_the_file_asks_for_are_checked_as_well(plan: Plan, tmp_path: Path) -> None:
    """They are of the same commit, and steps may be raised again."""
    _, directory = first_run(plan, tmp_path)
    flip(directory.checkpoint(400))
    lowered = small_plan(grid=[], training={"steps": 200, "log_every": 10, "checkpoint_every": 200})
    with pytest.raises(EvidenceError, match="step-000400"):
        require_intact(read_snapshot(lowered, tmp_path / "runs"))
