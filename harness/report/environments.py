"""The kinds of machine that runs were trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from harness.report.content import Content
from harness.store.atomic import canonical_json


def environments(content: Content) -> list[tuple[dict[str, Any], int]]:
    """Each kind (host left out) with its number of runs, in the order of the runs."""
    kinds: dict[bytes, dict[str, Any]] = {}
    runs: Counter[bytes] = Counter()
    for run in content.runs:
        found = [_environment(attempt.machine) for attempt in run.view.status.attempts if attempt.machine]
        of_run = {canonical_json(kind): kind for kind in found}
        kinds = of_run | kinds
        runs.update(of_run.keys())
    return [(kinds[name], count) for name, count in runs.items()]


def _environment(machine: Mapping[str, Any]) -> dict[str, Any]:
    """What may change bits; the host's name may not."""
    return {name: value for name, value in machine.items() if name not in ("host", "hostname", "pid")}
