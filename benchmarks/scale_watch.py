"""A command of the benchmark of scale, watched while it runs: how long it takes, and how its own process grows."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

LOOK_S = 0.05


class CommandFailed(Exception):
    """A side of the benchmark that did not work here; its text is the last that it said."""


@dataclass(frozen=True)
class Taken:
    """Of the started process alone, not of its workers, in MB: resident at most, after half of the time, and at its
    end (medians over a tenth of the time). cpu_s: its processor time."""

    seconds: float
    peak_mb: float
    half_mb: float
    end_mb: float
    cpu_s: float


def watched(command: Sequence[str], work: Path, environment: Mapping[str, str], expected: int = 0) -> Taken:
    """Runs `command` in `work`; CommandFailed where it leaves with another code than `expected`."""
    sizes: list[float] = []
    cpu_s = 0.0
    with tempfile.TemporaryFile() as told:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=work,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=told,
            stderr=subprocess.STDOUT,
        )
        seen = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                sizes.append(seen.memory_info().rss / 1e6)
                times = seen.cpu_times()
                cpu_s = times.user + times.system
            except psutil.Error:
                break
            time.sleep(LOOK_S)
        code = process.wait()
        seconds = time.perf_counter() - began
        told.seek(0)
        lines = told.read().decode(errors="replace").strip().splitlines()
    if code != expected:
        raise CommandFailed(lines[-1].strip() if lines else f"it left with {code}")
    sizes = [size for size in sizes if size > 1] or [0.0]  # before the program is there, it is next to nothing
    return Taken(seconds, max(sizes), _around(sizes, 0.5), _around(sizes, 0.93), cpu_s)


def _around(sizes: Sequence[float], place: float) -> float:
    first = int((place - 0.05) * len(sizes))
    return median(sizes[first : max(first + 1, int((place + 0.05) * len(sizes)))])


def folder_size(folder: Path) -> tuple[int, float]:
    """Files under `folder`, and the MB that they take on disk."""
    found = [path.stat() for path in folder.rglob("*") if path.is_file()]
    return len(found), sum(stat.st_blocks * 512 for stat in found) / 1e6
