"""When a report is written again: what it was made from, and whether it is still as it was written."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from report_data import live, paint_nothing, small_plan
from run_files import read_only_view

from harness.cli import reporting
from harness.cli.reporting import current_report, report_is_current, write_report
from harness.design.expansion import Plan
from harness.errors import StoreError
from harness.report import render
from harness.report.form import ReportForm
from harness.store import atomic
from harness.store.attempts import begin_attempt, end_attempt
from harness.store.evaluations import Evaluation, write_evaluation
from harness.store.rundir import ExperimentDirectory, RunDirectory, experiment_directory
from harness.tracking.reader import ExperimentView, read_experiment
from harness.tracking.report_files import EVIDENCE, LOCK


@pytest.fixture(autouse=True)
def _unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    paint_nothing(monkeypatch)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    sections = ["comparison", "samples", "loss-crossings", "settings", "reproduce"]
    found = small_plan(grid=[], report={"samples": 16, "sections": sections})
    live(found, tmp_path / "runs")
    return found


def view(plan: Plan, tmp_path: Path) -> ExperimentView:
    return read_experiment(plan, tmp_path / "runs")


def directory(tmp_path: Path) -> ExperimentDirectory:
    return experiment_directory(tmp_path / "runs", "small")


def test_a_fresh_report_is_current_and_any_changed_file_of_it_is_not(plan: Plan, tmp_path: Path) -> None:
    output = tmp_path / "report"
    assert not report_is_current(view(plan, tmp_path), output)
    write_report(plan, directory(tmp_path), output)
    assert report_is_current(view(plan, tmp_path), output)
    own = sorted(path for path in output.rglob("*") if path.is_file() and not path.name.startswith("."))
    assert {path.suffix for path in own} == {".md", ".html", ".csv", ".tex", ".json", ".png", ".svg"}
    now = view(plan, tmp_path)
    for path in own:
        content = path.read_bytes()
        for other in (content[:-1], content + b" ", None):
            path.unlink() if other is None else path.write_bytes(other)
            assert not report_is_current(now, output), path
        path.write_bytes(content)
        assert report_is_current(now, output)
    content = own[0].read_bytes()
    own[0].write_bytes(b"other")
    write_report(now.plan, now.directory, output)
    assert own[0].read_bytes() == content
    assert report_is_current(now, output)


def test_a_checkpoint_that_is_gone_makes_no_report_outdated(plan: Plan, tmp_path: Path) -> None:
    output = tmp_path / "report"
    text = write_report(plan, directory(tmp_path), output).read_text(encoding="utf-8")
    run = view(plan, tmp_path).runs[0].directory
    assert run is not None
    run.checkpoint(400).unlink()
    assert view(plan, tmp_path).runs[0].status.state == "interrupted"  # the next `harness run` makes it again
    assert report_is_current(view(plan, tmp_path), output)
    assert write_report(plan, directory(tmp_path), output).read_text(encoding="utf-8") == text


def test_other_code_makes_other_reports(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "report"
    write_report(plan, directory(tmp_path), output)
    monkeypatch.setattr(reporting, "made_with", lambda: {"code": "other"})
    assert not report_is_current(view(plan, tmp_path), output)


def slower_evaluation(run: RunDirectory, evaluation: Evaluation) -> None:
    write_evaluation(run, replace(evaluation, seconds=99.0))


def other_machine(run: RunDirectory, evaluation: Evaluation) -> None:
    """As many attempts as before."""
    run.attempts.unlink()
    begin_attempt(run, step=0, machine={"torch": "9.9"})
    end_attempt(run, "finished", step=400)


@pytest.mark.parametrize("change", [slower_evaluation, other_machine], ids=lambda change: change.__name__)
def test_what_only_cost_and_settings_show_counts_too(
    plan: Plan, tmp_path: Path, change: Callable[[RunDirectory, Evaluation], None]
) -> None:
    before = view(plan, tmp_path)
    run, evaluation = before.runs[0], before.runs[0].evaluation(0, 400)
    assert run.directory is not None and evaluation is not None
    fingerprint = before.fingerprint()
    change(run.directory, evaluation)
    assert view(plan, tmp_path).fingerprint() != fingerprint


def test_what_is_noted_of_reports_may_be_lost(plan: Plan, tmp_path: Path) -> None:
    output = tmp_path / "report"
    write_report(plan, directory(tmp_path), output)
    noted = view(plan, tmp_path).directory.reports
    noted.write_bytes(noted.read_bytes()[:-9])
    assert not report_is_current(view(plan, tmp_path), output)
    assert write_report(plan, directory(tmp_path), output).is_file()


def test_the_report_of_other_runs_or_of_earlier_ones_is_not_theirs(plan: Plan, tmp_path: Path) -> None:
    output = tmp_path / "report"
    assert current_report(view(plan, tmp_path), output) is None
    write_report(plan, directory(tmp_path), output, ReportForm("zh", ("md",)))
    assert current_report(view(plan, tmp_path), output) == output
    live(plan, tmp_path / "others")
    assert current_report(read_experiment(plan, tmp_path / "others"), output) is None
    (output / "comparison.csv").write_text("other numbers")
    assert current_report(view(plan, tmp_path), output) is None


def test_files_that_are_not_the_report_s_own_do_not_matter(plan: Plan, tmp_path: Path) -> None:
    output = tmp_path / "report"
    write_report(plan, directory(tmp_path), output)
    (output / "thesis.tex").write_text("mine")
    assert report_is_current(view(plan, tmp_path), output)
    (output / "notes").mkdir()
    (output / "notes" / "summary.md").write_text("mine", encoding="utf-8")
    assert not report_is_current(view(plan, tmp_path), output)


def test_a_change_while_the_report_is_made_leaves_it_outdated(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = render.render_report

    def slow(snapshot: ExperimentView, output: Path, form: ReportForm) -> Path:
        run = view(plan, tmp_path).runs[0].directory
        assert run is not None
        begin_attempt(run, step=400, machine={"torch": "9.9"})
        end_attempt(run, "finished", step=400)
        return real(snapshot, output, form)

    output = tmp_path / "report"
    with monkeypatch.context() as patched:
        patched.setattr(render, "render_report", slow)
        write_report(plan, directory(tmp_path), output)
    assert "| 9.9 " not in (output / "report.md").read_text(encoding="utf-8")
    assert not report_is_current(view(plan, tmp_path), output)
    write_report(plan, directory(tmp_path), output)
    assert "| 9.9 " in (output / "report.md").read_text(encoding="utf-8")
    assert report_is_current(view(plan, tmp_path), output)


def test_a_picture_that_came_later_is_shown_by_the_next_report(plan: Plan, tmp_path: Path) -> None:
    output = tmp_path / "report"
    run = view(plan, tmp_path).runs[0].directory
    assert run is not None
    picture = run.samples(400)
    picture.rename(tmp_path / "kept.png")
    write_report(plan, directory(tmp_path), output)
    shutil.copy(tmp_path / "kept.png", picture)
    assert not report_is_current(view(plan, tmp_path), output)


def test_two_reports_of_one_experiment_are_noted_both(plan: Plan, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report(plan, directory(tmp_path), tmp_path / name)
    assert all(report_is_current(view(plan, tmp_path), tmp_path / name) for name in ("one", "two"))


def test_leftovers_of_a_killed_writer_are_removed(plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "report"
    write_report(plan, directory(tmp_path), output)
    leftover = output / ".report.md.12345.tmp"
    leftover.write_text("half")
    (output / "figures" / "mine.png").write_text("mine")
    real = atomic.write_json

    def killed(path: Path, document: atomic.Json) -> None:
        if path.name == EVIDENCE:
            raise KeyboardInterrupt
        real(path, document)

    more = small_plan(grid=[], report={"samples": 16, "sections": ["progress"]})
    with monkeypatch.context() as patched:
        patched.setattr(atomic, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            write_report(more, directory(tmp_path), output)
    assert (output / "figures" / "progress.png").exists()  # which the report.json that is there does not name
    write_report(plan, directory(tmp_path), output)
    assert not leftover.exists()
    figures = {path.name for path in (output / "figures").iterdir()}
    assert "progress.png" not in figures and {"mine.png", "samples.png", "losses.svg"} <= figures
    assert [path.name for path in output.glob(".*")] == [LOCK]


def test_a_report_on_runs_that_nobody_may_write_is_written(plan: Plan, tmp_path: Path) -> None:
    if os.name == "nt" or os.geteuid() != 0:
        pytest.skip("only root may mount a folder read-only")
    try:
        mounted = read_only_view(tmp_path / "runs", tmp_path / "view")
        with mounted as runs:
            path = write_report(plan, experiment_directory(runs, "small"), tmp_path / "report")
            assert path.is_file()
            assert not report_is_current(read_experiment(plan, runs), tmp_path / "report")
    except subprocess.CalledProcessError:
        pytest.skip("no folder can be mounted here")


def test_an_experiment_that_was_moved_does_not_come_back(plan: Plan, tmp_path: Path) -> None:
    before = view(plan, tmp_path)
    before.directory.root.rename(tmp_path / "moved")
    write_report(before.plan, before.directory, tmp_path / "new" / "report")
    assert not before.directory.root.exists()


def test_a_damaged_copy_of_the_experiment_file_is_none(plan: Plan, tmp_path: Path) -> None:
    before = view(plan, tmp_path)
    before.directory.file_copy.write_bytes(b'name = "sm\xe1ll"\n')
    text = write_report(before.plan, before.directory, tmp_path / "report").read_text(encoding="utf-8")
    assert "No run has kept a copy of the experiment file yet." in text


def test_runs_that_cannot_be_read_leave_no_folder_of_a_report(plan: Plan, tmp_path: Path) -> None:
    place = directory(tmp_path)
    found = atomic.read_json(place.manifest)
    atomic.write_json(place.manifest, {**found, "format": 999})
    with pytest.raises(StoreError, match="version"):
        write_report(plan, place, tmp_path / "reports" / "small")
    assert not (tmp_path / "reports").exists()
