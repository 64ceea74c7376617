"""Which worker gets which GPU, with lists of GPUs that are not there."""

from __future__ import annotations

from collections import Counter

import pytest
from gpu_parts import FakeFacts, gpu

from harness.errors import DeviceError
from harness.execution import placement
from harness.execution.placement import Place, Places, on_gpus, on_this_machine

GIB = 1024.0


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """16 cores, no variable, and torch that sees no GPU."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(placement, "available_cores", lambda: 16)
    monkeypatch.setattr(placement, "gpu_count", lambda: 0)


def two(**options: int | None) -> tuple[Places, FakeFacts]:
    facts = FakeFacts((gpu(0), gpu(1)))
    chosen = {"threads": 1, "runs": 100, "workers": None, "runs_per_gpu": None, **options}
    return on_gpus(**chosen, facts=facts), facts  # type: ignore[arg-type]


def fill(places: Places) -> Counter[Place]:
    """Runs where they would be, when as many as possible are started."""
    busy: Counter[Place] = Counter()
    while (place := places.with_room(busy, ())) is not None:
        busy[place] += 1
    return busy


def counts(busy: Counter[Place]) -> dict[int, int]:
    return {place.gpu.index: count for place, count in busy.items() if place.gpu}


def test_runs_spread_over_all_gpus_before_any_is_shared() -> None:
    places, _ = two(runs_per_gpu=2)
    busy: Counter[Place] = Counter()
    order = []
    while (place := places.with_room(busy, ())) is not None:
        busy[place] += 1
        order.append(str(place))
    assert order == ["GPU 0 (NVIDIA H200)", "GPU 1 (NVIDIA H200)"] * 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {0: 1, 1: 1}),
        ({"runs_per_gpu": 3}, {0: 3, 1: 3}),
        ({"runs_per_gpu": 3, "workers": 4}, {0: 2, 1: 2}),
        ({"runs_per_gpu": 20, "threads": 16}, {0: 20, 1: 20}),  # what a person fixes is not cut by the cores
        ({"runs_per_gpu": 3, "runs": 3}, {0: 2, 1: 1}),
        ({"workers": 1}, {0: 1}),
        ({"runs": 1}, {0: 1}),
        ({"threads": 16}, {0: 1, 1: 1}),  # one core, but no GPU stays idle
    ],
)
def test_what_is_fixed_and_what_limits(options: dict[str, int], expected: dict[int, int]) -> None:
    assert counts(fill(two(**options)[0])) == expected


def test_room_grows_on_each_gpu_by_what_is_seen_of_it() -> None:
    """Of GPU 0 another program takes 40 GiB; a run takes 10. Watched once a second for two minutes."""
    facts = FakeFacts((gpu(0, used_mib=40 * GIB), gpu(1)))
    places = on_gpus(1, 100, None, None, facts)
    notes: list[str] = []
    for _ in range(120):
        busy = fill(places)
        for index, used in ((0, 40 * GIB), (1, 0.0)):
            facts.use(index, used + 10 * GIB * counts(busy)[index])
        notes += places.watch(1.0, busy, busy)
    assert counts(fill(places)) == {0: 3, 1: 7}
    assert notes == [
        "GPU 0 (NVIDIA H200): 3 runs side by side; another would need 10.0 GiB, and 2.0 GiB are free to be used",
        "GPU 1 (NVIDIA H200): 7 runs side by side; another would need 10.0 GiB, and 2.0 GiB are free to be used",
    ]


def test_a_gpu_is_watched_only_while_all_its_runs_work_and_another_may_come() -> None:
    places, facts = two()
    busy = fill(places)
    looks = facts.looks
    idle: Counter[Place] = Counter()
    for _ in range(20):
        places.watch(1.0, busy, idle)  # they load torch
    assert facts.looks == looks
    limited, facts = two(workers=2)
    busy, looks = fill(limited), facts.looks
    for _ in range(20):
        limited.watch(1.0, busy, busy)  # --workers leaves no room anyway
    assert facts.looks == looks
    assert counts(fill(limited)) == {0: 1, 1: 1}


def test_looks_are_a_second_apart_however_often_the_loop_turns() -> None:
    places, facts = two()
    busy, before = fill(places), facts.looks
    for _ in range(40):
        places.watch(0.1, busy, busy)
    assert 3 <= facts.looks - before <= 4


def test_nobody_is_asked_again_who_does_not_answer() -> None:
    """A broken driver may hold up each question for long."""
    places, facts = two()
    busy = fill(places)
    facts.gpus = None
    looks, notes = facts.looks, []
    for _ in range(10):
        notes += places.watch(1.0, busy, busy)
    assert facts.looks == looks + 1
    assert notes == [
        f"GPU {index} (NVIDIA H200): one run at a time; nvidia-smi does not answer any more" for index in (0, 1)
    ]
    assert counts(fill(places)) == {0: 1, 1: 1}


def test_the_cores_limit_what_a_probe_may_add() -> None:
    places, facts = two(threads=5)  # three workers
    for _ in range(60):
        busy = fill(places)
        facts.use(0, GIB * counts(busy)[0])
        facts.use(1, GIB * counts(busy)[1])
        places.watch(1.0, busy, busy)
    assert sum(counts(fill(places)).values()) == 3


def test_memory_that_ran_out_makes_room_smaller_unless_it_was_fixed() -> None:
    places, facts = two()
    for _ in range(14):
        busy = fill(places)
        for index in (0, 1):
            facts.use(index, GIB * counts(busy)[index])
        places.watch(1.0, busy, busy)
    busy = fill(places)
    assert counts(busy) == {0: 3, 1: 3}
    first = next(place for place in busy if place.gpu and place.gpu.index == 0)
    places.crowd(first, 3)
    assert counts(fill(places)) == {0: 2, 1: 3}
    for _ in range(60):  # and does not grow again
        busy = fill(places)
        places.watch(1.0, busy, busy)
    assert counts(fill(places))[0] == 2
    fixed, _ = two(runs_per_gpu=3)
    place = next(iter(fill(fixed)))
    fixed.crowd(place, 3)
    assert counts(fill(fixed)) == {0: 3, 1: 3}
    fixed.narrow(place, 1)
    assert counts(fill(fixed)) == {0: 1, 1: 3}


def test_a_closed_gpu_gets_nothing_and_one_that_is_empty_takes_who_must_be_alone() -> None:
    places, _ = two(runs_per_gpu=2)
    busy = fill(places)
    first, second = busy
    busy[first] -= 1
    assert places.with_room(busy, {first}) is None
    assert places.emptied(busy) is None
    busy[first] -= 1
    assert places.emptied(busy) is first
    assert places.with_room(busy, {second}) is first


def test_a_gpu_that_is_gone_is_left_out_and_the_last_one_is_an_error() -> None:
    places, facts = two(runs_per_gpu=2)
    first, second = fill(places)
    assert not places.is_gone(first)
    facts.gpus = (gpu(1),)
    assert places.is_gone(first) and not places.is_gone(second)
    places.leave_out(first, "is gone")
    assert counts(fill(places)) == {1: 2}
    with pytest.raises(DeviceError, match=r"no GPU is left: GPU 1 \(NVIDIA H200\) is gone") as caught:
        places.leave_out(second, "is gone")
    assert caught.value.where == "GPU-1111-aa" and "nvidia-smi" in caught.value.remedy


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({}, "2 GPUs: {}; one run on each at first, more where a probe finds room"),
        ({"runs": 2}, "2 GPUs: {}; one run on each"),
        ({"workers": 2}, "2 GPUs: {}; one run on each"),
        ({"runs_per_gpu": 3}, "2 GPUs: {}; 3 runs on each ([resources] runs_per_gpu)"),
    ],
)
def test_what_is_done_is_told(options: dict[str, int], note: str) -> None:
    assert two(**options)[0].notes == (note.format("GPU 0 (NVIDIA H200), GPU 1 (NVIDIA H200)"),)


def test_without_nvidia_smi_gpus_are_as_torch_counts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "gpu_count", lambda: 2)
    places = on_gpus(1, 100, None, None, FakeFacts(None))
    assert places.notes == (
        "nvidia-smi does not list them: GPUs are as torch counts them",
        "2 GPUs: GPU 0, GPU 1; one run on each",
    )
    assert [place.gpu.id for place in fill(places) if place.gpu] == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,3")
    assert [place.gpu.id for place in fill(on_gpus(1, 9, None, None, FakeFacts(None))) if place.gpu] == ["5", "3"]


def test_no_visible_gpu_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(DeviceError, match="no GPU is visible") as caught:
        two()
    assert caught.value.where == "CUDA_VISIBLE_DEVICES="


def test_without_gpus_there_is_one_place_for_all_workers() -> None:
    places = on_this_machine(3)
    assert list(fill(places).values()) == [3]
    assert places.notes == ()
    busy = fill(places)
    assert places.watch(100.0, busy, busy) == []
    assert not places.is_gone(next(iter(busy)))
