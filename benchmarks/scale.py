"""Thousands of runs: what each of them costs beside its training, here, with Hydra's multirun and with Ray Tune.

    python benchmarks/scale.py                                      5,000 runs; most of an hour
    python benchmarks/scale.py --runs 200 --only files,hydra,tune
    python benchmarks/scale.py --json benchmarks/measured/scale.json --docs docs/scale.md

Every side runs the same trivial job (`scale_job.py`) twice, half as often and as often as asked, so that what each
further run costs is told apart from the start. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import existing
from evaluation import teller
from results import machine
from scale_commands import Folder, measured_commands
from scale_sides import SIDES, measured
from scale_table import Found, page_part, part_of, text

NAMES = tuple(side.name for side in SIDES)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parsed(arguments)
    page = options.docs.read_text("utf-8") if options.docs else None
    if page is not None:
        part_of(page)
    with tempfile.TemporaryDirectory(prefix="scale-") as temporary:
        found = _found(options, options.folder or Path(temporary), teller())
    print(text(found))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(document(found), indent=1) + "\n", encoding="utf-8")
    if page is not None:
        options.docs.write_text(page_part(page, found), "utf-8")
    failed = [side for side in found.sides if side.failed] + [one for one in found.commands if one.failed]
    for one in failed:
        print(f"error: {one.name}: {one.failed}", file=sys.stderr)
    return 1 if failed else 0


def _found(options: argparse.Namespace, place: Path, tell: Callable[[str], None]) -> Found:
    sides = []
    for side in SIDES:
        if side.name in options.only:
            sides.append(measured(side, options.runs, options.workers, place, tell))
    folder: Folder | None = None
    commands = []
    if any(side.name == "files" and not side.failed for side in sides):
        commands, folder = measured_commands(options.runs, place, tell)
    return Found(_called(options), machine(), tuple(sides), tuple(commands), folder)


def _called(options: argparse.Namespace) -> str:
    only = "" if options.only == NAMES else f" --only {','.join(options.only)}"
    return f"python benchmarks/scale.py --runs {options.runs} --workers {options.workers}{only}"


def document(found: Found) -> dict[str, Any]:
    """All figures, and what is derived from them, as plain values."""
    derived = ("ms_a_run", "ms_a_further_run", "kb_a_further_run")
    return {
        "command": found.command,
        "machine": found.machine,
        "training_ms": found.training_ms,
        "sides": [{**asdict(side), **{name: getattr(side, name) for name in derived}} for side in found.sides],
        "commands": [asdict(command) for command in found.commands],
        "folder": asdict(found.folder) if found.folder else None,
    }


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = argparse.ArgumentParser(description="What thousands of runs cost beside training.", allow_abbrev=False)
    made.add_argument("--runs", type=_runs, default=5000, help="at least 2; a multiple of 20 gives equal grids")
    made.add_argument("--workers", type=int, default=2, help="runs at once, where a side can")
    made.add_argument("--only", type=lambda given: tuple(given.split(",")), default=NAMES, help=",".join(NAMES))
    made.add_argument("--folder", type=Path, help="to work in and to keep; otherwise a temporary one")
    made.add_argument("--json", type=Path, help="all figures as JSON")
    made.add_argument("--docs", type=existing, help="a page whose measured part is filled in")
    options = made.parse_args(arguments)
    for name in options.only:
        if name not in NAMES:
            made.error(f"--only knows {', '.join(NAMES)}, not {name}")
    return options


def _runs(given: str) -> int:
    runs = int(given)
    if runs < 2:
        raise argparse.ArgumentTypeError("at least 2")
    return runs


if __name__ == "__main__":
    sys.exit(main())
