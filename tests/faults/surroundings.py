"""Hard surroundings: disks that fill up, memory that runs out, a worker that hangs, folders and clocks that move."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.experiments import run_directories, statuses
from tests.faults.moments import committed, evaluations_done, told, wait_for_a_step, working_pids
from tests.faults.subject import (
    FILE,
    STEPS,
    Reference,
    assert_no_orphans,
    assert_nothing_lost,
    command,
    copy_finished,
    prepare,
    start,
)
from tests.faults.trial import NotHit, Trial
from tests.run_files import read_only_view, small_disk

DISK_KILOBYTES = 24 * 1024
PAGE = 4096
STALL_S = 6
INSIDE = Path(__file__).parent / "inside"
Perform = Callable[[Reference, Path, random.Random], None]


def trials(count: int, reference: Reference) -> list[Trial]:
    faults: list[tuple[str, Perform]] = [
        ("full disk while training", _full_while_training),
        ("full disk while evaluating", _full_while_evaluating),
        ("full disk while projecting and reporting", _full_while_projecting),
        ("no memory left in one worker", _no_memory),
        ("a worker that hangs", _hanging),
        ("read-only runs folder", _read_only),
        ("clock set back an hour", _clock_set_back),
        ("runs folder moved between two calls", _moved_between),
        ("runs folder moved away under way", _moved_under_way),
        ("runs folder removed under way", _removed_under_way),
    ]
    return [
        Trial(faults[index % len(faults)][0], index, partial(faults[index % len(faults)][1], reference))
        for index in range(count)
    ]


def _full_while_training(reference: Reference, folder: Path, chance: random.Random) -> None:
    with _disk(folder / "runs"):
        prepare(folder, reference)
        with _command(folder, "run", FILE, "--no-report") as process:
            wait_for_a_step(process, folder, chance)
            before = committed(folder)
            _fill(folder / "runs")
            _failed_for_space(process)
        _nothing_went_back(folder, before)
        _goes_on_with_space(folder, reference)


def _full_while_evaluating(reference: Reference, folder: Path, chance: random.Random) -> None:
    with _disk(folder / "runs"):
        copy_finished(folder, reference)
        for run in run_directories(folder / FILE).values():
            shutil.rmtree(run.evaluations)
        before = committed(folder)
        _fill(folder / "runs", leave=chance.randrange(2, 10) * PAGE)
        with _command(folder, "run", FILE, "--no-report", "--tracking-uri", "none") as process:
            _failed_for_space(process)
        if evaluations_done(folder) == 2 * STEPS // 60:
            raise NotHit("everything was measured")
        _nothing_went_back(folder, before)
        _goes_on_with_space(folder, reference)


def _full_while_projecting(reference: Reference, folder: Path, chance: random.Random) -> None:
    """The store of MLflow and the notes of reports lie beside the runs; what cannot be written is told, no more."""
    with _disk(folder / "runs"):
        copy_finished(folder, reference)
        before = committed(folder)
        _fill(folder / "runs", leave=chance.randrange(40) * PAGE)
        with _command(folder, "run", FILE) as process:
            error = told(process)
            assert process.returncode in (0, 1, 2), error
            assert "MLflow is not up to date" in error or "No space left" in error, error
        _nothing_went_back(folder, before)
        _goes_on_with_space(folder, reference)


def _no_memory(reference: Reference, folder: Path, chance: random.Random) -> None:
    """From a random step on, the system gives one worker no page more."""
    prepare(folder, reference)
    with _command(folder, "run", FILE, "--no-report", "--workers", "2") as process:
        wait_for_a_step(process, folder, chance)
        before = committed(folder)
        pid = chance.choice(working_pids(folder) or [0])
        try:
            size = psutil.Process(pid).memory_info().vms
            resource.prlimit(pid, resource.RLIMIT_AS, (size, size))
        except (psutil.NoSuchProcess, ProcessLookupError) as error:
            raise NotHit("the worker was done") from error
        error = told(process)
        if process.returncode == 0 and "died" not in error:
            raise NotHit("the worker needed no more memory")
        assert process.returncode in (0, 1), error
        assert process.returncode == 0 or "failed: " in error, error
    _nothing_went_back(folder, before)
    states = [status.state for status in statuses(folder / FILE).values()]
    assert states.count("complete") >= 1, states
    _finishes(folder, reference)


def _hanging(reference: Reference, folder: Path, chance: random.Random) -> None:
    prepare(folder, reference)
    with _command(folder, "run", FILE, "--stall-timeout", str(STALL_S)) as process:
        wait_for_a_step(process, folder, chance)
        pids = working_pids(folder)
        if not pids:
            raise NotHit("every run was done")
        os.kill(chance.choice(pids), signal.SIGSTOP)
        error = told(process)
        if "died" not in error:
            raise NotHit("the worker was idle")
        assert process.returncode == 0, error
        assert f"no progress for {STALL_S} s (--stall-timeout)" in error
    assert_nothing_lost(folder, reference)


def _read_only(reference: Reference, folder: Path, chance: random.Random) -> None:
    copy_finished(folder, reference)
    shutil.rmtree(chance.choice(list(run_directories(folder / FILE).values())).evaluations)
    with _mounted(read_only_view(folder / "runs", folder / "view")):
        there = ("--runs-dir", "view")
        refused = command(folder, "run", FILE, *there)
        assert refused.returncode in (1, 2), refused.stderr
        assert "not writable" in refused.stderr or "Read-only" in refused.stderr, refused.stderr
        assert "--runs-dir" in refused.stderr, refused.stderr
        for arguments in (["status"], ["plan"], ["report", "--output", "elsewhere"]):
            done = command(folder, arguments[0], FILE, *arguments[1:], *there)
            assert done.returncode == 0, (arguments, done.stderr)
            assert "Traceback" not in refused.stderr + done.stderr
    assert (folder / "elsewhere" / "report.md").is_file()
    _finishes(folder, reference)


def _clock_set_back(reference: Reference, folder: Path, chance: random.Random) -> None:
    """Under way, and in every second trial between two attempts as well."""
    prepare(folder, reference)
    marker = folder / "clock"
    environment = {"PYTHONPATH": str(INSIDE), "FAULT_CLOCK": str(marker)}
    with _command(folder, "run", FILE, "--no-report", **environment) as process:
        wait_for_a_step(process, folder, chance)
        marker.write_text("3600", encoding="ascii")
        if chance.random() < 0.5:
            process.send_signal(signal.SIGTERM)
        error = told(process)
        assert process.returncode in (0, 143), error
    marker.write_text("7200", encoding="ascii")
    done = command(folder, "run", FILE, **environment)
    assert done.returncode == 0, done.stderr
    assert_nothing_lost(folder, reference)
    with closing(sqlite3.connect(folder / "runs" / "mlflow.db")) as store:
        ends_before_it_starts = "SELECT count(*) FROM runs WHERE end_time < start_time AND lifecycle_stage = 'active'"
        assert store.execute(ends_before_it_starts).fetchone()[0] == 0


def _moved_between(reference: Reference, folder: Path, chance: random.Random) -> None:
    first, second = folder / "first", folder / "second"
    first.mkdir()
    second.mkdir()
    path = prepare(first, reference)
    with _command(first, "run", FILE) as process:
        wait_for_a_step(process, first, chance)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    (first / "runs").rename(second / "runs")
    path.rename(second / FILE)
    _finishes(second, reference)
    assert [entry.name for entry in first.iterdir() if entry.name == "runs"] == []


def _moved_under_way(reference: Reference, folder: Path, chance: random.Random) -> None:
    prepare(folder, reference)
    with _command(folder, "run", FILE, "--tracking-uri", "none") as process:
        wait_for_a_step(process, folder, chance)
        before = committed(folder)
        (folder / "runs").rename(folder / "away")
        _failed_for_absence(process, folder)
    (folder / "away").rename(folder / "runs")
    _nothing_went_back(folder, before)
    _finishes(folder, reference)


def _removed_under_way(reference: Reference, folder: Path, chance: random.Random) -> None:
    """Its owner's wish: nothing of it may come back half. The same command starts anew."""
    prepare(folder, reference)
    with _command(folder, "run", FILE, "--tracking-uri", "none") as process:
        wait_for_a_step(process, folder, chance)
        while (folder / "runs").exists():
            shutil.rmtree(folder / "runs", ignore_errors=True)
        _failed_for_absence(process, folder)
    prepare(folder, reference)
    _finishes(folder, reference)


def _failed_for_absence(process: subprocess.Popen[str], folder: Path) -> None:
    error = told(process)
    assert process.returncode == 1, (process.returncode, error)
    assert "is gone: was it moved or removed while harness worked on it?" in error, error
    assert not (folder / "runs").exists(), sorted(str(path) for path in (folder / "runs").rglob("*"))


def _failed_for_space(process: subprocess.Popen[str]) -> None:
    error = told(process)
    if process.returncode == 0:
        raise NotHit("there was space enough")
    assert process.returncode == 1, (process.returncode, error)
    assert "No space left" in error, error


def _nothing_went_back(folder: Path, before: dict[str, int]) -> None:
    after = committed(folder)
    assert all(after.get(key, 0) >= step for key, step in before.items()), (before, after)


def _goes_on_with_space(folder: Path, reference: Reference) -> None:
    (folder / "runs" / "ballast").unlink()
    _finishes(folder, reference)


def _finishes(folder: Path, reference: Reference) -> None:
    assert_no_orphans(folder)
    done = command(folder, "run", FILE)
    assert done.returncode == 0, done.stderr
    assert_nothing_lost(folder, reference)


def _fill(disk: Path, *, leave: int = 0) -> None:
    """Writes a file until nothing more fits, then gives the last `leave` bytes back."""
    with (disk / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(PAGE))
        except OSError:
            size = file.tell()
        file.truncate(max(0, size - leave))


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    with _mounted(small_disk(folder, kilobytes=DISK_KILOBYTES)):
        yield


@contextmanager
def _mounted(mount: object) -> Iterator[None]:
    """A mount of tests.run_files; NotHit where nobody may mount."""
    try:
        mount.__enter__()  # type: ignore[attr-defined]
    except (pytest.skip.Exception, subprocess.CalledProcessError) as error:
        raise NotHit(f"no file system can be mounted here: {error}") from error
    try:
        yield
    finally:
        for _ in range(50):  # who was killed may still hold a file there
            try:
                mount.__exit__(None, None, None)  # type: ignore[attr-defined]
                break
            except subprocess.CalledProcessError:
                time.sleep(0.2)


@contextmanager
def _command(folder: Path, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = start(folder, *arguments, **environment)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
