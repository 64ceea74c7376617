"""The local executor: several processes, the death of one of them, and the same bits as in this process."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
import torch

from experiments import TINY, final_tensors, opened, run_directories, run_here, statuses, views, write_file
from harness.execution import local
from harness.execution.assignment import Assignment
from harness.execution.events import Event
from harness.execution.options import RunOptions
from harness.execution.progress import ProgressReader
from harness.execution.runner import run_experiment

LONG = ("training.steps=4000", "training.checkpoint_every=1000", "evaluation=[]")


def test_two_workers_give_the_bits_of_one_process(tmp_path: Path) -> None:
    (tmp_path / "local").mkdir()
    (tmp_path / "inline").mkdir()
    local, inline = write_file(tmp_path / "local"), write_file(tmp_path / "inline")
    events: list[Event] = []
    results = run_here(local, executor="local", workers=2, events=events).results
    run_here(inline)
    assert [result.outcome for result in results.values()] == ["finished", "finished"]
    assert {event.kind for event in events} >= {"queued", "started", "finished"}
    for key, run in run_directories(local).items():
        expected = final_tensors(run_directories(inline)[key])
        assert all(torch.equal(tensor, expected[name]) for name, tensor in final_tensors(run).items())
        pids = {attempt.machine["pid"] for view in views(local).values() for attempt in view.status.attempts}
        assert os.getpid() not in pids


def test_a_killed_worker_is_replaced_and_its_run_goes_on(tmp_path: Path) -> None:
    path = write_file(tmp_path, TINY[: TINY.index("[[grid]]")])
    events: list[Event] = []

    def observe_and_kill() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if any(event.kind == "progress" for event in events):
                pid = views(path, *sets)["baseline seed 0"].status.attempts[-1].machine["pid"]
                os.kill(pid, signal.SIGKILL)
                return
            time.sleep(0.02)

    sets = ("training.steps=900", "training.checkpoint_every=450", "evaluation=[]")
    killer = threading.Thread(target=observe_and_kill)
    killer.start()
    results = run_here(path, *sets, executor="local", workers=1, events=events).results
    killer.join()
    assert [event.text for event in events if event.kind == "died"] == ["killed by SIGKILL; out of memory?"]
    assert [result.outcome for result in results.values()] == ["finished"]
    status = statuses(path, *sets)["baseline seed 0"]
    assert status.state == "complete"
    assert [attempt.outcome for attempt in status.attempts] == [None, "finished"]


def test_a_worker_that_dies_twice_without_progress_fails_its_run(tmp_path: Path) -> None:
    path = write_file(tmp_path)
    events: list[Event] = []
    stop_killing = threading.Event()

    def kill_baseline() -> None:
        while not stop_killing.is_set():
            attempts = statuses(path, *LONG)["baseline seed 0"].attempts
            if attempts and attempts[-1].outcome is None:
                pid = attempts[-1].machine["pid"]
                if psutil.pid_exists(pid):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    killer = threading.Thread(target=kill_baseline)
    killer.start()
    try:
        run_here(
            path,
            *LONG,
            executor="local",
            workers=1,
            keys=frozenset({views(path)["baseline seed 0"].run.key}),
            events=events,
        )
    finally:
        stop_killing.set()
        killer.join()
    status = statuses(path, *LONG)["baseline seed 0"]
    assert status.state == "failed"
    assert "died twice without progress" in status.reason


@pytest.mark.faults
def test_a_worker_that_hangs_twice_fails_its_run_and_the_other_finishes(tmp_path: Path) -> None:
    path = write_file(tmp_path)
    sets = ("training.steps=600", "training.checkpoint_every=600", "training.log_every=300", "evaluation=[]")
    events: list[Event] = []
    ended = threading.Event()

    def hang_baseline() -> None:
        while not ended.is_set():
            attempts = statuses(path, *sets)["baseline seed 0"].attempts
            if attempts and attempts[-1].outcome is None and psutil.pid_exists(attempts[-1].machine["pid"]):
                os.kill(attempts[-1].machine["pid"], signal.SIGSTOP)
            time.sleep(0.01)

    hanging = threading.Thread(target=hang_baseline)
    hanging.start()
    try:
        run_here(path, *sets, executor="local", workers=2, events=events, stall_timeout_s=4.0)
    finally:
        ended.set()
        hanging.join()
    found = statuses(path, *sets)
    assert found["architecture=mlp seed 0"].state == "complete"
    assert found["baseline seed 0"].state == "failed"
    assert found["baseline seed 0"].reason == "no progress for 4 s (--stall-timeout), twice"
    assert [event.text for event in events if event.kind == "died"] == ["no progress for 4 s (--stall-timeout)"]


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows cannot stop a process")
def test_two_deaths_of_different_kinds_are_both_told(tmp_path: Path) -> None:
    path = write_file(tmp_path, TINY[: TINY.index("[[grid]]")])
    ended = threading.Event()
    hit: list[int] = []

    def hang_then_kill() -> None:
        while not ended.is_set():
            attempts = statuses(path, *LONG)["baseline seed 0"].attempts
            pid = attempts[-1].machine["pid"] if attempts and attempts[-1].outcome is None else None
            if pid and pid not in hit and psutil.pid_exists(pid):
                os.kill(pid, signal.SIGKILL if hit else signal.SIGSTOP)
                hit.append(pid)
            time.sleep(0.01)

    hitting = threading.Thread(target=hang_then_kill)
    hitting.start()
    try:
        run_here(path, *LONG, executor="local", workers=1, stall_timeout_s=3.0)
    finally:
        ended.set()
        hitting.join()
    assert statuses(path, *LONG)["baseline seed 0"].reason == (
        "its process died twice without progress "
        "(no progress for 3 s (--stall-timeout), then killed by SIGKILL; out of memory?)"
    )


def test_words_that_cannot_be_written_are_no_death_of_a_worker(tmp_path: Path) -> None:
    path = write_file(tmp_path, TINY[: TINY.index("[[grid]]")])
    told: list[str] = []

    class NobodyReads(list[Event]):
        def append(self, event: Event) -> None:
            told.append(event.kind)
            if event.kind == "finished":
                raise OSError("nobody reads")

    with pytest.raises(OSError, match="nobody reads"):
        run_here(path, executor="local", workers=1, events=NobodyReads())
    assert "died" not in told and told.count("finished") == 1


def test_files_are_looked_at_now_and_then_however_often_workers_beat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_file(tmp_path, TINY[: TINY.index("[[grid]]")])
    looks: list[float] = []

    class Counted(ProgressReader):
        def poll(self, assignments: Sequence[Assignment]) -> None:
            looks.append(time.monotonic())
            super().poll(assignments)

    monkeypatch.setattr(local, "ProgressReader", Counted)
    monkeypatch.setattr(local, "BEAT_S", 0.02)
    run_here(path, "training.steps=400", "evaluation=[]", executor="local", workers=1)
    assert len(looks) > 2
    assert all(after - before >= local.POLL_S for before, after in pairwise(looks))


@pytest.mark.faults
def test_nobody_is_blamed_while_the_parent_slept(tmp_path: Path) -> None:
    """One turn of the loop that takes far longer than the stall timeout: as after Ctrl-Z, or a closed lid."""
    path = write_file(tmp_path)
    events: list[Event] = []
    slept: list[str] = []

    class SleepsOnce(list[Event]):
        def append(self, event: Event) -> None:
            if event.kind == "progress" and not slept:
                slept.append(event.run)
                time.sleep(8.0)
            events.append(event)

    longer = ("training.steps=600", "training.checkpoint_every=600")  # long enough to tell of its progress
    chosen = {"executor": "local", "workers": 2, "stall_timeout_s": 5.0}
    results = run_here(path, *longer, events=SleepsOnce(), **chosen).results
    assert slept
    assert [result.outcome for result in results.values()] == ["finished", "finished"]
    assert "died" not in {event.kind for event in events}


@pytest.mark.parametrize(("executor", "at_once"), [("inline", 1), ("local", 2)])
def test_stop_saves_a_state_and_leaves_soon(tmp_path: Path, executor: str, at_once: int) -> None:
    path = write_file(tmp_path)
    file = opened(path, *LONG)
    options = RunOptions(
        runs_dir=tmp_path / "runs",
        keys=frozenset(run.key for run in file.plan.runs),
        executor=executor,  # type: ignore[arg-type]
        workers=2,
        device="cpu",
    )
    asked = threading.Event()

    def ask_when_running() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            metrics = [run.metrics for run in run_directories(path).values()]
            if sum(file.exists() and file.stat().st_size > 0 for file in metrics) == at_once:
                break
            time.sleep(0.02)
        asked.set()

    thread = threading.Thread(target=ask_when_running)
    thread.start()
    run_experiment(file, options, lambda _event: None, asked.is_set)
    thread.join()
    found = statuses(path, *LONG)
    running = [status for status in found.values() if status.attempts]
    assert len(running) == at_once
    assert all(status.state == "interrupted" and status.step > 0 for status in running)
    assert all(status.attempts[-1].outcome == "interrupted" for status in running)
