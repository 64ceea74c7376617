"""Whatever ends an attempt: an outcome, and a reason that says what to do. Memory runs out for real."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from run_files import run_at, small_disk

from harness.errors import DeviceError, OwnPartError
from harness.execution.ending import OUT_OF_MEMORY, OUT_OF_MEMORY_ALONE, ending_of
from harness.execution.measure import Stopped
from harness.execution.run_log import log_file
from harness.gan.training import TrainingResult
from harness.store import atomic
from harness.store.rundir import RunDirectory

TOO_MUCH = 2**50


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    directory = run_at(tmp_path)

    return directory


def raising(error: BaseException) -> Callable[[], TrainingResult]:
    def work() -> TrainingResult:
        raise error

    return work


def allocating(allocate: Callable[[int], object]) -> Callable[[], TrainingResult]:
    def work() -> TrainingResult:
        allocate(TOO_MUCH)
        return TrainingResult("finished", 1)

    return work


@pytest.mark.parametrize(
    "allocate",
    [
        lambda size: torch.empty(size, dtype=torch.uint8),
        lambda size: np.empty(size, dtype=np.uint8),
        bytearray,
        pytest.param(
            lambda size: torch.empty(size, dtype=torch.uint8, device="cuda"),
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"),
        ),
    ],
    ids=["torch", "numpy", "python", "cuda"],
)
def test_memory_that_is_not_there(run: RunDirectory, allocate: Callable[[int], object]) -> None:
    ending = ending_of(run, allocating(allocate))
    assert (ending.outcome, ending.reason) == ("failed", OUT_OF_MEMORY)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps the limit of a process's addresses")
def test_a_worker_at_its_limit_fails_one_run_and_goes_on_with_the_next(tmp_path: Path) -> None:
    """In a process with a real limit, an inner layer that does not fit; then one that does."""
    code = (
        "import resource, sys, torch, psutil; from pathlib import Path\n"
        "from harness.execution.ending import ending_of; from harness.gan.training import TrainingResult\n"
        "from harness.store.rundir import RunDirectory\n"
        "limit = psutil.Process().memory_info().vms + 2**29; resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "def work(width):\n"
        "    torch.nn.Linear(width, width)\n"
        "    return TrainingResult('finished', 1)\n"
        "for width in (20_000, 100):\n"
        "    ending = ending_of(RunDirectory(Path(sys.argv[1])), lambda: work(width))\n"
        "    print(ending.outcome, ending.reason)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout.splitlines() == [f"failed {OUT_OF_MEMORY}", "finished "], done.stderr


def test_the_system_and_the_store_run_out_of_memory_too(run: RunDirectory) -> None:
    error = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM), "x")
    assert ending_of(run, raising(error)).reason == OUT_OF_MEMORY
    with_cause = atomic.StoreError("cannot write")
    with_cause.__cause__ = error
    assert ending_of(run, raising(with_cause)).reason == OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (Stopped(), "interrupted", ""),
        (OSError(errno.ENOSPC, "No space left on device", "x"), "failed", "x: No space left on device; free space"),
        (OSError("codec configuration error"), "failed", "OSError: codec configuration error"),
        (RuntimeError("shapes do not match"), "failed", "RuntimeError: shapes do not match"),
    ],
)
def test_each_end_has_its_outcome(run: RunDirectory, error: Exception, outcome: str, reason: str) -> None:
    ending = ending_of(run, raising(error))
    assert ending.outcome == outcome
    assert ending.reason.startswith(reason)


def test_a_folder_that_went_away_is_the_reason_of_all_that_follows(run: RunDirectory) -> None:
    def work() -> TrainingResult:
        run.root.rename(run.root.with_name("away"))
        (run.root / "state" / "x").open("wb")
        return TrainingResult("finished", 1)

    assert "the run's folder is gone: was it moved or removed" in ending_of(run, work).reason
    assert not run.root.exists()


def test_a_full_disk_stops_the_log_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    with small_disk(tmp_path / "disk") as disk:
        run = run_at(disk)
        with log_file(run):
            logging.getLogger("harness").info("before")
            with (disk / "ballast").open("wb", buffering=0) as ballast, pytest.raises(OSError, match="No space left"):
                while True:
                    ballast.write(bytes(1024))
            logging.getLogger("harness").info("x" * 10_000)
        assert "before" in run.log.read_text()
    assert capsys.readouterr().err == ""


def test_a_gpu_that_stays_broken_keeps_the_reason(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def sticky() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch.cuda, "empty_cache", sticky)
    ending = ending_of(run, raising(torch.OutOfMemoryError("CUDA out of memory")))
    assert (ending.outcome, ending.reason) == ("failed", OUT_OF_MEMORY)


def test_a_run_that_was_alone_is_told_so(run: RunDirectory) -> None:
    ending = ending_of(run, raising(torch.OutOfMemoryError("CUDA out of memory")), alone=True)
    assert (ending.reason, ending.trouble) == (OUT_OF_MEMORY_ALONE, "memory")


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "memory"),
        (RuntimeError("CUDA error: out of memory"), "memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "memory"),
        (RuntimeError("CUDA error: unspecified launch failure"), "device"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "device"),
        (torch.AcceleratorError("the launch timed out and was terminated"), "device"),
        (DeviceError("no TF32"), "device"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), "none"),
        (ValueError("CUDA error"), "none"),
    ],
)
def test_what_failed_besides_the_run(run: RunDirectory, error: Exception, trouble: str) -> None:
    assert ending_of(run, raising(error)).trouble == trouble
    own = OwnPartError("raises", where="nets.py:3")
    own.__cause__ = error
    assert ending_of(run, raising(own)).trouble == trouble
