"""A display that nobody can write to any more: the work goes on, ends as it should, and says so by its exit code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments import TINY, harness, statuses, write_file

pytestmark = pytest.mark.faults

ALONE = TINY[: TINY.index("[[grid]]")]
RUN = ("run", "tiny.toml", "--tracking-uri", "none", "--no-report")
LONG = ("training.steps=20000", "training.checkpoint_every=20000", "evaluation=[]")


def begin(folder: Path, *arguments: str, stderr: int, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=stdout, stderr=stderr, start_new_session=True)


@pytest.mark.parametrize("executor", ["local", "inline"])
def test_runs_finish_where_nobody_reads_the_words(tmp_path: Path, executor: str) -> None:
    path = write_file(tmp_path)
    reading, writing = os.pipe()
    os.close(reading)
    process = begin(tmp_path, *RUN, "--executor", executor, stderr=writing)
    os.close(writing)
    assert process.wait(120) == 0
    found = statuses(path)
    assert {status.state for status in found.values()} == {"complete"}
    assert [[attempt.outcome for attempt in status.attempts] for status in found.values()] == [["finished"]] * 2


def test_failures_still_show_in_the_exit_code(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = begin(tmp_path, "plan", "absent.toml", stderr=writing)
    os.close(writing)
    assert process.wait(60) == harness("plan", "absent.toml", cwd=tmp_path).returncode != 0


def test_a_reader_of_results_who_leaves_is_no_failure(tmp_path: Path) -> None:
    write_file(tmp_path)
    reading, writing = os.pipe()
    os.close(reading)
    process = begin(tmp_path, "plan", "tiny.toml", "--json", stderr=subprocess.PIPE, stdout=writing)
    os.close(writing)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has neither pseudo-terminals nor SIGHUP")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143)])
def test_a_terminal_that_is_closed_ends_with_a_state_and_the_exit_code(tmp_path: Path, number: int, code: int) -> None:
    path = write_file(tmp_path, ALONE)
    sets = [argument for text in LONG for argument in ("--set", text)]
    terminal, side = os.openpty()
    process = begin(tmp_path, *RUN, *sets, stderr=side)
    os.close(side)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(tmp_path.glob("runs/tiny/*/metrics.jsonl")):
        time.sleep(0.1)
    assert os.read(terminal, 65536)
    os.close(terminal)
    time.sleep(1.0)  # the table is drawn four times a second
    assert process.poll() is None
    process.send_signal(number)
    assert process.wait(60) == code
    status = statuses(path, *LONG)["baseline seed 0"]
    assert (status.state, status.attempts[-1].outcome) == ("interrupted", "interrupted")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGUSR1")
def test_a_state_asked_for_before_the_work_begins_ends_nothing(tmp_path: Path) -> None:
    path = write_file(tmp_path, ALONE)
    code = (
        "import os, signal\n"
        "from harness.cli import run\n"
        "from harness.cli.app import main\n"
        "real = run.find_damage\n"
        "def signalled(view, options):\n"
        "    os.kill(os.getpid(), signal.SIGUSR1)\n"
        "    return real(view, options)\n"
        "run.find_damage = signalled\n"
        "main()\n"
    )
    command = [sys.executable, "-c", code, *RUN, "--executor", "inline"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert statuses(path)["baseline seed 0"].state == "complete"
