"""Nodes of a Ray cluster that may not work, and nodes that join later."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ray_grid import ONE, SLOW, other_version, trains, until
from ray_servers import Cluster
from services import require_program

import harness
from experiments import TINY, run_directories, run_here, statuses, write_file
from harness.errors import HarnessError
from harness.execution.events import Event

pytestmark = [pytest.mark.services, pytest.mark.timeout(900)]


@contextmanager
def _once_something_trains(path: Path, *sets: str, act: Callable[[threading.Event], None]) -> Iterator[None]:
    """A block beside which `act` begins once a run trains; it is told when the block has ended."""
    ended = threading.Event()

    def wait() -> None:
        until(lambda: ended.is_set() or trains(path, *sets), "nothing trains")
        if not ended.is_set():
            act(ended)

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


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
    joined.start(1, name="head")
    joined.start(1, name="old", PYTHONPATH=other_version(tmp_path))
    path = write_file(tmp_path, ONE)
    with pytest.raises(HarnessError) as refused:
        run_here(path, executor="ray", ray_address=joined.address)
    assert "node old" in str(refused.value)
    assert f"has harness 0.0.7 (here {harness.__version__})" in str(refused.value)


def test_a_node_that_joins_later_takes_runs(tmp_path: Path, joined: Cluster) -> None:
    path = write_file(tmp_path, TINY.replace("seeds = [0]", "seeds = [0, 1, 2, 3]"))
    joined.start(1, name="head")
    taken: set[int] = set()
    events: list[Event] = []

    def join(ended: threading.Event) -> None:
        late = joined.start(1, name="late")
        while not ended.is_set():
            pids = {process.pid for process in late.processes()}
            taken.update(pid for pid in trains(path, *SLOW) if pid in pids)
            time.sleep(0.1)

    with _once_something_trains(path, *SLOW, act=join):
        results = run_here(path, *SLOW, executor="ray", ray_address=joined.address, events=events).results
    assert taken
    assert [result.outcome for result in results.values()] == ["finished"] * 8
    told = [event.text for event in events if event.kind == "note"]
    assert told.index("Ray: 1 at once on 1 node") < told.index("Ray: 2 at once on 2 nodes")


def test_a_node_that_joins_later_and_may_not_work_is_named(tmp_path: Path, joined: Cluster) -> None:
    path = write_file(tmp_path, TINY.replace("seeds = [0]", "seeds = [0, 1, 2, 3]"))
    joined.start(1, name="head")
    elsewhere = other_version(tmp_path)

    def join(_ended: threading.Event) -> None:
        joined.start(1, name="old", PYTHONPATH=elsewhere)

    with (
        pytest.raises(HarnessError, match=r"node old.* has harness 0\.0\.7"),
        _once_something_trains(path, *SLOW, act=join),
    ):
        run_here(path, *SLOW, executor="ray", ray_address=joined.address)
    found = statuses(path, *SLOW).values()
    assert "running" not in {status.state for status in found}
    assert not {attempt.outcome for status in found for attempt in status.attempts} & {"failed", None}


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
