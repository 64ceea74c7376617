"""What is spent beside training: until a command answers, until the first step, between runs, on records and MLflow.

    python benchmarks/startup.py [--rounds 5] [--output FILE]

Every command runs as a person calls it, in a process of its own, in turns with its peer; medians. Nothing is compared
but times: what the commands print and train is what the tests look at. README.md beside this file says what each line
means.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from rows import Row
from startup_runs import LONG, STEPS, Experiment, between_runs, first_step, overhead

HERE = Path(__file__).resolve().parent
IMPORT_TORCH = ("python -c 'import torch'", [sys.executable, "-c", "import torch"])

RUNS = 8
"""Tiny ones, one after the other."""

Tell = Callable[[str], None]


def measure(tell: Tell, rounds: int = 5) -> list[Row]:
    """All lines of this benchmark; some minutes."""
    with TemporaryDirectory() as folder:
        work = Path(folder)
        experiment = Experiment(work, environment())
        rows = answers(tell, rounds, experiment)
        rows += starts(tell, max(3, rounds - 2), experiment)
        return [*rows, records(tell, max(3, rounds - 2), experiment)]


def environment() -> dict[str, str]:
    """Of the commands: compiled Python files are kept, as on any machine of a user's; one thread."""
    dropped = ("PYTHONDONTWRITEBYTECODE", "MLFLOW_TRACKING_URI")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return {**kept, "PYTHONPATH": str(HERE.parent), "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}


def answers(tell: Tell, rounds: int, experiment: Experiment) -> list[Row]:
    """Commands that only say something, beside what any script that imports torch first needs for its own `--help`."""
    harness = [sys.executable, "-m", "harness"]
    commands = {
        "help": ("harness --help", [*harness, "--help"], 0.25),
        "plan": ("harness plan FILE, two cells", [*harness, "plan", str(experiment.file("plan", cells=2))], 0.4),
    }
    sides = {name: command for name, (_, command, _) in commands.items()} | {"peer": IMPORT_TORCH[1]}
    for command in sides.values():
        seconds_of(command, experiment)  # compiled Python files and the disk's cache are there from now on
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        tell(f"commands that only say something: round {number + 1} of {rounds}")
        for name, command in sides.items():
            found[name].append(seconds_of(command, experiment))
    return [
        row(f"startup.{name}", what, found[name], IMPORT_TORCH[0], found["peer"], target)
        for name, (what, _, target) in commands.items()
    ]


def starts(tell: Tell, rounds: int, experiment: Experiment) -> list[Row]:
    """Until the first step is done, and from one run's last step to the first of the next in the same worker."""
    store = f"sqlite:///{(experiment.work / 'by_hand.db').as_posix()}"
    by_hand = [sys.executable, str(HERE / "start_by_hand.py"), store]
    tell("by hand: making its MLflow store, which is not timed")
    start_by_hand(by_hand, experiment)
    first_step(experiment, "warm")
    ours: list[float] = []
    peer: list[float] = []
    for number in range(rounds):
        tell(f"until the first step: round {number + 1} of {rounds}")
        ours.append(first_step(experiment, f"first-{number}"))
        peer.append(start_by_hand(by_hand, experiment))
    tell(f"between runs: {RUNS} runs of a few steps in one worker")
    gaps = between_runs(experiment, RUNS)
    peer_what = "a script by hand: torch, torchvision, MLflow, first DCGAN step"
    each = [statistics.median(gaps.seconds)] * len(peer)
    return [
        row("startup.first_step", "harness run FILE until its first step is done", ours, peer_what, peer, 4.0),
        row(
            "startup.between_runs",
            "from a run's last step to the next run's first, in one worker",
            each,
            "the same script, started again for each run",
            peer,
            0.2,
            note="a loop over cells within a script waits less; "
            f"checkpoint, its pictures and state included; the new run's start alone: {gaps.start_s:.3f} s; "
            f"fsyncs of one file here: {gaps.fsync_s * 1e3:.2f} ms",
            spread=relative_spread(gaps.seconds),
        ),
    ]


def records(tell: Tell, rounds: int, experiment: Experiment) -> Row:
    """The share of training time that records and their projection take, beside logging from within the loop."""
    tell(f"records and MLflow: a run of {STEPS:,} steps, then its records and projection alone")
    found = overhead(experiment, rounds, tell)
    return row(
        "startup.records",
        f"records and MLflow, of the training time of one run of {LONG:,} steps, (16,16), log_every = 10",
        [share * 100 for share in found.ours],
        "mlflow.log_metrics of five values every 10 steps, in the loop",
        [share * 100 for share in found.by_hand],
        3.0,
        unit="%",
        note=f"measured on {found.steps} steps in {found.training_s:.1f} s; in it, once: {found.import_s:.1f} s "
        f"to load MLflow, {found.store_s:.1f} s to make a new store (CPU seconds of the parent process)",
    )


def row(
    name: str,
    what: str,
    ours: Sequence[float],
    peer_what: str,
    peer: Sequence[float],
    target: float,
    *,
    unit: str = "s",
    note: str = "",
    spread: float = 0.0,
) -> Row:
    """ours, peer: a value for each round, lower is better. spread: of ours, where its rounds are not among these."""
    ratios = [theirs / mine for mine, theirs in zip(ours, peer, strict=True)]
    return Row(
        name,
        what,
        statistics.median(ours),
        unit,
        statistics.median(peer),
        peer_what,
        statistics.median(ratios),
        max(spread, relative_spread(ratios)),
        target,
        "ours",
        note,
    )


def relative_spread(values: Sequence[float]) -> float:
    """The range, over the median."""
    return (max(values) - min(values)) / statistics.median(values)


def seconds_of(command: Sequence[str], experiment: Experiment) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=experiment.work, env=experiment.environment, check=True, capture_output=True)
    return time.perf_counter() - began


def start_by_hand(command: Sequence[str], experiment: Experiment) -> float:
    """Seconds from the command to its first step."""
    began = time.time()
    done = subprocess.run(
        command, cwd=experiment.work, env=experiment.environment, check=True, capture_output=True, text=True
    )
    return float(done.stdout.split()[0]) - began


def text_table(rows: Sequence[Row]) -> str:
    lines = [("what", "ours", "target", "peer", "times better", "+-", "met")]
    for found in rows:
        peer = "" if found.peer is None else f"{found.peer:.3g} {found.ours_unit} ({found.peer_what})"
        ratio = "" if found.ratio is None else f"{found.ratio:.1f}"
        met = "" if found.target is None else "yes" if found.ours <= found.target else "no"
        ours, target = f"{found.ours:.3g} {found.ours_unit}", f"{found.target:g} {found.ours_unit}"
        lines.append((found.what, ours, target, peer, ratio, f"{found.noise:.0%}", met))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    table = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([*table, "", *(f"{found.what}: {found.note}" for found in rows if found.note)])


def main(arguments: Sequence[str] | None = None) -> int:
    made = argparse.ArgumentParser(description="What is spent beside training.", allow_abbrev=False)
    made.add_argument("--rounds", type=int, default=5, help="of the short commands (default: %(default)s)")
    made.add_argument("--output", type=Path, help="write all figures as JSON")
    options = made.parse_args(arguments)
    began = time.monotonic()

    def tell(what: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {what}", file=sys.stderr, flush=True)

    rows = measure(tell, options.rounds)
    print(text_table(rows))
    if options.output:
        machine = {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}
        document = {"machine": machine, "rows": [asdict(found) for found in rows]}
        options.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
