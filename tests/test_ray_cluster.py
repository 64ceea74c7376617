"""The Ray executor on real clusters: nodes that die, commands that are ended, and what is left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from ray_grid import ONE, PATIENCE_S, SLOW, as_options, command_on_ray, trains, until
from ray_servers import Cluster

from experiments import TINY, final_tensors, run_directories, run_here, statuses, write_file
from harness.execution.events import Event

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]


def test_a_node_dies_in_the_middle_of_a_grid_and_the_weights_are_those_of_one_machine(
    tmp_path: Path, joined: Cluster
) -> None:
    (tmp_path / "ray").mkdir()
    (tmp_path / "local").mkdir()
    text = TINY.replace("seeds = [0]", "seeds = [0, 1, 2]")
    path, peer = write_file(tmp_path / "ray", text), write_file(tmp_path / "local", text)
    sets = ("training.steps=600", "training.checkpoint_every=100")
    joined.start(1, name="head")
    second = joined.start(1, name="second")
    events: list[Event] = []
    killed: list[int] = []

    def kill_second() -> None:
        while not killed and not ended.is_set():
            pids = {process.pid for process in second.processes()}
            working = [pid for pid in trains(path, *sets) if pid in pids]
            if working:
                killed.extend(working)
                second.kill()
            time.sleep(0.1)

    ended = threading.Event()
    killer = threading.Thread(target=kill_second)
    killer.start()
    try:
        results = run_here(path, *sets, executor="ray", ray_address=joined.address, events=events).results
    finally:
        ended.set()
        killer.join()
    assert killed
    assert [result.outcome for result in results.values()] == ["finished"] * 6
    died = [event for event in events if event.kind == "died"]
    assert len(died) == 1 and "second" in died[0].text
    assert {event.text for event in events if event.kind == "note"} >= {"Ray: 2 at once on 2 nodes"}
    attempts = [attempt for status in statuses(path, *sets).values() for attempt in status.attempts]
    assert [attempt.machine["pid"] for attempt in attempts if attempt.outcome is None] == killed[:1]
    assert len({attempt.machine["pid"] for attempt in attempts}) > 1
    run_here(peer, *sets, executor="local", workers=2)
    for key, run in run_directories(path).items():
        expected = final_tensors(run_directories(peer)[key])
        assert all(torch.equal(tensor, expected[name]) for name, tensor in final_tensors(run).items())
    again = run_directories(path)[next(iter(results))[:8]].evaluations
    stored = _values(again)
    shutil.rmtree(again)
    measured = run_here(path, *sets, executor="ray", ray_address=joined.address, work="evaluate").results
    assert [result.outcome for result in measured.values()] == ["finished"]
    assert len(stored) == 6 and _values(again) == stored


def _values(folder: Path) -> dict[str, Any]:
    """Of every evaluation there, by its file's name."""
    return {file.name: json.loads(file.read_text(encoding="utf-8"))["values"] for file in folder.glob("*.json")}


def _listening(processes: list[psutil.Process]) -> set[str]:
    """Addresses that these processes listen on, over the network."""
    found = set()
    for process in processes:
        try:
            sockets = process.net_connections(kind="inet")
        except psutil.NoSuchProcess:
            continue
        found |= {str(one.laddr.ip) for one in sockets if one.status == psutil.CONN_LISTEN}
    return found


def test_ctrl_c_leaves_nothing_of_its_own_cluster_and_the_same_command_finishes(tmp_path: Path) -> None:
    path = write_file(tmp_path, ONE)
    command = command_on_ray(path, *as_options(*SLOW))
    try:
        until(lambda: trains(path, *SLOW) or command.poll() is not None, "nothing trains")
        family = [psutil.Process(command.pid), *psutil.Process(command.pid).children(recursive=True)]
        assert _listening(family) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"} and _listening(family)
        os.killpg(command.pid, signal.SIGINT)
        _, told = command.communicate(timeout=120)
    finally:
        command.kill()
    assert command.returncode == 130, told
    _, left = psutil.wait_procs(family, timeout=20)
    assert not left
    status = statuses(path, *SLOW)["baseline seed 0"]
    assert status.state == "interrupted" and status.step > 0
    assert status.attempts[-1].outcome == "interrupted"
    again = command_on_ray(path, *as_options("training.steps=600", *SLOW[1:]))
    again.communicate(timeout=PATIENCE_S)
    assert again.returncode == 0


def test_ctrl_c_leaves_a_foreign_cluster_clean(tmp_path: Path, cluster: Cluster) -> None:
    path = write_file(tmp_path)
    cluster.start(1, name="head")
    command = command_on_ray(
        path, "--ray-address", cluster.address, *as_options(*SLOW), environment=dict(cluster.environment)
    )
    try:
        until(lambda: trains(path, *SLOW) or command.poll() is not None, "nothing trains")
        assert cluster.processes("ray::work") and cluster.processes("ray::Board")
        os.killpg(command.pid, signal.SIGINT)
        _, told = command.communicate(timeout=120)
    finally:
        command.kill()
    assert command.returncode == 130, told
    until(lambda: not cluster.processes("ray::work") and not cluster.processes("ray::Board"), "something is left")
    found = statuses(path, *SLOW)
    assert sorted(status.state for status in found.values()) == ["interrupted", "pending"]
    assert not list((tmp_path / "runs" / "tiny" / "cache").glob("*.mark"))


def test_a_killed_command_saves_states_and_leaves_nothing(tmp_path: Path) -> None:
    path = write_file(tmp_path, ONE)
    command = command_on_ray(path, *as_options(*SLOW))
    try:
        until(lambda: trains(path, *SLOW) or command.poll() is not None, "nothing trains")
        family = psutil.Process(command.pid).children(recursive=True)
    finally:
        command.kill()
    command.communicate(timeout=60)
    _, left = psutil.wait_procs(family, timeout=60)
    assert not left
    assert statuses(path, *SLOW)["baseline seed 0"].attempts[-1].outcome == "interrupted"


def test_usr1_has_tasks_save_their_states_and_go_on(tmp_path: Path, cluster: Cluster) -> None:
    sets = ("training.steps=100000", "training.checkpoint_every=100000", "evaluation=[]")
    path = write_file(tmp_path, ONE)
    cluster.start(1, name="head")
    arguments = ("--ray-address", cluster.address, *as_options(*sets))
    command = command_on_ray(path, *arguments, environment=dict(cluster.environment))
    try:
        (pid,) = until(lambda: trains(path, *sets) or command.poll() is not None, "nothing trains")
        command.send_signal(signal.SIGUSR1)
        first = until(lambda: statuses(path, *sets)["baseline seed 0"].step, "no state was saved")
        command.send_signal(signal.SIGUSR1)
        until(lambda: statuses(path, *sets)["baseline seed 0"].step > first, "no second state was saved")
        assert trains(path, *sets) == [pid], "it goes on in the same process"
        os.killpg(command.pid, signal.SIGINT)
        _, told = command.communicate(timeout=120)
    finally:
        command.kill()
    assert command.returncode == 130, told
    assert told.count("asked to save: baseline seed 0") == 2


def test_the_death_of_the_head_ends_the_command_with_words(tmp_path: Path, cluster: Cluster) -> None:
    path = write_file(tmp_path, ONE)
    head = cluster.start(1, name="head")
    arguments = ("--ray-address", cluster.address, *as_options(*SLOW))
    command = command_on_ray(path, *arguments, environment=dict(cluster.environment), reports=True)
    try:
        until(lambda: statuses(path, *SLOW)["baseline seed 0"].step or command.poll() is not None, "nothing is saved")
        head.kill()
        _, told = command.communicate(timeout=PATIENCE_S)
    finally:
        command.kill()
    assert command.returncode == 1
    assert "Traceback" not in told and ("head of the Ray cluster" in told or "Ray node of this machine" in told), told
    assert (tmp_path / "reports" / "tiny" / "report.md").exists(), "what was done is reported"
    assert statuses(path, *SLOW)["baseline seed 0"].state != "running"


def test_a_task_that_hangs_is_ended_and_its_run_goes_on(tmp_path: Path) -> None:
    path = write_file(tmp_path, ONE)
    events: list[Event] = []
    ended = threading.Event()
    hung: list[int] = []

    def hang_once() -> None:
        while not ended.is_set() and not hung:
            for pid in trains(path, *SLOW):
                os.kill(pid, signal.SIGSTOP)
                hung.append(pid)
            time.sleep(0.1)

    thread = threading.Thread(target=hang_once)
    thread.start()
    try:
        results = run_here(path, *SLOW, executor="ray", stall_timeout_s=20.0, events=events).results
    finally:
        ended.set()
        thread.join()
    assert [event.text for event in events if event.kind == "died"] == ["no progress for 20 s (--stall-timeout)"]
    assert [result.outcome for result in results.values()] == ["finished"]
    assert not psutil.pid_exists(hung[0])
