"""Samples of what a process takes: few, with an end, and never in the way of the work."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from harness.execution import usage
from harness.execution.usage import sampled
from harness.store.records import read_records
from harness.store.rundir import RunDirectory


def test_a_short_attempt_leaves_one_sample_and_the_next_goes_on(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    began = time.time()
    with sampled(run, "cpu"):
        pass
    with run.system.open("ab") as file:
        file.write(b'{"step":1,"time":17')  # of a process that was killed
    with sampled(run, "cpu"):
        pass
    records = read_records(run.system)
    assert [record["step"] for record in records] == [0, 1]
    assert all(began <= record["time"] <= time.time() for record in records)
    assert all(record["system/process_memory_megabytes"] > 10 for record in records)


def test_a_long_one_is_sampled_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "INTERVAL_S", 0.01)
    run = RunDirectory(tmp_path)
    with sampled(run, "cpu"):
        deadline = time.monotonic() + 60
        while len(read_records(run.system)) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(read_records(run.system)) >= 3
    steps = [record["step"] for record in read_records(run.system)]
    assert steps == list(range(len(steps)))


def test_a_disk_that_refuses_ends_the_samples_and_not_the_work(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.system.mkdir()
    with sampled(run, "cpu"):
        done = True
    assert done and not list(run.system.iterdir())
