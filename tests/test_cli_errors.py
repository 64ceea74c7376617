"""Paths and names that cannot be: one message, no traceback."""

from __future__ import annotations

import importlib
import socket
import sys
from pathlib import Path

import pytest
from design_files import refusal

from experiments import harness, write_file
from harness.cli.app import app
from harness.design.experiment_file import read_experiment_file
from harness.errors import HarnessError


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("afile/x.toml", r"afile/x.toml: afile is no folder"),
        ("afile/sub/x.toml", "cannot be written: Not a directory"),
        ("afile", "the file exists"),
        ("folder", "the file exists"),
        ("x" * 300 + ".toml", "cannot be written: File name too long"),
    ],
)
def test_init_tells_why_it_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("afile").write_text("mine")
    Path("folder").mkdir()
    with pytest.raises(HarnessError, match=message):
        app(["init", path], standalone_mode=False)
    assert Path("afile").read_text() == "mine"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_init_into_proc_is_one_message(tmp_path: Path) -> None:
    done = harness("init", "/proc/x.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: /proc/x.toml: cannot be written: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("stem", "name"), [("first", "first"), ("my-first 2", "my-first 2"), ("con", "ablation"), ("a+b", "ablation")]
)
def test_init_names_the_experiment_after_the_file_where_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stem: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    app(["init", f"{stem}.toml"], standalone_mode=False)
    assert read_experiment_file(Path(f"{stem}.toml")).experiment.name == name


def test_an_unforeseen_error_of_the_system_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        open("/nowhere/at all")  # noqa: PTH123, SIM115 - any call that fails

    module = importlib.import_module("harness.cli.app")  # the package calls its Typer object `app` too
    monkeypatch.setattr(module, "app", broken)
    with pytest.raises(SystemExit) as caught:
        module.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: /nowhere/at all: No such file or directory\n"


@pytest.mark.parametrize("seeds", ["²", ""])
def test_seeds_that_are_none_are_one_message(tmp_path: Path, seeds: str) -> None:
    write_file(tmp_path)
    with pytest.raises(HarnessError, match="is no range of seeds"):
        app(["run", str(tmp_path / "tiny.toml"), "--seeds", seeds], standalone_mode=False)


@pytest.mark.parametrize(
    "name",
    [
        "mlflow.db",
        "MLflow.DB",
        "mlflow.db-wal",
        "mlartifacts",
        "con",
        "NUL",
        "Aux.toml",
        "com1",
        "LPT9.x",
        "nul .x",
    ],
)
def test_names_that_are_taken_are_refused(tmp_path: Path, name: str) -> None:
    told = refusal(tmp_path, f'name = "{name}"')
    assert told.startswith("e.toml:1: name: ")
    assert "take another" in told


@pytest.mark.parametrize("name", ["mlflow", "mlflow.dbx", "console", "com10", "com", "lpt0", "my con", "mlartifacts2"])
def test_names_that_only_look_taken_are_fine(tmp_path: Path, name: str) -> None:
    path = tmp_path / "e.toml"
    path.write_text(f'name = "{name}"')
    assert read_experiment_file(path).experiment.name == name


def test_a_port_in_use_is_told_before_the_server_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_file(tmp_path)
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(HarnessError, match=f"port {port} cannot be used"):
            app(["ui", str(path), "--port", str(port)], standalone_mode=False)
