"""What `harness doctor` finds, a line at a time: each check tells what it knows before it looks further."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FindingState = Literal["ok", "note", "problem"]
"""problem: a run would stop at it, or it was asked for and is not there. note: worth knowing, stops nothing."""


@dataclass(frozen=True)
class Finding:
    """topic: what was looked at; found: what is so; remedy: what to do, empty where nothing is."""

    topic: str
    state: FindingState
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Fact:
    """A value by its name, for scripts."""

    name: str
    value: str


Found = Finding | Fact
