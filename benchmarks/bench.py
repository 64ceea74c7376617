"""All benchmarks of speed as one table, and as JSON: what `make bench` runs.

    python benchmarks/bench.py --output benchmarks/measured/here.json
    python benchmarks/bench.py --only training,startup
    python benchmarks/bench.py --check benchmarks/measured/cpu.json    ratios beside committed ones

Every line is ours beside a peer's, measured in the same run, in turns. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evaluation import teller
from results import machine
from rows import Row
from table import page_part, text_table

PARTS = ("startup", "training", "features", "report_scale")
"""Modules with a function `measure(tell)`, quickest first but for training."""

UNMEASURED = (
    ("training.cuda", "training on a CUDA GPU, beside the loop by hand"),
    ("inception.cuda", "Inception features on a CUDA GPU, beside pytorch-fid"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parsed(arguments)
    tell = teller()
    rows: list[Row] = []
    for part in options.only:
        tell(part)
        measure: Callable[[Callable[[str], None]], list[Row]] = importlib.import_module(part).measure
        found_here = measure(lambda what, part=part: tell(f"{part}: {what}"))  # type: ignore[misc]
        rows += [row for row in found_here if not math.isnan(row.ours)]  # what no device is there for
    found = {"machine": machine(), "rows": [asdict(row) for row in rows]}
    unmeasured = UNMEASURED if machine()["gpu"] is None else ()
    print(text_table(found["machine"], rows, unmeasured))
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if options.docs:
        options.docs.write_text(page_part(options.docs.read_text("utf-8"), found["machine"], rows, unmeasured), "utf-8")
    if options.check is None:
        return 0
    worse = worse_ratios(json.loads(options.check.read_text("utf-8")), found)
    for line in worse:
        print(f"error: {line}", file=sys.stderr)
    return 1 if worse else 0


def worse_ratios(committed: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """One line for each ratio that is below the committed one by more than the noise of both; never of seconds.

    Lines that only one of both has say nothing here.
    """
    before = {row["name"]: row for row in committed["rows"] if row["ratio"] is not None}
    lines = []
    for row in found["rows"]:
        other = before.get(row["name"])
        if other is None or row["ratio"] is None:
            continue
        allowed = other["ratio"] * (1 - max(other["noise"], row["noise"]))
        if row["ratio"] < allowed:
            lines.append(
                f"{row['name']}: {row['ratio']:.2f} times the peer, was {other['ratio']:.2f} "
                f"(with noise at least {allowed:.2f})"
            )
    return lines


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = argparse.ArgumentParser(description="All benchmarks of speed as one table.", allow_abbrev=False)
    made.add_argument("--only", type=lambda text: tuple(text.split(",")), default=PARTS, help=f"of {','.join(PARTS)}")
    made.add_argument("--output", type=Path, help="JSON")
    made.add_argument("--docs", type=Path, help="a page whose measured part is filled in")
    made.add_argument("--check", type=Path, help="JSON of earlier figures; leaves with 1 where a ratio is worse")
    options = made.parse_args(arguments)
    for part in options.only:
        if part not in PARTS:
            made.error(f"--only knows {', '.join(PARTS)}, not {part}")
    return options


if __name__ == "__main__":
    sys.exit(main())
