"""What tests of `harness report --verify` look at, and how they forge it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from report_data import small_plan

from harness.design.expansion import Plan
from harness.report.verify import Verification, verify_report
from harness.store import atomic
from harness.store.rundir import experiment_directory
from harness.tracking.snapshot import read_snapshot

SECTIONS = ["comparison", "loss-crossings", "modes"]


def planned() -> Plan:
    return small_plan(
        evaluation=[{"samples": 100, "repeats": 3, "metrics": ["fid", "kid", "missing_classes"]}],
        report={"samples": 16, "sections": SECTIONS},
        grid=[{"kind": "one-at-a-time", "levels": {"latent_dim": [100]}}],
    )


def verified(place: Path, runs: str = "runs", *, again: bool = False) -> Verification:
    view = read_snapshot(planned(), place / runs) if again else None
    return verify_report(place / "report", experiment_directory(place / runs, "small"), view)


def told(found: Verification) -> dict[str, str]:
    """What is said of each file first."""
    return {doubt.file: doubt.what for doubt in reversed(found.doubts)}


def rewrite(place: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Edits report.json and makes its own hash, and those of the files, fit again."""
    path = place / "report" / "report.json"
    document = json.loads(path.read_bytes())
    change(document)
    document["files"] = {name: atomic.file_sha256(place / "report" / name) for name in document["files"]}
    atomic.write_json(path, document)
