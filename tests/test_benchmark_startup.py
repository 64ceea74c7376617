"""The start-up benchmark measures what it says: real commands and runs; no time is looked at."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from experiments import run_here

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("startup_runs")


@pytest.fixture
def startup(runs: ModuleType) -> ModuleType:
    return importlib.import_module("startup")


@pytest.fixture
def here(runs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An experiment whose runs are done in this process, which spares the start of another."""
    monkeypatch.chdir(tmp_path)
    made = runs.Experiment(tmp_path, dict(os.environ))
    monkeypatch.setattr(runs.Experiment, "run", lambda self, file, *, whole=False: run_here(file))
    return made


def test_the_first_step_lies_between_the_command_and_its_end(runs: ModuleType, here: Any) -> None:
    seconds = runs.first_step(here, "first")
    (run,) = here.view(here.file("first")).runs
    assert run.status.state == "complete"
    assert 0 < seconds < run.status.attempts[-1].ended


def test_between_runs_are_as_many_gaps_as_there_are_pairs_in_order(runs: ModuleType, here: Any) -> None:
    found = runs.between_runs(here, 3)
    assert len(found.seconds) == 2
    assert all(gap > 0 for gap in found.seconds)
    assert 0 < found.start_s < max(found.seconds)
    assert found.fsync_s > 0


@pytest.mark.long
def test_records_and_projection_are_those_of_the_run(
    runs: ModuleType, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "STEPS", 20)
    found = runs.overhead(here, 1, lambda _what: None)
    assert found.steps == 20
    assert len(found.ours) == len(found.by_hand) == 1
    assert min(*found.ours, *found.by_hand, found.training_s, found.store_s) > 0


def test_a_row_is_better_by_the_ratio_of_seconds(startup: ModuleType) -> None:
    made = startup.row("startup.help", "help", [0.1, 0.2, 0.3], "torch", [1.0, 2.0, 1.5], 0.25)
    assert (made.ours, made.peer, made.ratio) == (0.2, 1.5, 10.0)
    assert made.noise == 0.5
    assert made.target_of == "ours"
    text = startup.text_table([made])
    assert "yes" in text
    assert "1.5 s (torch)" in text


def test_commands_that_only_say_something_are_timed_as_called(
    startup: ModuleType, here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(startup, "IMPORT_TORCH", ("nothing", [sys.executable, "-c", "pass"]))
    rows = startup.answers(told.append, 1, here)
    assert [made.name for made in rows] == ["startup.help", "startup.plan"]
    assert told


def test_figures_are_written_as_json(
    startup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = startup.row("startup.help", "help", [0.1], "torch", [1.0], 0.25)
    monkeypatch.setattr(startup, "measure", lambda _tell, _rounds: [made])
    assert startup.main(["--output", str(tmp_path / "figures.json")]) == 0
    (written,) = json.loads((tmp_path / "figures.json").read_text())["rows"]
    assert written["name"] == "startup.help"
    assert "harness" not in capsys.readouterr().err
