"""When a report is written again: what it was made from, and whether it is still as it was written."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from report_data import live, small_plan
from run_files import read_only_view

from harness.cli.reporting import current_report, report_is_current, write_report
from harness.design.expansion import Plan
from harness.report import render
from harness.report.form import ReportForm
from harness.store.attempts import begin_attempt, end_attempt
from harness.tracking.reader import ExperimentView, read_experiment


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    found = small_plan(grid=[])
    live(found, tmp_path / "runs")
    return found


def view(plan: Plan, tmp_path: Path) -> ExperimentView:
    return read_experiment(plan, tmp_path / "runs")


def test_a_fresh_report_is_current_and_any_changed_file_of_it_is_not(plan: Plan, tmp_path: Path) -> None:
    output = tmp_path / "report"
    assert not report_is_current(view(plan, tmp_path), output)
    write_report(view(plan, tmp_path), output)
    assert report_is_current(view(plan, tmp_path), output)
    own = sorted(path for path in output.rglob("*") if path.is_file() and not path.name.startswith("."))
    assert {path.suffix for path in own} == {".md", ".html", ".csv", ".tex", ".json", ".png", ".svg"}
    for path in own:
        content = path.read_bytes()
        for other in (content[:-1], content + b" ", None):
            path.unlink() if other is None else path.write_bytes(other)
            assert not report_is_current(view(plan, tmp_path), output), path
        write_report(view(plan, tmp_path), output)
        assert path.read_bytes() == content
        assert report_is_current(view(plan, tmp_path), output)


def test_the_report_of_other_runs_or_of_earlier_ones_is_not_theirs(plan: Plan, tmp_path: Path) -> None:
    output = tmp_path / "report"
    assert current_report(view(plan, tmp_path), output) is None
    write_report(view(plan, tmp_path), output, ReportForm("zh", ("md",)))
    assert current_report(view(plan, tmp_path), output) == output
    live(plan, tmp_path / "others")
    assert current_report(read_experiment(plan, tmp_path / "others"), output) is None
    (output / "comparison.csv").write_text("other numbers")
    assert current_report(view(plan, tmp_path), output) is None


def test_files_that_are_not_the_report_s_own_do_not_matter(plan: Plan, tmp_path: Path) -> None:
    output = tmp_path / "report"
    write_report(view(plan, tmp_path), output)
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
        write_report(view(plan, tmp_path), output)
    assert "| 9.9 " not in (output / "report.md").read_text(encoding="utf-8")
    assert not report_is_current(view(plan, tmp_path), output)
    write_report(view(plan, tmp_path), output)
    assert "| 9.9 " in (output / "report.md").read_text(encoding="utf-8")
    assert report_is_current(view(plan, tmp_path), output)


def test_a_picture_that_came_later_is_shown_by_the_next_report(plan: Plan, tmp_path: Path) -> None:
    output = tmp_path / "report"
    run = view(plan, tmp_path).runs[0].directory
    assert run is not None
    picture = run.samples(400)
    picture.rename(tmp_path / "kept.png")
    write_report(view(plan, tmp_path), output)
    shutil.copy(tmp_path / "kept.png", picture)
    assert not report_is_current(view(plan, tmp_path), output)


def test_two_reports_of_one_experiment_are_noted_both(plan: Plan, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report(view(plan, tmp_path), tmp_path / name)
    assert all(report_is_current(view(plan, tmp_path), tmp_path / name) for name in ("one", "two"))


def test_leftovers_of_a_killed_writer_are_removed(plan: Plan, tmp_path: Path) -> None:
    output = tmp_path / "report"
    write_report(view(plan, tmp_path), output)
    leftover = output / ".report.md.12345.tmp"
    leftover.write_text("half")
    write_report(view(plan, tmp_path), output)
    assert not leftover.exists()


def test_a_report_on_runs_that_nobody_may_write_is_written(plan: Plan, tmp_path: Path) -> None:
    if os.name == "nt" or os.geteuid() != 0:
        pytest.skip("only root may mount a folder read-only")
    try:
        mounted = read_only_view(tmp_path / "runs", tmp_path / "view")
        with mounted as runs:
            path = write_report(read_experiment(plan, runs), tmp_path / "report")
            assert path.is_file()
            assert not report_is_current(read_experiment(plan, runs), tmp_path / "report")
    except subprocess.CalledProcessError:
        pytest.skip("no folder can be mounted here")


def test_an_experiment_that_was_moved_does_not_come_back(plan: Plan, tmp_path: Path) -> None:
    before = view(plan, tmp_path)
    before.directory.root.rename(tmp_path / "moved")
    write_report(before, tmp_path / "new" / "report")
    assert not before.directory.root.exists()


def test_a_damaged_copy_of_the_experiment_file_is_none(plan: Plan, tmp_path: Path) -> None:
    before = view(plan, tmp_path)
    before.directory.file_copy.write_bytes(b'name = "sm\xe1ll"\n')
    text = write_report(before, tmp_path / "report").read_text(encoding="utf-8")
    assert "No run has kept a copy of the experiment file yet." in text
