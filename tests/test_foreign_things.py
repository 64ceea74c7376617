"""Pipes, folders, devices, sockets where files must be, files where folders must be: told in words, never waited on."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments import run_directories, run_here, statuses, write_file
from harness.cli.app import app
from harness.cli.console import fail
from harness.errors import HarnessError
from harness.store.rundir import ExperimentDirectory, RunDirectory, experiment_directory

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither pipes nor sockets among its files"),
]

RUN = ("run", "tiny.toml", "--executor", "inline", "--device", "cpu", "--tracking-uri", "none", "--no-report")
LONGER = ("--set", "training.steps=28")
"""So that there is work to do, which log.txt and what all runs share are needed for."""


def pipe(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def unix_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket may have about a hundred characters
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)
    os.chdir(here)


def unreadable(path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path.write_bytes(b"")
    path.chmod(0)


Thing = Callable[[Path], None]
THINGS: dict[str, Thing] = {
    "pipe": pipe, "folder": folder, "device": device, "socket": unix_socket, "unreadable file": unreadable,
}  # fmt: skip

SEEN_BY_STATUS: dict[str, Callable[[RunDirectory], Path]] = {
    "run.json": lambda run: run.run_json,
    "attempts": lambda run: run.attempts,
    "metrics": lambda run: run.metrics,
    "commit": lambda run: run.commit(24),
    "state": lambda run: run.state(24),
    "checkpoint": lambda run: run.checkpoint(12),
    "note": lambda run: run.checkpoint(12).with_suffix(".safetensors.sha256"),
    "evaluation": lambda run: min(run.evaluations.iterdir()),
    "lock": lambda run: run.lock,
}
SEEN_BY_WORK = {"picture": lambda run: run.samples(12), "log": lambda run: run.log}
SHARED: dict[str, Callable[[ExperimentDirectory], Path]] = {
    "experiment.json": lambda directory: directory.manifest,
}
SHARED_WHILE_WORKING: dict[str, Callable[[ExperimentDirectory], Path]] = {
    "experiment.toml": lambda directory: directory.file_copy,
    "lock": lambda directory: directory.lock,
    "cached array": lambda directory: next(directory.cache.glob("*.npy")),
    "its note": lambda directory: next(directory.cache.glob("images-*.json")),
}
FEW = ("pipe", "folder")


def cases(*places: str) -> list[tuple[str, str]]:
    """The likeliest things in every place, every thing in the first place: all places read through one function."""
    likely = [(thing, place) for place in places for thing in FEW]
    return likely + [(thing, places[0]) for thing in THINGS if thing not in FEW]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_file(tmp_path_factory.mktemp("finished"))
    run_here(path)
    return path


@pytest.fixture
def path(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a finished copy of the experiment, in the current folder."""
    shutil.copytree(finished.parent, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here" / "tiny.toml"


def put(thing: str, place: Path) -> Path:
    """Puts the thing where the file was."""
    place.unlink(missing_ok=True)
    THINGS[thing](place)
    return place


def victim(path: Path) -> RunDirectory:
    """The run that something is done to; the other one is the MLP's."""
    return next(run for run in run_directories(path).values() if "baseline" in run.root.name)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code of a command and all that it says; any other exception than a HarnessError comes through."""
    capsys.readouterr()
    try:
        code = app(list(arguments), standalone_mode=False) or 0
    except HarnessError as error:
        code = fail(error)
    said = capsys.readouterr()
    return code, said.out + said.err


def assert_it_fails_alone(path: Path, capsys: pytest.CaptureFixture[str], place: Path, *options: str) -> None:
    """`run` names the file and the remedy, counts one failed and one complete run, and leaves the thing there."""
    before = os.lstat(place)
    code, said = answer(capsys, *RUN, *options)
    assert code == 1
    assert str(place) in said
    assert "Move it away, then run the same command again." in said or "Make it readable" in said
    assert "2 runs: 1 failed, 1 complete" in said
    assert os.lstat(place).st_ino == before.st_ino
    states = {name: status.state for name, status in statuses(path, *options[1::2]).items()}
    assert states["architecture=mlp seed 0"] == "complete"


@pytest.mark.parametrize(("thing", "name"), cases(*SEEN_BY_STATUS))
def test_a_run_that_cannot_be_read_fails_alone(
    path: Path, capsys: pytest.CaptureFixture[str], thing: str, name: str
) -> None:
    place = put(thing, SEEN_BY_STATUS[name](victim(path)))
    found = statuses(path)
    assert [(status.state, status.is_readable) for status in found.values()] == [("failed", False), ("complete", True)]
    assert str(place) in found["baseline seed 0"].reason
    for command in (["status"], ["status", "--explain"], ["status", "--json"], ["status", "--explain", "--json"]):
        code, said = answer(capsys, command[0], "tiny.toml", *command[1:])
        assert code == 0 and ("--json" in command[1:2] or str(place) in said.replace("\n", "").replace(" " * 17, " "))
    assert answer(capsys, "plan", "tiny.toml")[0] == answer(capsys, "prune", "tiny.toml", "--yes")[0] == 0
    assert_it_fails_alone(path, capsys, place)
    code, said = answer(capsys, "evaluate", *RUN[1:-3])
    assert code == 1 and str(place) in said
    code, said = answer(capsys, "sample", "tiny.toml", "--cell", "baseline")
    assert code == 2 and str(place) in said


@pytest.mark.parametrize(("thing", "name"), cases(*SEEN_BY_WORK))
def test_what_only_work_needs_is_told_by_work(
    path: Path, capsys: pytest.CaptureFixture[str], thing: str, name: str
) -> None:
    place = put(thing, SEEN_BY_WORK[name](victim(path)))
    assert {status.state for status in statuses(path).values()} == {"complete"}
    assert_it_fails_alone(path, capsys, place, *(LONGER if name == "log" else ()))


@pytest.mark.parametrize("name", ["state", "checkpoints", "evaluations", "samples"])
def test_a_file_where_a_run_has_a_folder(path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    place = victim(path).root / name
    shutil.rmtree(place)
    place.write_text("in the way")
    assert_it_fails_alone(path, capsys, place)
    assert answer(capsys, "status", "tiny.toml", "--explain")[0] == 0


def test_a_file_where_the_run_folder_must_be(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = victim(path).root
    shutil.rmtree(place)
    place.write_text("in the way")
    assert statuses(path)["baseline seed 0"].state == "failed"
    assert_it_fails_alone(path, capsys, place)


def test_the_folder_of_another_run(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine, other = sorted(run_directories(path).values(), key=lambda run: "baseline" not in run.root.name)
    shutil.rmtree(mine.root)
    shutil.copytree(other.root, mine.root)
    attempts = mine.attempts.read_bytes()
    assert "belongs to another run" in statuses(path)["baseline seed 0"].reason
    assert_it_fails_alone(path, capsys, mine.root)
    assert mine.attempts.read_bytes() == attempts


@pytest.mark.parametrize(("thing", "name"), cases(*SHARED, *SHARED_WHILE_WORKING))
def test_what_all_runs_share_ends_the_command_with_one_message(
    path: Path, capsys: pytest.CaptureFixture[str], thing: str, name: str
) -> None:
    directory = experiment_directory(path.parent / "runs", "tiny")
    place = put(thing, (SHARED | SHARED_WHILE_WORKING)[name](directory))
    if name == "experiment.json":
        for command in ("plan", "status"):
            code, said = answer(capsys, command, "tiny.toml")
            assert code == 2 and said.count("error:") == 1 and str(place) in said
    code, said = answer(capsys, *RUN, *(LONGER if name in SHARED_WHILE_WORKING else ()))
    assert code == 2 and said.count("error:") == 1 and str(place) in said
    assert {run.committed_steps()[0] for run in run_directories(path).values()} == {24}


def test_a_file_where_the_cache_must_be(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = experiment_directory(path.parent / "runs", "tiny").cache
    shutil.rmtree(cache)
    cache.write_text("in the way")
    code, said = answer(capsys, *RUN, *LONGER)
    assert code == 2 and f"{cache}: something else is where a folder must be" in said


def test_a_pipe_before_the_first_attempt_is_not_waited_on(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing was committed, so that nothing has to be read before it is written."""
    run = victim(path)
    for name in ("metrics", "log"):
        shutil.rmtree(run.root)
        run.root.mkdir()
        assert_it_fails_alone(path, capsys, put("pipe", {"metrics": run.metrics, "log": run.log}[name]))


def test_workers_in_processes_of_their_own_fail_alone_too(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = put("pipe", victim(path).metrics)
    code, said = answer(capsys, *RUN[:2], "--workers", "1", *RUN[4:])
    assert code == 1 and str(place) in said and "1 failed, 1 complete" in said


def test_report_and_tracking_go_on_without_the_run(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """MLflow keeps what it holds of a run that cannot be read, and takes the others."""
    run = victim(path)
    code, said = answer(capsys, "sync", "tiny.toml")
    assert code == 0 and said.startswith("2 runs are in MLflow")
    cursor = put("folder", next(run.cursors.glob("*.json")))
    code, said = answer(capsys, "sync", "tiny.toml")
    assert code == 1 and str(cursor) in said and "1 runs are in MLflow" in said
    cursor.rmdir()
    place = put("pipe", run.metrics)
    code, said = answer(capsys, "sync", "tiny.toml")
    assert code == 1 and str(place) in said and "1 runs are in MLflow" in said
    code, said = answer(capsys, "report", "tiny.toml")
    page = Path("reports/tiny/report.md").read_text(encoding="utf-8")
    assert code == 0 and "a pipe is where a file must be" in page and "1 of 1" in page


def test_a_pipe_in_place_of_a_picture_is_refused_by_the_report(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put("pipe", victim(path).samples(24))
    code, said = answer(capsys, "report", "tiny.toml")
    assert code == 2 and "step-000024.png: a pipe is where a file must be" in said and said.count("error:") == 1
    assert not Path("reports/tiny/report.md").exists()


def test_the_note_of_reports_stops_no_training(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = put("folder", experiment_directory(path.parent / "runs", "tiny").reports)
    code, said = answer(capsys, *RUN, *LONGER)
    assert code == 0 and f"warning: {place}: a folder is where a file must be; what needs it fails" in said
    assert {run.committed_steps()[0] for run in run_directories(path).values()} == {28}
    code, said = answer(capsys, *RUN[:-1], *LONGER)  # with a report
    assert code == 2 and said.count("error:") == 1 and str(place) in said


def test_a_cursor_stops_no_training(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = victim(path).cursors
    place.write_text("in the way")
    code, said = answer(capsys, *RUN, *LONGER)
    assert code == 0 and f"warning: {place}: " in said and "2 complete" in said
