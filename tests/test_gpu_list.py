"""Which GPUs are visible, from what nvidia-smi says and CUDA_VISIBLE_DEVICES names. Without any GPU."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from gpu_parts import FakeFacts, FakeSmi, gpu

from harness.errors import DeviceError
from harness.execution import gpu_list
from harness.execution.gpu_list import Gpu, Load, NvidiaSmi, parse_instances, parse_row, visible_gpus

FOUR = tuple(gpu(index) for index in range(4))
INSTANCES = (("MIG-aaaa-1", "3g.40gb"), ("MIG-bbbb-2", "3g.40gb"))
SPLIT = Gpu("GPU-9999-aa", 4, "NVIDIA H200", Load(80.0, 0.0, None), INSTANCES)

LISTED = """GPU 0: NVIDIA A100 (UUID: GPU-5c89)
  MIG 3g.20gb     Device  0: (UUID: MIG-a09b)
  MIG 3g.20gb     Device  1: (UUID: MIG-77c1)
GPU 1: NVIDIA A100 (UUID: GPU-77ff)
"""


def indices(wanted: str | None, *more: Gpu, **variables: str) -> list[int]:
    environment = variables | ({} if wanted is None else {"CUDA_VISIBLE_DEVICES": wanted})
    return [found.index for found in visible_gpus(FakeFacts((*FOUR, *more)), environment) or ()]


@pytest.mark.parametrize(
    ("wanted", "seen"),
    [
        (None, [0, 1, 2, 3]),
        ("2,0", [2, 0]),
        (" 3 , 1 ", [3, 1]),
        ("", []),
        ("-1", []),
        ("0,-1,2", [0]),
        ("1,9,2", [1]),
        ("1,1", []),
        ("no GPU", []),
        ("GPU-2222-aa,GPU-0000-aa", [2, 0]),
        ("GPU-22,GPU-0", [2, 0]),
        ("GPU-,GPU-0", []),
        ("GPU-1111-aa,GPU-7777,GPU-0000-aa", [1]),
        ("GPU-1111-aa,GPU-1111-aa", []),
    ],
)
def test_the_variable_is_read_as_cuda_reads_it(wanted: str | None, seen: list[int]) -> None:
    assert indices(wanted) == seen


def test_a_split_gpu_stands_for_its_instances() -> None:
    facts = FakeFacts((FOUR[0], SPLIT))
    found = visible_gpus(facts, {})
    assert found is not None
    assert [device.id for device in found] == [FOUR[0].id, "MIG-aaaa-1", "MIG-bbbb-2"]
    assert str(found[1]) == "GPU 4 (NVIDIA H200 MIG 3g.40gb)" and found[1].load is None
    for wanted, ids in (
        ("MIG-bbbb-2", ["MIG-bbbb-2"]),
        ("MIG-b", ["MIG-bbbb-2"]),
        ("MIG-bbbb-2,MIG-aaaa-1", ["MIG-bbbb-2", "MIG-aaaa-1"]),
        ("MIG-", []),
    ):
        shown = visible_gpus(facts, {"CUDA_VISIBLE_DEVICES": wanted})
        assert [device.id for device in shown or ()] == ids


def test_indices_among_different_gpus_are_cudas_and_not_nvidia_smis() -> None:
    """CUDA counts the fastest first, nvidia-smi by slot."""
    old = gpu(4, name="NVIDIA T4")
    mixed = (old, *FOUR)
    with pytest.raises(DeviceError, match="CUDA counts as 0 is not known") as caught:
        visible_gpus(FakeFacts(mixed), {"CUDA_VISIBLE_DEVICES": "0"})
    assert "UUID" in caught.value.remedy
    told = FakeFacts(mixed, order=(FOUR[2].id, old.id))
    assert visible_gpus(told, {"CUDA_VISIBLE_DEVICES": "0,4"}) == (FOUR[2], old)
    assert indices("4", old, CUDA_DEVICE_ORDER="PCI_BUS_ID") == [4]
    assert indices(None, old) == [0, 1, 2, 3, 4]
    assert indices("GPU-44", old) == [4]
    assert indices("-1", old) == []


def test_nothing_is_known_where_nobody_answers() -> None:
    assert visible_gpus(FakeFacts(None), {}) is None


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("0, GPU-ab, NVIDIA H200, 143771, 512, 37", Gpu("GPU-ab", 0, "NVIDIA H200", Load(143771, 512, 37))),
        ("1, GPU-cd, Odd, Name, 100, 5, [N/A]", Gpu("GPU-cd", 1, "Odd, Name", Load(100, 5, None))),
        ("2, GPU-ef, Some, [N/A], [N/A], 3", Gpu("GPU-ef", 2, "Some", None)),
        ("3, GPU-12, Some, [GPU is lost], [GPU is lost], [GPU is lost]", None),
        ("4, [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost]", None),
        ("Unable to determine the device handle for GPU0000:3B:00.0: Unknown Error", None),
        ("No devices were found", None),
        ("", None),
    ],
)
def test_rows_of_the_table(line: str, found: Gpu | None) -> None:
    assert parse_row(line) == found


def test_instances_belong_to_the_gpu_above_them() -> None:
    assert parse_instances(LISTED) == {"GPU-5c89": (("MIG-a09b", "3g.20gb"), ("MIG-77c1", "3g.20gb"))}
    assert parse_instances("no such thing\n  MIG 1g Device 0: (UUID: MIG-x)\n") == {}


def test_the_program_is_asked_and_its_list_only_where_a_gpu_may_be_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi = FakeSmi(tmp_path / "bin", monkeypatch)
    smi.rows((0, 100), (1, 200))
    found = NvidiaSmi().listed()
    assert found == (
        Gpu("GPU-0", 0, "Fake GPU", Load(81920, 100, 50)),
        Gpu("GPU-1", 1, "Fake GPU", Load(81920, 200, 50)),
    )
    assert "-L" not in smi.asked
    smi.answer("0, GPU-0, Fake GPU, 81920, 100, 50\nWARNING: infoROM is corrupted at gpu 0000:3B:00.0\n", code=14)
    assert NvidiaSmi().listed() == found[:1]
    smi.answer("0, GPU-5c89, NVIDIA A100, 40960, 5, [N/A]\n")
    (smi.folder / "list").write_text(LISTED)
    split = NvidiaSmi().listed()
    assert split is not None and [id for id, _ in split[0].instances] == ["MIG-a09b", "MIG-77c1"]
    assert not NvidiaSmi().is_gone(Gpu("MIG-77c1", 0, ""))
    assert NvidiaSmi().is_gone(Gpu("MIG-0000", 0, ""))


def test_a_gpu_is_gone_only_where_that_is_certain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi = FakeSmi(tmp_path / "bin", monkeypatch)
    first, second = Gpu("GPU-0", 0, "Fake GPU"), Gpu("GPU-1", 1, "Fake GPU")
    smi.rows((0, 0), (1, 0))
    assert not NvidiaSmi().is_gone(first)
    smi.rows((0, 0))
    assert NvidiaSmi().is_gone(second) and not NvidiaSmi().is_gone(first)
    smi.answer("Unable to determine the device handle for GPU0000:3B:00.0: GPU is lost.\n", code=15)
    (smi.folder / "GPU-0").write_text("GPU-0\n")  # asked for alone, it answers
    assert NvidiaSmi().is_gone(second) and not NvidiaSmi().is_gone(first)
    assert not NvidiaSmi().is_gone(Gpu("0", 0, ""))  # by index: which it was cannot be told
    (smi.folder / "nvidia-smi").write_text("#!/bin/sh\necho 'Driver/library version mismatch'\nexit 18\n")
    assert NvidiaSmi().listed() is None
    assert not NvidiaSmi().is_gone(second)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert NvidiaSmi().listed() is None and not NvidiaSmi().is_gone(second)


def test_a_program_that_hangs_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi = FakeSmi(tmp_path / "bin", monkeypatch)
    (smi.folder / "nvidia-smi").write_text("#!/bin/sh\nexec sleep 600\n")
    monkeypatch.setattr(gpu_list, "LOOK_S", 0.3)
    begun = time.monotonic()
    assert NvidiaSmi().listed() is None
    assert time.monotonic() - begun < 60
