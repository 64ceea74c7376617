"""What is told while runs go on, and how often."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from harness.cli.display import LineScreen, LiveScreen, Screen
from harness.design.expansion import expand
from harness.design.experiment import Experiment
from harness.execution.events import Event


def wait_for(screen: Screen, *names: str) -> None:
    for text in names:
        for _ in range(5):
            screen.observe(Event("elsewhere", text=text))


def waiting_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("waiting")]


TOLD = ["waiting for another process: a seed 0, b seed 0", "waiting for another process: b seed 0"]


def test_without_a_terminal_waiting_is_told_at_once_and_when_it_changes(capsys: pytest.CaptureFixture[str]) -> None:
    wait_for(LineScreen(lambda: ""), "a seed 0, b seed 0", "b seed 0")
    assert capsys.readouterr().err.splitlines() == TOLD


def test_on_a_terminal_likewise() -> None:
    console = Console(file=io.StringIO(), width=100)
    wait_for(LiveScreen(expand(Experiment(name="e")), console, lambda: ""), "a seed 0, b seed 0", "b seed 0")
    assert isinstance(console.file, io.StringIO)
    assert waiting_lines(console.file.getvalue()) == TOLD


def test_progress_gets_a_line_a_minute(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("harness.cli.display.time.monotonic", lambda: now)
    screen = LineScreen(lambda: "")
    screen.observe(Event("queued", "a seed 0", steps=9))
    screen.observe(Event("started", "a seed 0", steps=9))
    for step in range(1, 5):
        now += 25.0
        screen.observe(Event("progress", "a seed 0", step, 9, {"loss/generator": 0.5}))
        screen.observe(Event("measured", "a seed 0", step))
    told = capsys.readouterr().err.splitlines()
    assert told == ["started   a seed 0", "training  a seed 0: step 3/9, loss/generator 0.500"]


def test_trouble_with_tracking_is_told_once_even_while_waiting(capsys: pytest.CaptureFixture[str]) -> None:
    note = "MLflow: away"
    screen = LineScreen(lambda: note)
    wait_for(screen, "a seed 0")
    note = ""
    wait_for(screen, "a seed 0")
    assert capsys.readouterr().err.splitlines() == [
        "waiting for another process: a seed 0",
        "MLflow: away",
        "MLflow is up to date again",
    ]
