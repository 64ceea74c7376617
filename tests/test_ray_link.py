"""The way to a Ray cluster, as far as it goes without one."""

from __future__ import annotations

import pickle
import socket
import sys
from pathlib import Path

import pytest
from ray_servers import free_port

from experiments import TINY, opened, run_here, write_file
from harness.errors import DeviceError, HarnessError, StoreError
from harness.execution.deaths import Deaths, died_twice
from harness.execution.ray_board import Board, Flight, feel_all
from harness.execution.ray_executor import reservation_of
from harness.execution.ray_link import require_address, scratch_folder
from harness.execution.ray_messages import GIB, Errand, Pulse, Reservation, Versions, Wishes
from harness.execution.ray_nodes import NodeFacts, node_facts, node_probe, probe_arguments, refusal
from harness.execution.storage import StorageMark, storage_mark
from harness.store.rundir import ExperimentDirectory


def _errand(folder: Path, mark: StorageMark | None = None) -> Errand:
    return Errand(
        address=None,
        cores=1,
        reservation=Reservation(1),
        device="cpu",
        threads=1,
        stall_timeout_s=900.0,
        mark=mark or StorageMark(ExperimentDirectory(folder), "word"),
        versions=Versions("1.2", "2.15.0", "3.11"),
        folder=folder,
        scratch=folder,
    )


def test_nobody_at_the_address_is_told_before_anything_starts(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(HarnessError, match=f"no Ray head answers at 127.0.0.1:{port}") as refused:
        run_here(write_file(tmp_path), executor="ray", ray_address=f"127.0.0.1:{port}")
    assert "ray start --head" in str(refused.value)


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "cluster", "127.0.0.1:", ":6379", "host:99999"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(HarnessError, match="is no address of a Ray cluster"):
        require_address(address)


def test_an_address_where_somebody_listens_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        require_address(f"127.0.0.1:{server.getsockname()[1]}")
    require_address("auto")


def test_nodes_that_differ_are_all_named_with_both_versions(tmp_path: Path) -> None:
    same = Versions("1.2", "2.15.0", "3.11")
    facts = [
        NodeFacts("node a", same, True),
        NodeFacts("node b", Versions("1.1", "2.15.0", "3.11"), True),
        NodeFacts("node c", Versions("1.2", "2.10.0", "3.12"), False),
    ]
    error = refusal(facts, _errand(tmp_path))
    assert isinstance(error, DeviceError)
    assert error.what == (
        "node b has harness 1.1 (here 1.2); node c has torch 2.10.0 (here 2.15.0), Python 3.12 (here 3.11)"
    )
    blind = refusal([NodeFacts("node a", same, True), NodeFacts("node d", same, False)], _errand(tmp_path))
    assert isinstance(blind, StoreError)
    assert blind.what == "not seen by node d" and blind.where == str(tmp_path)
    assert refusal(facts[:1], _errand(tmp_path)) is None


def test_the_probe_travels_whole_and_sees_only_the_mark_that_is_there(tmp_path: Path) -> None:
    import harness

    cloudpickle = pytest.importorskip("cloudpickle")

    probe = pickle.loads(cloudpickle.dumps(node_probe()))
    directory = ExperimentDirectory(tmp_path)
    with storage_mark(directory) as mark:
        facts = node_facts("node a", probe(*probe_arguments(_errand(tmp_path, mark))))
        assert facts.sees_storage and facts.versions.harness == harness.__version__
        assert facts.versions.python == f"{sys.version_info.major}.{sys.version_info.minor}"
        other = StorageMark(directory, "another")
        assert not node_facts("node a", probe(*probe_arguments(_errand(tmp_path, other)))).sees_storage
    assert not node_facts("node a", probe(*probe_arguments(_errand(tmp_path, mark)))).sees_storage


@pytest.mark.parametrize(
    ("reservation", "offered", "runs"),
    [
        (Reservation(1), {"CPU": 4.0}, 4),
        (Reservation(3), {"CPU": 4.0}, 1),
        (Reservation(5), {"CPU": 4.0}, 0),
        (Reservation(1, 0.25), {"CPU": 16.0, "GPU": 2.0}, 8),
        (Reservation(1, 0.4), {"CPU": 16.0, "GPU": 2.0}, 4),
        (Reservation(1, 0.25), {"CPU": 3.0, "GPU": 1.0}, 3),
        (Reservation(1, 1.0), {"CPU": 3.0}, 0),
        (Reservation(1, 0.0, 8 * GIB), {"CPU": 16.0, "memory": 20.0 * GIB}, 2),
        (Reservation(1), {}, 0),
    ],
)
def test_how_many_runs_a_node_takes(reservation: Reservation, offered: dict[str, float], runs: int) -> None:
    assert reservation.fits(offered) == runs


def test_a_run_reserves_what_the_file_says(tmp_path: Path) -> None:
    path = write_file(tmp_path, TINY + "\n[resources]\ncpus = 2\ngpus = 0.25\nmemory_gb = 1.5\n")
    experiment = opened(path).experiment
    assert reservation_of(experiment, "cuda", 1) == Reservation(2, 0.25, 3 * GIB // 2)
    assert reservation_of(experiment, "cpu", 1) == Reservation(2, 0.0, 3 * GIB // 2)
    plain = opened(write_file(tmp_path)).experiment
    assert reservation_of(plain, "cpu", 3) == Reservation(3)
    assert str(reservation_of(experiment, "cuda", 1)) == "2 CPU, 0.25 GPU, 1.5 GiB"


def test_two_deaths_without_progress_fail_a_run_and_progress_forgives() -> None:
    deaths = Deaths()
    assert deaths.count("a", "node x died", progressed=False) == ""
    assert deaths.count("b", "node x died", progressed=False) == ""
    assert deaths.count("a", "node x died", progressed=True) == ""
    assert deaths.count("a", "node x died", progressed=False) == ""
    assert (
        died_twice(deaths.count("a", "killed", progressed=False))
        == "its process died twice without progress (node x died, then killed)"
    )


def test_the_scratch_folder_is_short_private_and_gone_afterwards() -> None:
    with scratch_folder() as folder:
        assert folder.is_dir() and folder.stat().st_mode & 0o077 == 0
        assert len(str(folder / "session_2026-01-01_00-00-00_000000_1234567" / "sockets" / "plasma_store")) < 107
    assert not folder.exists()


def test_a_task_begins_with_its_first_pulse_and_stalls_when_its_work_does_not_go_on() -> None:
    flights = [Flight(1, None), Flight(2, None)]  # type: ignore[arg-type]

    def look(passed_s: float, **asked: int) -> tuple[list[int], list[int]]:
        pulses = [Pulse(int(name[1:]), "n", 1, 0.0, count) for name, count in asked.items()]
        begun, stalled = feel_all(flights, pulses, passed_s, 3.0)
        return [flight.ticket for flight in begun], [flight.ticket for flight in stalled]

    assert look(2.0) == ([], [])
    assert look(2.0, t1=0) == ([1], [])
    assert look(2.0, t1=5, t2=1) == ([2], [])
    assert look(2.0, t1=9, t2=1) == ([], [])
    assert look(2.0, t1=9) == ([], [2])  # one says the same again, the other nothing at all
    assert look(2.0, t1=9, t2=1) == ([], [1])


def test_the_board_gives_pulses_once_and_passes_wishes_on() -> None:
    board = Board()
    pulse = Pulse(1, "n", 1, 0.0, 4)
    assert board.tell(pulse) == Wishes()
    assert board.look(Wishes(saves=1)) == [pulse]
    assert board.look(Wishes(saves=1)) == []
    assert board.tell(pulse) == Wishes(saves=1)
