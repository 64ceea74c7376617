"""Several commands on one file at once: every run is trained once, all end well, and a report tells of one moment."""

from __future__ import annotations

import csv
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from harness.design.metrics import METRICS
from harness.report.markdown import number
from harness.store import atomic
from harness.store.attempts import read_attempts
from tests.experiments import run_directories
from tests.faults.subject import (
    FILE,
    Reference,
    assert_nothing_lost,
    command,
    prepare,
    start,
)
from tests.faults.trial import NotHit, Trial

Perform = Callable[[Reference, Path, random.Random], None]
PATIENCE_S = 240.0
REPORT = Path("reports") / "tiny"


def trials(count: int, reference: Reference) -> list[Trial]:
    """`count` trials: two of three are two `harness run`, the rest go through the other rows."""
    others: list[tuple[str, Perform]] = [
        ("three `harness run` on one file at once", partial(_runs_at_once, 3)),
        ("two at once where a killed one left its locks", _stale_locks),
        ("`run` beside `evaluate`", partial(_beside, ("evaluate", FILE))),
        ("`run` beside `report`, again and again", _reports_meanwhile),
        ("`run` beside `sync`, `prune` and `status`, again and again", _looks_meanwhile),
    ]
    chosen: list[tuple[str, Perform]] = []
    for index in range(count):
        bulk = index % 3 != 2
        chosen.append(("two `harness run` on one file at once", partial(_runs_at_once, 2)) if bulk else others[0])
        others = others if bulk else [*others[1:], others[0]]
    numbers: dict[str, int] = {}
    found = []
    for fault, perform in sorted(chosen, key=lambda item: item[0]):
        numbers[fault] = numbers.get(fault, -1) + 1
        found.append(Trial(fault, numbers[fault], partial(perform, reference)))
    return found


def _runs_at_once(commands: int, reference: Reference, folder: Path, rng: random.Random) -> None:
    prepare(folder, reference)
    running = []
    for _ in range(commands):
        running.append(start(folder, "run", FILE))
        time.sleep(rng.choice([0.0, 0.0, rng.uniform(0, 4)]))
    _assert_all_well(running)
    _assert_trained_once(folder)
    assert_nothing_lost(folder, reference)
    assert_report_is_whole(folder / REPORT)


def _stale_locks(reference: Reference, folder: Path, rng: random.Random) -> None:
    """A command and its workers are killed while they hold their locks; then two others come."""
    path = prepare(folder, reference)
    killed = start(folder, "run", FILE)
    end = time.monotonic() + PATIENCE_S
    while not any(run.committed_steps() for run in run_directories(path).values()):
        if killed.poll() is not None or time.monotonic() > end:
            raise NotHit("no run had begun")
        time.sleep(0.05)
    for process in _family(folder):
        os.kill(process, signal.SIGKILL)
    killed.communicate(timeout=PATIENCE_S)
    after = [start(folder, "run", FILE), start(folder, "run", FILE)]
    _assert_all_well(after)
    assert all(len(read_attempts(run)) <= 2 for run in run_directories(path).values())
    assert_nothing_lost(folder, reference)
    assert_report_is_whole(folder / REPORT)


def _beside(other: tuple[str, ...], reference: Reference, folder: Path, rng: random.Random) -> None:
    prepare(folder, reference)
    running = start(folder, "run", FILE)
    time.sleep(rng.uniform(0, 6))
    _assert_all_well([running, start(folder, *other)])
    _assert_trained_once(folder)
    assert_nothing_lost(folder, reference)


def _reports_meanwhile(reference: Reference, folder: Path, rng: random.Random) -> None:
    """Reports of half-done work into the very folder that the command writes too; each of them is of one moment."""
    prepare(folder, reference)
    running = start(folder, "run", FILE)
    interim = 0
    reporters = [start(folder, "report", FILE), start(folder, "report", FILE, "--output", "elsewhere")]
    while running.poll() is None:
        _assert_all_well(reporters)
        interim += assert_report_is_whole(folder / "elsewhere")
        reporters = [start(folder, "report", FILE), start(folder, "report", FILE, "--output", "elsewhere")]
    _assert_all_well([running, *reporters])
    if not interim:
        raise NotHit("no report was made before the runs were done")
    _assert_trained_once(folder)
    done = command(folder, "run", FILE)
    assert done.returncode == 0, done.stderr
    assert not assert_report_is_whole(folder / REPORT)
    assert_nothing_lost(folder, reference)


def _looks_meanwhile(reference: Reference, folder: Path, rng: random.Random) -> None:
    prepare(folder, reference)
    running = start(folder, "run", FILE)
    while running.poll() is None:
        for arguments in (("status", FILE), ("prune", FILE, "--yes"), ("sync", FILE)):
            done = command(folder, *arguments)
            early = arguments[0] == "sync" and "there is nothing to sync" in done.stderr
            assert done.returncode == 0 or early, (arguments, done.stderr)
    _assert_all_well([running])
    _assert_trained_once(folder)
    assert_nothing_lost(folder, reference)


def assert_report_is_whole(output: Path) -> bool:
    """All files of a report agree; returns whether it says that it was made before all runs were done."""
    text = (output / "report.md").read_text(encoding="utf-8")
    document = atomic.read_json(output / "report.json")
    runs = _table(output / "runs.csv")
    assert [_standing(run) for run in runs] == [_standing(run) for run in document["runs"]]
    open_runs = [run for run in runs if run["state"] not in ("complete", "diverged", "failed")]
    said = re.search(r"Interim report: (\d+) of", text)
    assert (int(said[1]) if said else 0) == len(open_runs)
    for run in open_runs:
        if run["state"] != "pending":
            assert f"{run['state']} at step {run['step']}" in text, run
    steps = {run["key"]: int(run["step"]) for run in runs}
    checkpoints = {run["key"]: run["checkpoints"] for run in document["runs"]}
    for crossing in document["crossings"]:
        assert crossing["records_to_step"] == steps[crossing["key"]] - steps[crossing["key"]] % 4
    numbers = {(number["column"], number["cell"], str(number["step"])): number for number in document["numbers"]}
    for row in _table(output / "comparison.csv"):
        column = f"{METRICS[row['metric']].title} ({row['column']})"
        found = numbers.get((column, row["cell"], row["step"]))
        assert (row["mean"] == "") == (found is None), row
        if found:
            assert float(row["mean"]) == found["mean_over_seeds"]
            assert _is_shown(found["mean_over_seeds"], text) or row["is_last"] != "yes", row
    sources = [source for part in ("numbers", "pictures") for item in document[part] for source in item["sources"]]
    for source in sources:
        if "checkpoint_sha256" in source:
            assert checkpoints[source["key"]][str(source["step"])] == source["checkpoint_sha256"]
        elif "real_images" in source:  # those that samples are shown beside
            assert source["real_images"] > 0 and len(source["data_sha256"]) == 64
        else:
            assert source["records_to_step"] <= steps[source["key"]]
    links = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert sorted(links) == sorted(picture["path"] for picture in document["pictures"])
    assert all((output / link).is_file() for link in links)
    return bool(open_runs)


def _standing(run: dict[str, Any]) -> tuple[str, str, str]:
    return run["key"], run["state"], str(run["step"])


def _is_shown(value: float, text: str) -> bool:
    return number(value) in text


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _assert_all_well(running: Sequence[subprocess.Popen[str]]) -> None:
    """All end, with 0, without a call stack; none is left where one does not."""
    try:
        for process in running:
            _, error = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, (process.args, error)
            assert "Traceback" not in error, (process.args, error)
            assert "warning: MLflow" not in error, (process.args, error)
    finally:
        for process in running:
            if process.poll() is None:
                process.kill()


def _assert_trained_once(folder: Path) -> None:
    for run in run_directories(folder / FILE).values():
        attempts = read_attempts(run)
        assert [(attempt.work, attempt.outcome) for attempt in attempts] == [("train and evaluate", "finished")]


def _family(folder: Path) -> list[int]:
    """Process ids of all that works in `folder`."""
    return [process.pid for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == str(folder)]
