"""The checks of `harness doctor` side by side, each in a process that is left behind when its time is over."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from harness.cli.doctor_request import Request
from harness.cli.doctor_topics import UNFORESEEN, Topic, from_line
from harness.store.checkup import Finding, Found

CLEANING_S = 1.0
"""How long a check that is ended may take to remove its temporary files."""


_Lines = queue.SimpleQueue[tuple[int, str | None]]
"""What checks say: the check's place, and a line; None when it says no more."""


@dataclass
class _Check:
    """One running check. found: so far; is_over: whether it said all."""

    topic: Topic
    process: subprocess.Popen[str]
    listener: threading.Thread
    found: list[Found] = field(default_factory=list)
    is_over: bool = False


def look(topics: Iterable[Topic], request: Request, limit_s: float) -> list[Found]:
    """What all `topics` find, in their order; one that takes longer than `limit_s` seconds is told as a problem."""
    deadline = time.monotonic() + limit_s
    lines: _Lines = queue.SimpleQueue()
    with _started(topics, request, lines) as checks:
        while not all(check.is_over for check in checks) and (left := deadline - time.monotonic()) > 0:
            try:
                index, line = lines.get(timeout=min(left, 0.2))  # short, so that Ctrl-C comes through everywhere
            except queue.Empty:
                continue
            if line is None:
                checks[index].is_over = True
            else:
                checks[index].found.append(from_line(line))
        for check in checks:
            check.found += _ended(check, limit_s)
    return [found for check in checks for found in check.found]


def _listen(process: subprocess.Popen[str], index: int, lines: _Lines) -> None:
    assert process.stdout is not None
    with suppress(OSError, ValueError), process.stdout as pipe:
        for line in pipe:
            if line.endswith("\n"):
                lines.put((index, line))
    lines.put((index, None))


def _ended(check: _Check, limit_s: float) -> list[Finding]:
    """What is to be said where a check did not come to its end by itself."""
    if not check.is_over:
        what = f"{'nothing more' if check.found else 'no answer'} within {limit_s:g} s"
        again = f"Try again with --time-limit {4 * limit_s:g}."
        return [Finding(check.topic, "problem", what, f"{_likely(check.topic)} {again}".strip())]
    try:
        code = check.process.wait(timeout=CLEANING_S)
    except subprocess.TimeoutExpired:
        return []  # it said all, and closed its pipe
    if code == 0:
        return []
    how = f"signal {-code}" if code < 0 else f"exit {code}"
    return [Finding(check.topic, "problem", f"this check ended with {how} before it had an answer", UNFORESEEN)]


def _likely(topic: Topic) -> str:
    """Why a check may take so long."""
    match topic:
        case "disk" | "data" | "cache" | "temporary files" | "tracking":
            return "A file system whose server is away hangs like this: does `ls` of that folder come back?"
        case "devices":
            return "A GPU's driver that hangs looks like this: does `nvidia-smi` come back? Else restart the machine."
        case "imports" | "networks" | "weights" | "fonts":
            return "Packages on slow storage take long to load, most of all the first time."
        case "ray" | "slurm" | "versions" | "machine":
            return ""


@contextmanager
def _started(topics: Iterable[Topic], request: Request, lines: _Lines) -> Iterator[list[_Check]]:
    """Runs the checks; whatever is still running at the end of the block is ended, and not waited for long."""
    checks: list[_Check] = []
    try:
        for index, topic in enumerate(topics):
            process = _start(topic, request)
            listener = threading.Thread(target=_listen, args=(process, index, lines), daemon=True)
            listener.start()
            checks.append(_Check(topic, process, listener))
        yield checks
    finally:
        running = [check.process for check in checks if check.process.poll() is None]
        _signal_all(running, signal.SIGTERM)
        _wait(running)
        left = [process for process in running if process.poll() is None]
        _signal_all(left, _KILL)
        _wait(left)
        deadline = time.monotonic() + CLEANING_S
        for check in checks:
            check.listener.join(timeout=max(0.0, deadline - time.monotonic()))


def _wait(processes: Iterable[subprocess.Popen[str]]) -> None:
    deadline = time.monotonic() + CLEANING_S
    for process in processes:
        with suppress(subprocess.TimeoutExpired):  # one that hangs in the kernel does not even die
            process.wait(timeout=max(0.0, deadline - time.monotonic()))


_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


def _start(topic: Topic, request: Request) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "harness.cli.doctor_topics", topic],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        start_new_session=True,  # what it starts ends with it, and Ctrl-C ends it through us
    )
    assert process.stdin is not None
    with suppress(OSError), process.stdin as pipe:  # one that is dead already tells so by its exit
        pipe.write(request.to_json())
    return process


def _signal_all(processes: Iterable[subprocess.Popen[str]], number: int) -> None:
    """To each process and all that it started; none of these processes was waited for, so each number is its own."""
    for process in processes:
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, number)
            else:
                process.terminate()
