"""How `harness run` ends when its report cannot be written: what was trained is told all the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from experiments import TINY, run_here, statuses, write_file
from harness.cli import closing
from harness.cli.app import app
from harness.cli.closing import Ending, check_output
from harness.cli.tracker import Tracker
from harness.errors import EvidenceError, StoreError

ALONE = TINY[: TINY.index("[[grid]]")]
RUN = ("run", "tiny.toml", "--executor", "inline", "--device", "cpu", "--tracking-uri", "none")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run and no report."""
    path = write_file(tmp_path_factory.mktemp("closing"), ALONE)
    run_here(path)
    return path.parent


@pytest.fixture
def here(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(finished, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*RUN, *arguments])


def latin_note(output: Path) -> Path:
    note = output / "notes" / "summary.md"
    note.parent.mkdir(parents=True)
    note.write_bytes("Größe".encode("latin-1"))
    return note


def folder_as_note(output: Path) -> Path:
    note = output / "notes" / "summary.md"
    note.mkdir(parents=True)
    return note


def file_as_figures(output: Path) -> Path:
    output.mkdir(parents=True)
    (output / "figures").write_text("mine")
    return output / "figures"


def file_as_folder(output: Path) -> Path:
    output.parent.mkdir()
    output.write_text("mine")
    return output


FAULTS = [latin_note, folder_as_note, file_as_figures, file_as_folder]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_what_stands_in_the_way_of_the_report_is_told_before_any_work(
    tmp_path: Path, fault: Callable[[Path], Path]
) -> None:
    output = tmp_path / "reports" / "tiny"
    check_output(output)
    where = fault(output)
    with pytest.raises(StoreError) as refused:
        check_output(output)
    assert refused.value.where == str(where)
    check_output(None)


def appears_while_training(monkeypatch: pytest.MonkeyPatch, fault: Callable[[], object]) -> None:
    """Something comes in the way of the report after everything was looked at."""
    real = closing.write_report

    def write(*arguments: Any) -> Path:
        fault()
        return real(*arguments)

    monkeypatch.setattr(closing, "write_report", write)


@pytest.mark.parametrize("fault", FAULTS[:3], ids=lambda fault: fault.__name__)
def test_a_report_that_fails_swallows_neither_words_nor_json(
    here: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Path], Path]
) -> None:
    finished: list[Path | None] = []
    monkeypatch.setattr(Tracker, "finish", lambda _, view, report: finished.append(report) or "current")
    appears_while_training(monkeypatch, lambda: shutil.rmtree("reports") or fault(Path("reports", "tiny")))
    done = call("--json", "--set", "training.steps=28")
    assert done.exit_code == 2
    document = json.loads(done.stdout)
    assert (document["runs"][0]["state"], document["report"]) == ("complete", None)
    assert "1 runs: 1 complete" in done.stderr
    assert done.stderr.splitlines()[-2].startswith("error: ") and "Traceback" not in done.stderr
    assert finished == [None]  # the store gets what was trained, and no report
    assert statuses(Path("tiny.toml"), "training.steps=28")["baseline seed 0"].state == "complete"


def test_the_last_page_says_so_and_links_to_no_earlier_report(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("reports/tiny").mkdir(parents=True)
    Path("reports/tiny/report.md").write_text("of an earlier time")
    monkeypatch.setattr(closing, "write_report", lambda *_: 1 / 0)
    done = call("--set", "training.steps=28")
    assert isinstance(done.exception, ZeroDivisionError)  # no mistake of a person's, so it is shown as it is
    assert "1 runs: 1 complete" in done.stderr
    page = Path("reports/tiny/live.html").read_text(encoding="utf-8")
    assert "the command is done; its report could not be written" in page
    assert "report.md" not in page


def test_where_nothing_was_missing_that_is_told_too(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    appears_while_training(monkeypatch, lambda: latin_note(Path("reports", "tiny")))
    done = call()
    assert done.exit_code == 2
    assert done.stderr.splitlines()[0] == "nothing to do: all 1 runs are done"
    assert "not UTF-8 text" in done.stderr


@pytest.mark.parametrize(
    ("code", "error", "left"),
    [
        (0, None, 0),
        (1, None, 1),
        (0, StoreError("full"), 2),
        (0, EvidenceError("damaged"), 1),
        (0, PermissionError(13, "Permission denied", "figures"), 2),
        (1, StoreError("full"), 1),
        (3, EvidenceError("damaged"), 3),
    ],
)
def test_the_exit_code_is_the_work_s_before_the_report_s(
    code: int, error: Exception | None, left: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        Ending(code, error).leave()
    assert ended.value.exit_code == left
    assert ("error: " in capsys.readouterr().err) is (error is not None)


def test_an_error_of_the_system_names_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        Ending(0, PermissionError(13, "Permission denied", "figures/losses.png")).leave()
    assert capsys.readouterr().err == "error: figures/losses.png: Permission denied\n"


def test_errors_of_harness_alone_are_messages() -> None:
    with pytest.raises(ValueError, match="a fault of harness"):
        Ending(0, ValueError("a fault of harness")).leave()
