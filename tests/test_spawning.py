"""Workers' variables and fork server: set before torch is loaded, and loaded early only for the threads it was told."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.execution.compile_cache import FOLDER, VARIABLE, share_compile_cache
from harness.execution.spawning import worker_context
from harness.store.machine_cache import CACHE_VARIABLE

only_linux = pytest.mark.skipif(sys.platform != "linux", reason="only there is a fork server")


EARLY = """
import multiprocessing, os, sys
from harness.execution.spawning import start_loading

def asked(pool, what):
    return pool.apply(eval, [what])

if __name__ == "__main__":
    before = dict(os.environ)
    start_loading(3)
    same = all(os.environ.get(name) == before.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"))
    pool = multiprocessing.get_context("forkserver").Pool(1)
    threads = asked(pool, "__import__('os').environ['OMP_NUM_THREADS']")
    loaded = asked(pool, "'torch._inductor.config' in __import__('sys').modules")
    pool.close()  # to terminate it would take a SIGTERM, which the fork server's children do not hear
    pool.join()
    print(same, threads, loaded, "torch" in sys.modules)
"""


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What these functions set in the environment ends with each test."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, os.environ.get(name, "1"))
    monkeypatch.setenv(VARIABLE, "")  # torch sets it itself where something was compiled in this process before


@only_linux
def test_the_fork_server_loads_torch_while_this_process_does_not() -> None:
    done = subprocess.run([sys.executable, "-c", EARLY], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "3", "True", "False"]


ASKS_CUDA = """
import importlib
import torch
asked = []

def spied(holder, name):
    found = getattr(holder, name)
    setattr(holder, name, lambda *arguments: (asked.append(name), found(*arguments))[1])

for name in ("is_available", "device_count", "_lazy_init"):
    spied(torch.cuda, name)
for name in ("_cuda_getDeviceCount", "_cuda_init"):
    if hasattr(torch._C, name):
        spied(torch._C, name)
from harness.execution.spawning import PRELOADED
for module in PRELOADED:
    importlib.import_module(module)
print(asked, torch.cuda.is_initialized())
"""


def test_what_is_loaded_for_all_workers_leaves_cuda_alone() -> None:
    """A process that forks after CUDA looked for GPUs has children that can use none, nor choose one by a variable."""
    done = subprocess.run([sys.executable, "-c", ASKS_CUDA], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "False"]


DEAF = """
import signal
from multiprocessing import forkserver
from pathlib import Path
from harness.execution.spawning import start_loading

if __name__ == "__main__":
    start_loading(1)
    status = Path(f"/proc/{forkserver._forkserver._forkserver_pid}/status").read_text()
    (mask,) = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigBlk")]
    print(all(mask >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)))
    print(not signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""


@only_linux
def test_while_torch_loads_no_signal_to_the_group_ends_the_fork_server() -> None:
    """It would print a traceback of its imports, or take all workers with it before their states are written."""
    done = subprocess.run([sys.executable, "-c", DEAF], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]


@only_linux
def test_workers_come_from_the_fork_server_unless_it_was_told_other_threads(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "harness"):
        assert worker_context(2).get_start_method() == "forkserver"
        assert worker_context(2, 2).get_start_method() == "forkserver"
        assert not caplog.messages
        assert worker_context(2, 1).get_start_method() == "spawn"
    assert "loaded for 1 threads each, not 2" in caplog.text
    assert os.environ["OMP_NUM_THREADS"] == "2"


def test_elsewhere_workers_are_fresh_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert worker_context(1).get_start_method() == "spawn"


def test_compiled_code_is_kept_in_one_folder_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    share_compile_cache()
    assert os.environ[VARIABLE] == str(tmp_path / FOLDER)


def test_a_folder_that_the_user_names_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/mine")
    share_compile_cache()
    assert os.environ[VARIABLE] == "/mine"


def test_without_a_home_it_is_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr("harness.execution.compile_cache.cache_folder", homeless)
    share_compile_cache()
    assert not os.environ.get(VARIABLE)
