"""`python -m tests.faults [FAMILY] --count N --seed N`: does faults to real experiments and counts what was lost.

Prints a table and ends with one line of figures; exit 0 only if every fault happened and nothing was lost.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.faults.record import record
from tests.faults.subject import Reference
from tests.faults.trial import Outcome, Row, carry_out, rows

FAMILIES = ("kills", "damage", "surroundings", "tracking", "together", "signals", "changes", "hostile")
"""Modules beside this one, each with `trials(count, reference)`."""


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("family", nargs="?", choices=FAMILIES, default="kills", help="which faults (default: kills)")
    parser.add_argument("--count", type=int, default=20, help="trials in all (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments and places (default: 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="trials at once (default: the cores)")
    parser.add_argument("--record", type=Path, help="also put the figures into this JSON file")
    chosen = parser.parse_args(arguments)
    started = time.monotonic()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        reference = Reference.make(Path(folder))
        trials = importlib.import_module(f"tests.faults.{chosen.family}").trials(chosen.count, reference)
        for outcome in carry_out(trials, seed=chosen.seed, jobs=chosen.jobs):
            outcomes.append(outcome)
            _tell(outcome, len(outcomes), len(trials))
    table = rows(outcomes)
    print(_text(table))
    survived, lost, not_hit = (sum(getattr(row, name) for row in table) for name in ("survived", "lost", "not_hit"))
    seconds = time.monotonic() - started
    if chosen.record:
        call = f"python -m tests.faults {chosen.family} --count {chosen.count} --seed {chosen.seed}"
        record(chosen.record, chosen.family, call, table, seconds)
    print(
        f"{chosen.family}: {len(outcomes)} trials, {survived} survived, {lost} lost, {not_hit} not hit; "
        f"seed {chosen.seed}, {seconds:.0f} s"
    )
    return 0 if outcomes and survived == len(outcomes) else 1


def _tell(outcome: Outcome, done: int, count: int) -> None:
    word = "survived" if not outcome.lost else "LOST" if outcome.hit else "NOT HIT"
    print(f"{done}/{count} {outcome.trial.fault} #{outcome.trial.number}: {word} ({outcome.seconds:.1f} s)", flush=True)
    if outcome.lost:
        print(f"  {outcome.folder}\n  {outcome.lost}", file=sys.stderr, flush=True)


def _text(table: Sequence[Row]) -> str:
    width = max((len(row.fault) for row in table), default=5)
    lines = [f"{'fault':{width}}  tries  survived  lost"]
    lines += [f"{row.fault:{width}}  {row.tries:5}  {row.survived:8}  {row.lost:4}" for row in table]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
