"""Which way Inception runs: the fixed one for few images; for many the quickest that agrees, the same every time."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.evaluation import quickest, trunks
from harness.evaluation.features import no_beat
from harness.evaluation.quickest import PROBE_FROM, Job, conditions, settle
from harness.evaluation.trunks import Captured, Kind, Way, planar, ways
from harness.store.machine_cache import CACHE_VARIABLE

CPU = torch.device("cpu")

SECONDS: dict[tuple[Kind, int], float] = {("fused", 4): 4.0, ("plain", 4): 5.0, ("fused", 16): 8.0, ("plain", 16): 20.0}
"""Of one batch on the made-up machine: `fused x 16` is the quickest."""


class StandIn(nn.Module):
    """A small trunk. As one of the ways it moves a clock by that way's seconds."""

    def __init__(self, machine: Machine, kind: Kind = "plain") -> None:
        super().__init__()
        self.machine, self.kind, self.factor = machine, kind, 1.0

    def forward(self, maps: Tensor) -> Tensor:
        self.machine.seconds += SECONDS[self.kind, len(maps)]
        return self.factor * maps[:, :8, :4, :4]


class Machine:
    """Where every way takes the time that SECONDS says; `built`: what was built, in order."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        self.built: list[str] = []
        self.wrong: set[Kind] = set()
        self.absent: set[Kind] = set()
        monkeypatch.setenv(CACHE_VARIABLE, str(folder))
        monkeypatch.setattr(quickest, "_now", lambda _device: self.seconds)
        monkeypatch.setattr(Way, "build", lambda way, _plain, _maps: self.build(way))

    def build(self, way: Way) -> nn.Module:
        self.built.append(way.name)
        if way.kind in self.absent:
            raise AttributeError("no such operation")
        trunk = StandIn(self, way.kind)
        trunk.factor = 1.01 if way.kind in self.wrong else 1.0
        return trunk

    def settle(self, images: int = PROBE_FROM, dtype: torch.dtype = torch.float32) -> str:
        """Where it settles, as `fused x 4`; nothing is remembered of what was built before."""
        self.built.clear()
        trunk, size = settle(StandIn(self), lambda deep: deep.mean(dim=(2, 3)), Job(CPU, dtype, images, no_beat))
        assert isinstance(trunk, StandIn)
        return f"{trunk.kind} x {size}"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path / "cache", monkeypatch)


def test_few_images_take_the_fixed_way_and_measure_nothing(machine: Machine, tmp_path: Path) -> None:
    assert machine.settle(PROBE_FROM - 1) == "fused x 4"
    assert machine.built == ["fused x 4"]
    assert not (tmp_path / "cache").exists()
    machine.settle(PROBE_FROM)
    assert machine.settle(PROBE_FROM - 1) == "fused x 4"  # whatever another experiment has measured


def test_many_images_take_the_quickest_and_the_next_process_builds_only_that(machine: Machine) -> None:
    assert machine.settle() == "fused x 16"
    assert machine.built == ["fused x 4", "plain x 4", "fused x 16", "plain x 16"]
    assert machine.settle() == "fused x 16"
    assert machine.built == ["fused x 16"]


def test_a_kept_choice_stays_where_the_clock_would_say_otherwise_now(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.settle()
    monkeypatch.setitem(SECONDS, ("fused", 4), 0.1)
    assert machine.settle() == "fused x 16"


@pytest.mark.parametrize("changed", ["torch", "threads", "processor", "compiling"])
def test_whatever_the_choice_depends_on_is_probed_again(
    changed: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.settle()
    images = PROBE_FROM
    match changed:
        case "torch":
            monkeypatch.setattr(torch, "__version__", "99.0")
        case "threads":
            monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
        case "processor":
            monkeypatch.setattr(quickest, "describe_processor", lambda: {"model name": "another"})
        case "compiling":
            monkeypatch.setattr(trunks, "has_compiler", lambda: True)
            monkeypatch.setitem(SECONDS, ("compiled", 4), 9.0)
            images = quickest.COMPILE_FROM
    machine.settle(images)
    assert len(machine.built) == (5 if changed == "compiling" else 4)


def test_bfloat16_takes_the_usual_way_always(machine: Machine, tmp_path: Path) -> None:
    """Its ways agree to a fifth of a feature's mean size only: a choice by the clock would be seen in an FID."""
    assert machine.settle(10**9, torch.bfloat16) == "fused x 4"
    assert len(machine.built) == 1 and not (tmp_path / "cache").exists()


def test_compiled_is_taken_where_it_gains_enough(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trunks, "has_compiler", lambda: True)
    monkeypatch.setitem(SECONDS, ("compiled", 4), 1.0)
    assert machine.settle(quickest.COMPILE_FROM) == "compiled x 4"
    assert machine.settle(quickest.COMPILE_FROM - 1) == "fused x 16"
    monkeypatch.setattr(trunks, "has_compiler", lambda: False)
    assert machine.settle(quickest.COMPILE_FROM) == "fused x 16"


@pytest.mark.parametrize("fault", ["wrong", "absent"])
def test_what_disagrees_is_not_chosen_however_quick(
    fault: str, machine: Machine, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    getattr(machine, fault).add("fused")
    assert machine.settle() == "plain x 4"
    (file,) = (tmp_path / "cache").glob("*.json")
    refused = json.loads(file.read_text())["found"]["refused"]
    assert set(refused) == {"fused x 4", "fused x 16"}
    assert all(("off" if fault == "wrong" else "no such operation") in reason for reason in refused.values())
    assert machine.settle(100) == "plain x 4"
    assert "Inception cannot run fused x 4 here" in caplog.text


def test_a_kept_choice_that_no_longer_agrees_is_left_with_a_word(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    machine.settle()
    machine.wrong.add("fused")
    assert machine.settle() == "plain x 4"
    assert [record.getMessage().split(":")[0] for record in caplog.records if record.levelname == "WARNING"] == [
        f"Inception cannot run fused x {size} here, and runs slower" for size in (16, 4)
    ]


def test_a_damaged_file_is_probed_again(machine: Machine, tmp_path: Path) -> None:
    machine.settle()
    (file,) = (tmp_path / "cache").glob("*.json")
    file.write_bytes(file.read_bytes()[:-9])
    assert machine.settle() == "fused x 16" and len(machine.built) == 4
    assert machine.settle() == "fused x 16" and len(machine.built) == 1


def test_where_nothing_can_be_kept_every_process_takes_the_usual_way(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    assert machine.settle() == "fused x 4" and len(machine.built) == 1
    assert "cannot be kept" in caplog.text


@pytest.mark.parametrize(("device", "dtype"), [("cpu", torch.float64), ("mps", torch.float32), ("cuda", torch.float64)])
def test_where_there_is_one_way_nothing_is_tried(device: str, dtype: torch.dtype) -> None:
    (way,) = ways(torch.device(device), dtype, compiling=True)
    assert way.kind == "plain"
    plain: Any = object()  # neither called nor moved
    assert settle(plain, plain, Job(torch.device(device), dtype, 10**9, no_beat)) == (plain, way.batch_size)


def test_on_cuda_the_plain_way_comes_first_and_graphs_are_tried() -> None:
    tried = ways(torch.device("cuda"), torch.float32, compiling=True)
    assert tried[0] == Way("plain", trunks.GPU_BATCH)
    assert {way.kind for way in tried[1:]} == {"captured", "captured planar"}


def test_conditions_are_plain_values_of_this_machine() -> None:
    job = Job(CPU, torch.float32, PROBE_FROM, no_beat)
    found = conditions(ways(CPU, torch.float32, compiling=False), job)
    assert json.loads(json.dumps(found)) == found == conditions(ways(CPU, torch.float32, compiling=False), job)
    assert {"torch", "threads", "cpu", "capability", "ways", "precision"} <= found.keys()


def test_planar_weights_give_the_same_features() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3)).to(memory_format=torch.channels_last)
    maps = torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(0)).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        made = planar(plain)
        expected = plain(maps)
        found = made(maps)
    torch.testing.assert_close(found, expected)
    assert found.is_contiguous() and not expected.is_contiguous()
    assert plain[0].weight.is_contiguous(memory_format=torch.channels_last)  # the plain one stays as it was


def test_a_graph_replays_what_it_recorded() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    plain = nn.Conv2d(3, 8, 3).cuda()
    maps = torch.randn(2, 3, 12, 12, device="cuda")
    with torch.inference_mode():
        captured = Captured(copy.deepcopy(plain), maps)
        first, second = captured(maps), captured(2 * maps)
        torch.testing.assert_close(first, plain(maps))
        torch.testing.assert_close(second, plain(2 * maps))


def test_without_a_gpu_a_graph_is_refused_and_not_fatal() -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU is there")
    with pytest.raises((RuntimeError, AttributeError)):
        Way("captured", 2).build(nn.Identity(), torch.zeros(2, 32, 4, 4))
