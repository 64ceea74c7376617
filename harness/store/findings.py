"""Findings: what a thorough look at the files of a run and of its experiment says, and who mends what it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.store.attempts import Work

Kind = Literal[
    "commit", "state", "spare", "metrics", "divergence", "checkpoint", "note",
    "evaluation", "picture", "manifest", "networks", "attempts", "unreadable",
    "cursor", "cache", "report", "real images", "barred",
]  # fmt: skip

TRAINING_KINDS = frozenset({"commit", "state", "metrics", "divergence", "checkpoint"})
"""Damage that only training mends."""

SHARED_KINDS = frozenset({"cursor", "cache", "report", "real images", "barred"})
"""Damage that whoever uses the file next mends; no run has to be worked on for it."""

_MENDING: dict[Kind, str] = {
    "commit": "the state before takes over",
    "state": "the state before takes over",
    "spare": "it is removed, as a newer state is whole",
    "metrics": "the state before takes over",
    "divergence": "the run is trained to its divergence again",
    "checkpoint": "it is made again",
    "note": "the checkpoint is whole; the note is written again",
    "evaluation": "it is measured again where the file asks for it",
    "picture": "it is drawn again",
    "manifest": "it is written again",
    "networks": "it is written again",
    "attempts": "the lines that hold are kept",
    "unreadable": "the run fails as long as this is so",
    "cursor": "what it speaks of is projected again",
    "cache": "it is made again when it is next used",
    "report": "the report is made again",
    "real images": "it is drawn again",
    "barred": "what needs it fails as long as this is so",
}


@dataclass(frozen=True)
class Finding:
    """A damaged file. what: is wrong with it; step: of the state, commit or checkpoint, 0 for others."""

    path: Path
    kind: Kind
    what: str
    step: int = 0

    def __str__(self) -> str:
        return f"{self.path}: {self.what}; {_MENDING[self.kind]}"


def mended_by_work(findings: Sequence[Finding], work: Work) -> tuple[Finding, ...]:
    """Those that working on their run mends; `evaluate` trains nothing and leaves alone what only training mends."""
    left = SHARED_KINDS | TRAINING_KINDS if work == "evaluate" else SHARED_KINDS
    return tuple(finding for finding in findings if finding.kind not in left)
