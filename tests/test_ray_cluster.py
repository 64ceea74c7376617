"""The Ray executor on real clusters: nodes that die, nodes that may not work, and what is left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from ray_servers import Cluster, ray_cluster
from services import require_program

from experiments import TINY, final_tensors, run_directories, run_here, statuses, views, write_file
from harness.errors import HarnessError
from harness.execution.events import Event

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]

ONE = TINY[: TINY.index("[[grid]]")]
SLOW = ("training.steps=4000", "training.checkpoint_every=500", "training.log_every=50", "evaluation=[]")
PATIENCE_S = 240.0


def _until(happens: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := happens()):
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
    return found


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with ray_cluster() as started:
        yield started


@pytest.fixture
def joined(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster whose token, and the rest of its variables, this process has, too."""
    for name, value in cluster.environment.items():
        if name.startswith("RAY_"):
            monkeypatch.setenv(name, value)
    return cluster


def _command(
    path: Path, *arguments: str, environment: dict[str, str] | None = None, reports: bool = False
) -> subprocess.Popen[str]:
    """`harness run` with the Ray executor as a user starts it, in a process group of its own."""
    command = [sys.executable, "-m", "harness", "run", str(path), "--executor", "ray", "--threads", "1"]
    command += ["--tracking-uri", "none", *arguments, *(() if reports else ("--no-report",))]
    return subprocess.Popen(
        command,
        cwd=path.parent,
        env={**(environment or os.environ), "NO_COLOR": "1", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _sets(*sets: str) -> list[str]:
    return [part for one in sets for part in ("--set", one)]


def _trains(path: Path, *sets: str) -> list[int]:
    """Processes in which runs have come to records."""
    found = []
    for view in views(path, *sets).values():
        open_attempt = view.status.attempts and view.status.attempts[-1].outcome is None
        if open_attempt and view.directory and view.directory.metrics.exists():
            found.append(view.status.attempts[-1].machine["pid"])
    return found


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
            working = [pid for pid in _trains(path, *sets) if pid in pids]
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
    command = _command(path, *_sets(*SLOW))
    try:
        _until(lambda: _trains(path, *SLOW) or command.poll() is not None, "nothing trains")
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
    again = _command(path, *_sets("training.steps=600", *SLOW[1:]))
    again.communicate(timeout=PATIENCE_S)
    assert again.returncode == 0


def test_ctrl_c_leaves_a_foreign_cluster_clean(tmp_path: Path, cluster: Cluster) -> None:
    path = write_file(tmp_path)
    cluster.start(1, name="head")
    command = _command(path, "--ray-address", cluster.address, *_sets(*SLOW), environment=dict(cluster.environment))
    try:
        _until(lambda: _trains(path, *SLOW) or command.poll() is not None, "nothing trains")
        assert cluster.processes("ray::work") and cluster.processes("ray::Board")
        os.killpg(command.pid, signal.SIGINT)
        _, told = command.communicate(timeout=120)
    finally:
        command.kill()
    assert command.returncode == 130, told
    _until(lambda: not cluster.processes("ray::work") and not cluster.processes("ray::Board"), "something is left")
    found = statuses(path, *SLOW)
    assert sorted(status.state for status in found.values()) == ["interrupted", "pending"]
    assert not list((tmp_path / "runs" / "tiny" / "cache").glob("*.mark"))


def test_a_killed_command_saves_states_and_leaves_nothing(tmp_path: Path) -> None:
    path = write_file(tmp_path, ONE)
    command = _command(path, *_sets(*SLOW))
    try:
        _until(lambda: _trains(path, *SLOW) or command.poll() is not None, "nothing trains")
        family = psutil.Process(command.pid).children(recursive=True)
    finally:
        command.kill()
    command.communicate(timeout=60)
    _, left = psutil.wait_procs(family, timeout=60)
    assert not left
    assert statuses(path, *SLOW)["baseline seed 0"].attempts[-1].outcome == "interrupted"


def test_a_node_that_does_not_see_the_runs_is_named(tmp_path: Path, joined: Cluster) -> None:
    unshare = require_program("unshare")
    hidden = tmp_path / "runs"
    hidden.mkdir()
    probe = [str(unshare), "--mount", "--propagation", "private", "sh", "-c"]
    hide = f"mount -t tmpfs none {hidden}"
    if subprocess.run([*probe, hide], check=False, capture_output=True).returncode:
        pytest.skip("this user cannot mount")
    joined.start(1, name="head")
    joined.start(1, name="blind", prefix=[*probe, f'{hide} && exec "$@"', "sh"])
    path = write_file(tmp_path, ONE)
    with pytest.raises(HarnessError, match="not seen by node blind") as refused:
        run_here(path, executor="ray", ray_address=joined.address)
    assert str(hidden / "tiny") in str(refused.value) and "--runs-dir" in str(refused.value)
    assert not run_directories(path)


def test_a_node_with_another_version_is_refused_and_both_versions_are_named(tmp_path: Path, joined: Cluster) -> None:
    import harness

    other = tmp_path / "other"
    shutil.copytree(Path(harness.__file__).parent, other / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    source = other / "harness" / "__init__.py"
    text = source.read_text(encoding="utf-8")
    assert harness.__version__ in text
    source.write_text(text.replace(harness.__version__, "0.0.7"), encoding="utf-8")
    joined.start(1, name="head")
    joined.start(1, name="old", PYTHONPATH=str(other))
    path = write_file(tmp_path, ONE)
    with pytest.raises(HarnessError) as refused:
        run_here(path, executor="ray", ray_address=joined.address)
    assert "node old" in str(refused.value)
    assert f"has harness 0.0.7 (here {harness.__version__})" in str(refused.value)


def test_what_no_node_has_is_said_at_once_and_so_is_a_wrong_token(
    tmp_path: Path, joined: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined.start(1, name="head")
    path = write_file(tmp_path, ONE)
    with pytest.raises(HarnessError, match=r"reserves \(64 CPU\); there are node head .*: 1 CPU"):
        run_here(path, "resources.cpus=64", executor="ray", ray_address=joined.address)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "beef" * 16)
    with pytest.raises(HarnessError, match="refuses this token") as refused:
        run_here(path, executor="ray", ray_address=joined.address)
    assert "RAY_AUTH_TOKEN_PATH" in str(refused.value)


def test_the_death_of_the_head_ends_the_command_with_words(tmp_path: Path, cluster: Cluster) -> None:
    path = write_file(tmp_path, ONE)
    head = cluster.start(1, name="head")
    arguments = ("--ray-address", cluster.address, *_sets(*SLOW))
    command = _command(path, *arguments, environment=dict(cluster.environment), reports=True)
    try:
        _until(lambda: _trains(path, *SLOW) or command.poll() is not None, "nothing trains")
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
            for pid in _trains(path, *SLOW):
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
