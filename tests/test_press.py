"""Figures made into files by several processes: the same bytes in the same order, and nothing lost with a process."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from harness.report.figures import press as pressing
from harness.report.figures.files import FigureFiles
from harness.report.figures.press import Press, press
from harness.report.figures.style import figure_style, new_figure

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only there processes are forked")


@figure_style()
def drawing(height: float) -> Figure:
    figure = new_figure(3, 2)
    axes = figure.subplots()
    axes.plot([0, 1], [0, height], color="#0173b2")
    axes.set_title(f"up to {height}")
    return figure


def alone(check: Callable[..., None]) -> Callable[..., None]:
    """Runs the test in a process without other threads: pytest-xdist's have one, and beside it nothing forks."""

    @functools.wraps(check)
    def run(**arguments: Any) -> None:
        here = Path(__file__)
        code = f"import {here.stem} as tests; tests.{check.__name__}.__wrapped__(**{arguments!r})"
        paths = os.pathsep.join((str(here.parent), str(here.parents[1])))
        done = subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    return run


def made_by(processes: int, count: int = 7) -> list[FigureFiles]:
    machine = Press(processes)
    for height in range(1, count + 1):
        machine.order(drawing(height), {"Title": str(height)})
    return machine.files()


def name_of_process(figure: Figure, about: Mapping[str, str]) -> FigureFiles:
    return FigureFiles(f"{about['Title']} by {os.getpid()}".encode(), None)


def named(processes: int, count: int) -> tuple[list[str], set[int]]:
    """Titles in the order of their files, and the processes that made them."""
    machine = Press(processes, make=name_of_process)
    figure = Figure()
    for number in range(count):
        machine.order(figure, {"Title": str(number)})
    words = [files.png.decode().split(" by ") for files in machine.files()]
    return [title for title, _ in words], {int(process) for _, process in words}


@alone
def test_the_bytes_are_those_of_one_process() -> None:
    assert made_by(2, 3) == made_by(1, 3)


@pytest.mark.parametrize("processes", [1, 2, 4])
@alone
def test_files_come_in_the_order_of_their_figures(processes: int) -> None:
    titles, makers = named(processes, 9)
    assert titles == [str(number) for number in range(9)]
    assert (makers == {os.getpid()}) == (processes == 1)


def test_beside_another_thread_nothing_is_forked() -> None:
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        assert named(2, 3) == (["0", "1", "2"], {os.getpid()})
    finally:
        done.set()
        other.join()


@alone
def test_what_a_killed_process_took_along_is_made_by_this_one() -> None:
    caller = os.getpid()

    def fails_elsewhere(figure: Figure, about: Mapping[str, str]) -> FigureFiles:
        if os.getpid() != caller:
            os.kill(os.getpid(), 9)
        return name_of_process(figure, about)

    machine = Press(2, make=fails_elsewhere)
    for number in range(6):
        machine.order(Figure(), {"Title": str(number)})
    assert [files.png for files in machine.files()] == [f"{number} by {caller}".encode() for number in range(6)]


@alone
def test_a_figure_that_cannot_be_made_fails_here_and_leaves_no_process() -> None:
    def fails(figure: Figure, about: Mapping[str, str]) -> FigureFiles:
        raise ValueError("no such letter")

    machine = Press(2, make=fails)
    machine.order(Figure(), {})
    with pytest.raises(ValueError, match="no such letter"):
        machine.files()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_there_is_a_process_for_each_core_but_no_more_than_four(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, processes in ((1, 1), (2, 2), (64, 4)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        assert press().processes == processes
    monkeypatch.setattr(pressing.sys, "platform", "darwin")
    assert press().processes == 1
