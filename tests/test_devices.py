"""Devices and workers: nothing is substituted in silence, and what is hidden on purpose counts as absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from harness.errors import DeviceError
from harness.execution.devices import available_cores, choose_device, choose_workers, has_nvidia_gpu
from harness.execution.machine import describe_machine


@pytest.fixture
def seen_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose driver lists a GPU."""
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: GPU-0)'\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch can use the GPU here")
@pytest.mark.usefixtures("seen_gpu")
def test_a_gpu_that_torch_cannot_use_is_an_error_unless_another_device_is_chosen() -> None:
    with pytest.raises(DeviceError, match="NVIDIA GPU that torch cannot use") as caught:
        choose_device("auto")
    assert "--device cpu" in caught.value.remedy
    assert choose_device("cpu") == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch can use the GPU here")
def test_an_asked_for_gpu_is_never_replaced() -> None:
    with pytest.raises(DeviceError, match="cannot use a CUDA GPU"):
        choose_device("cuda")


@pytest.mark.usefixtures("seen_gpu")
def test_a_gpu_that_is_hidden_on_purpose_counts_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert has_nvidia_gpu()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not has_nvidia_gpu()


def test_workers_fill_the_cores_and_never_exceed_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.execution.devices.available_cores", lambda: 8)
    assert [choose_workers("cpu", threads, 100) for threads in (1, 2, 3, 16)] == [8, 4, 2, 1]
    assert choose_workers("cpu", 1, 3) == 3
    assert choose_workers("mps", 1, 100) == 1


def test_an_estimate_for_gpus_counts_the_runs_that_are_sure_to_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.execution.devices.gpu_count", lambda: 4)
    assert [choose_workers("cuda", 1, runs) for runs in (1, 3, 100)] == [1, 3, 4]
    assert [choose_workers("cuda", 1, runs, runs_per_gpu=3) for runs in (5, 100)] == [5, 12]


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch can use the GPU here")
def test_a_variable_that_may_hide_the_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    with pytest.raises(DeviceError, match="cannot use a CUDA GPU") as caught:
        choose_device("cuda")
    assert caught.value.remedy.startswith("CUDA_VISIBLE_DEVICES is '7'")


def test_cores_are_those_that_this_process_may_use() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def test_a_gpu_that_cannot_be_described_is_an_error_in_words() -> None:
    with pytest.raises(DeviceError, match="the GPU cannot be used: ") as caught:
        describe_machine("cuda:99", 1)
    assert caught.value.where == "cuda:99" and caught.value.remedy
