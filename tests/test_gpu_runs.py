"""Runs on GPUs that are not there: real worker processes and a real program nvidia-smi, whose answers are made up.

The workers train on the CPU, each with the variable that would give it its GPU. What goes wrong there is raised by the
user's own generator.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from gpu_grid import CELLS, NETS, at_once, notes, told
from gpu_parts import FakeSmi
from typer.testing import CliRunner

from experiments import final_tensors, run_directories, run_here, statuses, write_file
from harness.cli.app import app
from harness.errors import DeviceError
from harness.execution import executor, gpu_room, placement, runner
from harness.execution.assignment import Assignment, WorkResult
from harness.execution.ending import OUT_OF_MEMORY, OUT_OF_MEMORY_ALONE
from harness.execution.events import Event
from harness.execution.local import LocalExecutor
from harness.execution.placement import on_gpus

GPU_1_GOES = """
        if MINE == "GPU-1" and self.calls == 20 and not once.exists():
            once.touch()
            table = Path({table!r})
            table.write_text("".join(row for row in table.read_text().splitlines(True) if "GPU-1" not in row))
            {how}
"""

Grid = Callable[..., Path]


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSmi:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return FakeSmi(tmp_path / "bin", monkeypatch)


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    """Writes an experiment of four cells whose generator misbehaves as told, and lets workers take GPUs' places."""
    (tmp_path / "shared").mkdir()
    monkeypatch.chdir(tmp_path)

    def write(misbehave: str = "        pass", **chosen: Any) -> Path:
        text = NETS.format(shared=str(tmp_path / "shared"), misbehave=misbehave)
        (tmp_path / "nets.py").write_text(text, encoding="utf-8")
        options = {"threads": 1, "runs": 4, "workers": None, "runs_per_gpu": None, **chosen}
        monkeypatch.setattr(executor, "on_this_machine", lambda _workers: on_gpus(**options))
        return write_file(tmp_path, CELLS)

    return write


def test_every_worker_sees_one_gpu_and_all_gpus_work(grid: Grid, smi: FakeSmi) -> None:
    smi.rows((0, 0), (1, 0))
    path = grid(runs_per_gpu=2)
    events: list[Event] = []
    results = run_here(path, executor="local", events=events).results
    assert [result.outcome for result in results.values()] == ["finished"] * 4
    lines = told(path)
    seen = {(line["pid"], line["gpu"]) for line in lines}
    assert len(seen) == len({pid for pid, _ in seen}) == 4
    assert sorted(gpu for _, gpu in seen) == ["GPU-0", "GPU-0", "GPU-1", "GPU-1"]
    assert notes(events) == ["2 GPUs: GPU 0 (Fake GPU), GPU 1 (Fake GPU); 2 runs on each ([resources] runs_per_gpu)"]


def test_the_variable_chooses_among_them(grid: Grid, smi: FakeSmi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    smi.rows((0, 0), (1, 0))
    path = grid(runs=2)
    run_here(path, executor="local")
    assert {line["gpu"] for line in told(path)} == {"GPU-1", "1"}  # this process looked at the networks, too


def test_weights_are_those_of_one_process(grid: Grid, smi: FakeSmi, tmp_path: Path) -> None:
    smi.rows((0, 0), (1, 0))
    path = grid(runs_per_gpu=2)
    run_here(path, executor="local")
    shared = {key: final_tensors(run) for key, run in run_directories(path).items()}
    (tmp_path / "runs").rename(tmp_path / "before")
    run_here(path)
    for key, run in run_directories(path).items():
        assert all(torch.equal(tensor, shared[key][name]) for name, tensor in final_tensors(run).items())


ONCE = """
        if self.cell == 2 and self.calls == 9 and not once.exists():
            once.touch()
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
"""


def test_memory_that_ran_out_beside_others_is_tried_again_alone(grid: Grid, smi: FakeSmi) -> None:
    smi.rows((0, 0))
    path = grid(ONCE, runs_per_gpu=3)
    events: list[Event] = []
    results = run_here(path, executor="local", events=events).results
    assert [result.outcome for result in results.values()] == ["finished"] * 4
    assert (
        "c2 seed 0: out of memory beside others on GPU 0 (Fake GPU); it is tried again alone, after the rest"
        in notes(events)
    )
    attempts = statuses(path)["c2 seed 0"].attempts
    assert [(attempt.outcome, attempt.reason) for attempt in attempts] == [("failed", OUT_OF_MEMORY), ("finished", "")]
    lines = told(path)
    _first, again = dict.fromkeys(line["pid"] for line in lines if line["cell"] == 2)
    alone = [line for line in lines if line["pid"] == again]
    assert {line["cell"] for line in alone} == {2}
    assert all(set(line["alive"]) <= {f"pid-{again}"} for line in alone), "nobody else may hold memory"
    assert min(line["time"] for line in alone) > max(line["time"] for line in lines if line["pid"] != again)
    assert sum(event.kind == "finished" for event in events) == 4
    assert "died" not in {event.kind for event in events}


def test_memory_that_runs_out_alone_too_is_a_failure_that_says_so(grid: Grid, smi: FakeSmi) -> None:
    smi.rows((0, 0))
    path = grid(ONCE.replace("and not once.exists()", ""), runs_per_gpu=2)
    events: list[Event] = []
    results = run_here(path, executor="local", events=events).results
    assert sorted(result.outcome for result in results.values()) == ["failed", *["finished"] * 3]
    status = statuses(path)["c2 seed 0"]
    assert [attempt.reason for attempt in status.attempts] == [OUT_OF_MEMORY, OUT_OF_MEMORY_ALONE]
    assert (status.state, status.reason) == ("failed", OUT_OF_MEMORY_ALONE)
    assert [event.text for event in events if event.outcome == "failed"] == [OUT_OF_MEMORY_ALONE]


def test_a_run_that_was_alone_anyway_fails_at_once(grid: Grid, smi: FakeSmi) -> None:
    smi.rows((0, 0))
    path = grid(ONCE, runs_per_gpu=1)
    run_here(path, executor="local")
    status = statuses(path)["c2 seed 0"]
    assert [(attempt.outcome, attempt.reason) for attempt in status.attempts] == [("failed", OUT_OF_MEMORY)]
    pids = [line["pid"] for line in told(path)]
    assert len(set(pids)) == 2, "what is left of the memory goes with the process"


@pytest.mark.parametrize(
    "how",
    ['raise RuntimeError("CUDA error: unspecified launch failure")', "os.kill(os.getpid(), signal.SIGABRT)"],
    ids=["error", "death"],
)
def test_a_gpu_that_disappears_is_left_out_and_its_run_goes_on(grid: Grid, smi: FakeSmi, how: str) -> None:
    smi.rows((0, 0), (1, 0))
    path = grid(GPU_1_GOES.format(table=str(smi.folder / "table"), how=how), runs_per_gpu=1)
    events: list[Event] = []
    results = run_here(path, executor="local", events=events).results
    assert [result.outcome for result in results.values()] == ["finished"] * 4
    assert "died" not in {event.kind for event in events}
    assert notes(events)[1:] == ["GPU 1 (Fake GPU) is gone; it is left out, and its runs go on elsewhere"]
    hit = [name for name, status in statuses(path).items() if len(status.attempts) > 1]
    assert len(hit) == 1
    begun = [event.step for event in events if event.kind == "started" and event.run == hit[0]]
    assert begun == [0, 12], "from its newest state"
    lines = told(path)
    lost = max(line["time"] for line in lines if line["gpu"] == "GPU-1")
    assert {line["gpu"] for line in lines if line["time"] > lost} == {"GPU-0"}


def test_other_runs_of_a_gpu_that_disappears_go_on_elsewhere_too(grid: Grid, smi: FakeSmi) -> None:
    smi.rows((0, 0), (1, 0))
    how = "raise RuntimeError('CUDA error: unspecified launch failure')"
    both = """
        while MINE == "GPU-1" and self.calls == 20 and len(list(SHARED.glob("at-GPU-1-*"))) < 2:
            time.sleep(0.02)
"""
    path = grid(both + GPU_1_GOES.format(table=str(smi.folder / "table"), how=how), runs_per_gpu=2)
    steps = ("training.steps=240", "training.checkpoint_every=120", "evaluation=[]")
    results = run_here(path, *steps, executor="local").results
    assert [result.outcome for result in results.values()] == ["finished"] * 4
    moved = [status for status in statuses(path, *steps).values() if len(status.attempts) == 2]
    assert len(moved) == 2


def test_without_any_gpu_left_the_command_says_which_went(grid: Grid, smi: FakeSmi) -> None:
    smi.rows((1, 0))
    how = 'raise RuntimeError("CUDA error: unspecified launch failure")'
    path = grid(GPU_1_GOES.format(table=str(smi.folder / "table"), how=how), runs_per_gpu=1)
    with pytest.raises(DeviceError, match=r"no GPU is left: GPU 1 \(Fake GPU\) is gone") as caught:
        run_here(path, executor="local")
    assert caught.value.where == "GPU-1"
    smi.rows((0, 0))  # another was put in
    results = run_here(path, executor="local").results
    assert {result.outcome for result in results.values()} == {"finished"}


def test_what_was_done_before_the_last_gpu_went_is_reported(grid: Grid, smi: FakeSmi) -> None:
    smi.rows((1, 0))
    how = 'raise RuntimeError("CUDA error: unspecified launch failure")'
    third = GPU_1_GOES.replace("self.calls == 20", "self.cell == 3 and self.calls == 20")
    path = grid(third.format(table=str(smi.folder / "table"), how=how), runs_per_gpu=1)
    done = CliRunner().invoke(app, ["run", path.name, "--executor", "local", "--tracking-uri", "none"])
    assert done.exit_code == 1
    assert "4 runs: 2 complete, 1 failed, 1 pending" in done.stderr, done.stderr
    assert "error: GPU-1: no GPU is left: GPU 1 (Fake GPU) is gone" in done.stderr.splitlines()
    assert "no GPU is left: GPU 1 (Fake GPU) is gone; what is done is kept" in done.stderr.splitlines()
    assert "elsewhere" not in done.stderr
    assert "stopped by an error" in (path.parent / "reports" / "tiny" / "live.html").read_text(encoding="utf-8")
    report = json.loads((path.parent / "reports" / "tiny" / "report.json").read_text())
    assert sum(run["state"] == "complete" for run in report["runs"]) == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch can use the GPU here")
def test_gpus_that_no_run_could_begin_on_leave_no_report(
    grid: Grid, smi: FakeSmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs are handed out to them, and none begins."""
    smi.rows((0, 0))
    path = grid()
    monkeypatch.setattr(runner, "device_of", lambda *_: "cuda")
    done = CliRunner().invoke(app, ["run", path.name, "--executor", "local", "--tracking-uri", "none"])
    assert isinstance(done.exception, DeviceError) and "no GPU is left" in str(done.exception)
    assert "started   baseline seed 0" in done.stderr
    assert not (path.parent / "reports" / "tiny" / "report.md").exists()


def test_an_error_of_a_gpu_that_is_still_there_is_the_runs_own(grid: Grid, smi: FakeSmi) -> None:
    """And its process, in which CUDA may answer every further call so, is replaced."""
    smi.rows((0, 0))
    fault = """
        if self.cell == 2 and self.calls == 9:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
"""
    path = grid(fault, runs_per_gpu=1)
    events: list[Event] = []
    run_here(path, executor="local", events=events)
    found = statuses(path)
    assert [found[f"c{number} seed 0"].state for number in (2, 3, 4)] == ["failed", "complete", "complete"]
    assert len(found["c2 seed 0"].attempts) == 1 and "illegal memory access" in found["c2 seed 0"].reason
    lines = told(path)
    assert not {line["pid"] for line in lines if line["cell"] == 2} & {
        line["pid"] for line in lines if line["cell"] in (3, 4)
    }


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch can use the GPU here")
def test_gpus_that_no_process_can_use_are_left_out_one_by_one(
    grid: Grid, smi: FakeSmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way of a CUDA device, to the error of a real torch that finds none."""
    smi.rows((0, 0), (1, 0))
    path = grid()
    monkeypatch.setattr(runner, "device_of", lambda *_: "cuda")
    events: list[Event] = []
    said = r"no GPU is left: GPU \d .* cannot be used .*the GPU cannot be used"
    with pytest.raises(DeviceError, match=said) as caught:
        run_here(path, executor="local", device="cuda", events=events)
    (first,) = (note.split(" (")[0] for note in notes(events)[1:])
    assert {first, str(caught.value).split(": ")[2].split(" (")[0]} == {"GPU 0", "GPU 1"}
    assert {status.state for status in statuses(path).values()} == {"pending"}, "no run is to blame"


@pytest.mark.parametrize(("busy", "most"), [(20, 2), (99, 1)])
def test_a_probe_lets_a_second_run_join(
    grid: Grid, smi: FakeSmi, monkeypatch: pytest.MonkeyPatch, busy: int, most: int
) -> None:
    """One fake GPU with two cores; the first two runs are long enough to be watched."""
    monkeypatch.setattr(gpu_room, "WATCH_S", 0.6)
    monkeypatch.setattr(placement, "LOOK_EVERY_S", 0.2)
    monkeypatch.setattr(placement, "available_cores", lambda: 2)
    smi.answer(f"0, GPU-0, Fake GPU, 81920, 1000, {busy}\n")
    slow = """
        time.sleep(0.05)
"""
    path = grid(slow)
    events: list[Event] = []
    steps = ("training.steps=32", "training.checkpoint_every=16", "evaluation=[]")
    results = run_here(path, *steps, executor="local", events=events).results
    assert [result.outcome for result in results.values()] == ["finished"] * 4
    assert at_once(events) == most
    assert notes(events)[0] == "1 GPU: GPU 0 (Fake GPU); one run on each at first, more where a probe finds room"
    assert notes(events)[1:] == (["GPU 0 (Fake GPU): one run at a time; it is 99 % busy"] if busy == 99 else [])


class Caught(Exception):
    """Ends a call with the assignments that it made."""


def test_a_gpu_that_refuses_a_second_process_takes_one_run(
    grid: Grid, smi: FakeSmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in compute mode EXCLUSIVE_PROCESS. Real processes, to which only the answer is put in their mouths."""
    caught: list[Assignment] = []

    class Catching:
        def run(self, assignments: Sequence[Assignment], *_: object) -> dict[str, WorkResult]:
            caught.extend(assignments)
            raise Caught

    smi.rows((0, 0))
    path = grid()
    monkeypatch.setattr(runner, "executor_of", lambda *_: Catching())
    with pytest.raises(Caught):
        run_here(path)
    places = on_gpus(1, 4, None, 3)
    local = LocalExecutor(places, "cpu", 1, stall_timeout_s=60.0)
    place = places.with_room(Counter(), ())
    assert place is not None
    workers = [local._crew.start(place) for _ in range(2)]
    try:
        for worker, assignment in zip(workers, caught, strict=False):
            worker.assignment = assignment
        events: list[Event] = []
        refused = WorkResult("failed", reason="busy or unavailable", trouble="no device")
        assert local._goes_on(workers[0], refused, events.append)
        assert local._crew.workers == workers[1:] and list(local._pending) == caught[:1]
        assert notes(events) == ["GPU 0 (Fake GPU) does not take 2 runs (busy or unavailable); fewer from now on"]
        assert places.with_room(Counter({place: 1}), ()) is None and places.with_room(Counter(), ()) is place
        with pytest.raises(DeviceError, match=r"no GPU is left: GPU 0 .* cannot be used"):
            local._goes_on(workers[1], refused, events.append)  # the last one: no other process is to blame
        assert local._crew.workers == [] and sorted(run.cell for run in local._pending) == [
            run.cell for run in sorted(caught[:2], key=lambda run: run.cell)
        ]
    finally:
        local._crew.kill(local._crew.workers)
