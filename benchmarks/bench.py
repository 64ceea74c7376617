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
from table import named, page_part, require_part, text_table

PARTS = ("startup", "training", "features", "report_scale")
"""Modules with a function `measure(tell)`, quickest first but for training."""

PART_OF = {"startup": "startup", "training": "training", "inception": "features", "report": "report_scale"}
"""The part that measures the lines whose names begin so."""

UNMEASURED = (
    ("training.cpu.100,100.grid-bf16", "training at (100, 100) in bfloat16: no instructions for it here"),
    ("training.cuda", "training on a CUDA GPU, beside the loop by hand"),
    ("training.whole.cuda", "seven cells x three seeds, 5 checkpoints x 5 x 3000 images on a CUDA GPU, beside by hand"),
    ("inception.cuda", "Inception features on a CUDA GPU, beside pytorch-fid"),
)
"""Shown as unmeasured where no line's name begins so."""

MOST_NOISE = 0.3


def main(arguments: Sequence[str] | None = None) -> int:
    options = parsed(arguments)
    committed = json.loads(options.check.read_text("utf-8")) if options.check else None
    page = options.docs.read_text("utf-8") if options.docs else None
    if page is not None:
        require_part(page)
    tell, here = teller(), machine()
    rows: list[Row] = []
    problems: list[str] = []
    for part in options.only:
        tell(part)
        try:
            rows += _measured(part, tell)
        except SystemExit as error:  # values that differ, and what else makes a part's speed count for nothing
            problems.append(f"{part}: {error}")
        if options.output:
            _write(options.output, here, rows)
    unmeasured = [(name, what) for name, what in UNMEASURED if not any(row.name.startswith(name) for row in rows)]
    print(text_table(here, rows, unmeasured))
    if page is not None and not problems:
        options.docs.write_text(page_part(page, here, rows, unmeasured), "utf-8")
    if committed is not None:
        problems += worse_ratios(committed, {"machine": here, "rows": [asdict(row) for row in rows]}, options.only)
    for line in problems:
        print(f"error: {line}", file=sys.stderr)
    return 1 if problems else 0


def _measured(part: str, tell: Callable[[str], None]) -> list[Row]:
    measure: Callable[[Callable[[str], None]], list[Row]] = importlib.import_module(part).measure
    found = measure(lambda what: tell(f"{part}: {what}"))
    return [row for row in found if not math.isnan(row.ours)]  # those that no device is there for


def _write(path: Path, here: dict[str, Any], rows: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"machine": here, "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def worse_ratios(committed: dict[str, Any], found: dict[str, Any], parts: Sequence[str] = PARTS) -> list[str]:
    """One line for each ratio that is below the committed one by more than that one's noise; never of seconds.

    Noise counts up to MOST_NOISE. A measurement that is noisier tells nothing, and a committed line that is absent now
    even less: both are lines, too. parts: those that were measured now.
    """
    now = {row["name"]: row for row in found["rows"]}
    lines = []
    if (before := named(committed["machine"])) != (here := named(found["machine"])):
        lines.append(f"another machine: {here}; the committed ratios are of {before}")
    for row in committed["rows"]:
        name, ratio = row["name"], row["ratio"]
        if ratio is None or PART_OF[name.partition(".")[0]] not in parts:
            continue
        other = now.get(name)
        if other is None or other["ratio"] is None:
            lines.append(f"{name}: not measured now, was {ratio:.2f} times the peer")
            continue
        least = ratio * (1 - min(row["noise"], MOST_NOISE))
        if other["ratio"] < least:
            lines.append(
                f"{name}: {other['ratio']:.2f} times the peer, was {ratio:.2f} (with noise at least {least:.2f})"
            )
        elif other["noise"] > 2 * MOST_NOISE:
            lines.append(f"{name}: too noisy to tell; let the machine do nothing else")
    return lines


def existing(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"no such file: {text}")
    return path


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    made = argparse.ArgumentParser(description="All benchmarks of speed as one table.", allow_abbrev=False)
    made.add_argument("--only", type=lambda text: tuple(text.split(",")), default=PARTS, help=f"of {','.join(PARTS)}")
    made.add_argument("--output", type=Path, help="JSON")
    made.add_argument("--docs", type=existing, help="a page whose measured part is filled in")
    made.add_argument("--check", type=existing, help="JSON of earlier figures; leaves with 1 where a ratio is worse")
    options = made.parse_args(arguments)
    for part in options.only:
        if part not in PARTS:
            made.error(f"--only knows {', '.join(PARTS)}, not {part}")
    return options


if __name__ == "__main__":
    sys.exit(main())
