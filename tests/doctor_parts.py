"""How tests ask `harness doctor`: one check in this process, or the whole command; and programs that stand in."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import psutil

from experiments import harness
from harness.cli.doctor_request import Request
from harness.cli.doctor_topics import Topic, found_by
from harness.store.checkup import Fact, Finding

PATIENT = ("--time-limit", "200")
"""For tests that are not about patience, on whatever machine."""


def request(folder: Path, **asked: Any) -> Request:
    """A request for the runs under `folder`."""
    usual: dict[str, Any] = {
        "file": None,
        "sets": (),
        "runs_dir": str(folder / "runs"),
        "tracking_uri": None,
        "executor": "local",
        "ray_address": None,
        "language": "en",
    }
    return Request(**{**usual, **asked})


def findings(topic: Topic, asked: Request) -> list[Finding]:
    return [found for found in found_by(topic, asked) if isinstance(found, Finding)]


def facts(topic: Topic, asked: Request) -> dict[str, str]:
    return {found.name: found.value for found in found_by(topic, asked) if isinstance(found, Fact)}


def the(state: str, found: list[Finding]) -> Finding:
    """The one finding of that state."""
    (one,) = (finding for finding in found if finding.state == state)
    return one


def doctor(folder: Path, *arguments: str, **environment: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of `harness doctor --json`, as a user calls it."""
    done = harness("doctor", "--json", *arguments, cwd=folder, **environment)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)


def program(folder: Path, name: str, body: str) -> Path:
    """A program on a PATH of its own, in Python: `body` has `sys.argv`."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!{sys.executable}\nimport os, pathlib, sys, time\n{body}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def hanging(folder: Path, name: str) -> Path:
    """A program that never ends by itself; returns the file in which it writes its number."""
    note = folder / f"{name}.pid"
    program(folder, name, f"pathlib.Path({str(note)!r}).write_text(str(os.getpid()))\ntime.sleep(600)")
    return note


def is_alive(note: Path) -> bool:
    """Whether the program that wrote `note` still runs."""
    try:
        return psutil.Process(int(note.read_text())).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def first_on_path(folder: Path) -> str:
    """PATH with `folder` before all others."""
    return f"{folder}{os.pathsep}{os.environ['PATH']}"
