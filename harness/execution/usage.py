"""What a process takes while it works on a run: its share of the processor and its memory, noted every few seconds.

For MLflow's page alone: no weights, no report and no resuming depend on it, and it never stands in the way of the work.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

from harness.errors import StoreError
from harness.store.records import Record, append_record, read_records
from harness.store.rundir import RunDirectory

INTERVAL_S = 10.0
_SHARE = 0.01
"""Of an attempt's age: samples get rarer with it, so that a run of days leaves hundreds and not ten thousands."""
_MEGABYTE = 1e6

_log = logging.getLogger("harness")


@contextmanager
def sampled(run: RunDirectory, device: str) -> Iterator[None]:
    """Appends a sample to the run's system.jsonl every INTERVAL_S while the block runs, and one at its end.

    A disk that refuses ends the samples, and is told in the log.
    """
    sampler, ended = _Sampler(run, device), threading.Event()
    thread = threading.Thread(target=sampler.go_on_until, args=(ended,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        sampler.note()


class _Sampler:
    """Used by one thread at a time."""

    def __init__(self, run: RunDirectory, device: str) -> None:
        self._run = run
        self._device = device
        self._process = psutil.Process()
        self._began = time.monotonic()
        self._refused = False
        self._process.cpu_percent()  # shares are those since the call before
        psutil.cpu_percent()

    def go_on_until(self, ended: threading.Event) -> None:
        while not ended.wait(max(INTERVAL_S, _SHARE * (time.monotonic() - self._began))):
            self.note()

    def note(self) -> None:
        """Appends one sample, unless the disk refused one before."""
        if self._refused:
            return
        try:
            number = len(read_records(self._run.system))
            append_record(self._run.system, {"step": number, "time": time.time(), **self._measured()})
        except (StoreError, psutil.Error) as error:
            self._refused = True
            _log.warning("no more samples of memory and processor: %s", error)

    def _measured(self) -> Record:
        """Megabytes of 10^6 bytes; percentages of one core for the process, of the machine for the machine."""
        measured: Record = {
            "system/process_cpu_percentage": self._process.cpu_percent(),
            "system/process_memory_megabytes": round(self._process.memory_info().rss / _MEGABYTE, 1),
            "system/cpu_utilization_percentage": psutil.cpu_percent(),
            "system/system_memory_usage_megabytes": round(psutil.virtual_memory().used / _MEGABYTE, 1),
        }
        if self._device.startswith("cuda") and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            allocated, reserved = torch.cuda.memory_allocated(self._device), torch.cuda.memory_reserved(self._device)
            measured["system/gpu_memory_allocated_megabytes"] = round(allocated / _MEGABYTE, 1)
            measured["system/gpu_memory_reserved_megabytes"] = round(reserved / _MEGABYTE, 1)
        return measured
