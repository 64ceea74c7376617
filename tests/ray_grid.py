"""Grids on the Ray executor: commands as a user starts them, and what tests look at while they work."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments import TINY, views

ONE = TINY[: TINY.index("[[grid]]")]
SLOW = ("training.steps=4000", "training.checkpoint_every=500", "training.log_every=50", "evaluation=[]")
PATIENCE_S = 240.0


def until(happens: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := happens()):
        assert time.monotonic() < deadline, what
        time.sleep(0.1)
    return found


def command_on_ray(
    path: Path, *arguments: str, environment: dict[str, str] | None = None, reports: bool = False
) -> subprocess.Popen[str]:
    """`harness run` with the Ray executor as a user starts it, in a process group of its own."""
    command = [sys.executable, "-m", "harness", "run", str(path), "--executor", "ray", "--threads", "1"]
    command += ["--tracking-uri", "none", *arguments, *(() if reports else ("--no-report",))]
    return subprocess.Popen(
        command,
        cwd=path.parent,
        env={**(environment or os.environ), "NO_COLOR": "1", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def as_options(*sets: str) -> list[str]:
    return [part for one in sets for part in ("--set", one)]


def trains(path: Path, *sets: str) -> list[int]:
    """Processes in which runs have come to records."""
    found = []
    for view in views(path, *sets).values():
        open_attempt = view.status.attempts and view.status.attempts[-1].outcome is None
        if open_attempt and view.directory and view.directory.metrics.exists():
            found.append(view.status.attempts[-1].machine["pid"])
    return found


def other_version(tmp_path: Path) -> str:
    """A folder with a harness 0.0.7."""
    import harness

    other = tmp_path / "other"
    shutil.copytree(Path(harness.__file__).parent, other / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    source = other / "harness" / "__init__.py"
    text = source.read_text(encoding="utf-8")
    assert harness.__version__ in text
    source.write_text(text.replace(harness.__version__, "0.0.7"), encoding="utf-8")
    return str(other)
