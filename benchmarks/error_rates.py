"""How often the report's statistics are wrong, and what they find: grids drawn at random, whose truth is known.

    python benchmarks/error_rates.py                                  some minutes on one CPU core
    python benchmarks/error_rates.py --docs docs/statistics.md        also fills in the tables of that page

Each grid is compared as a report compares it (simulation.py). Noise is normal, its SD 1 unless said otherwise.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from simulation import Grid, simulate, standard_error

from harness.analysis.seeds_needed import StandingTest, seeds_for
from harness.evaluation.output_folder import make_writable

SEEDS = (2, 3, 5)
CELLS = (3, 6, 12)
VARIANCES = {
    "all equal": (1.0, 1.0),
    "one cell 2 x": (1.0, 2.0),
    "one cell 4 x": (1.0, 4.0),
    "baseline 4 x": (4.0, 1.0),
    "one cell 1/4": (1.0, 0.25),
}
"""SDs of the baseline and of the first other cell; all others have 1."""

Row = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """rows: their first is the heading."""

    name: str
    rows: tuple[Row, ...]

    def markdown(self) -> str:
        head, *others = self.rows
        return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *others))


def main(arguments: Sequence[str] | None = None) -> int:
    options = parsed(arguments)
    page = options.docs.read_text(encoding="utf-8") if options.docs else ""
    if options.output:
        make_writable(options.output.parent)
    began = time.monotonic()
    tables = [made(options.simulations) for made in (false_positives, found_effects, pairing, seeds_needed)]
    error = percent(standard_error(0.05, options.simulations), 2)
    stated = (
        f"`python benchmarks/error_rates.py --simulations {options.simulations}`: {options.simulations:,} grids for "
        f"each false positive rate (standard error at 5 %: {error}), {options.simulations // 2:,} for each power."
    )
    print(stated, *(f"{table.name}\n{table.markdown()}" for table in tables), sep="\n\n")
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    if options.output:
        document = {"simulations": options.simulations, "tables": [asdict(table) for table in tables]}
        options.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if options.docs:
        for name, body in (("stated", stated), *((table.name, table.markdown()) for table in tables)):
            page = filled(page, name, body)
        options.docs.write_text(page, encoding="utf-8")
    return 0


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=1000, help="grids for each figure")
    parser.add_argument("--output", type=Path, help="all tables as JSON")
    parser.add_argument("--docs", type=Path, help="a page whose tables are filled in")
    return parser.parse_args(arguments)


def false_positives(simulations: int) -> Table:
    """Nothing differs: of each variance the rate over the family, and of the kind of test that errs more: that of the
    first cell, or those of the others."""
    rows: list[Row] = [("seeds", "cells", *VARIANCES, "coverage", "pooled alone, baseline 4 x")]
    for seeds in SEEDS:
        for cells in CELLS:
            shown, coverage, alone = [], 1.0, 0.0
            for place, (of_baseline, of_first) in enumerate(VARIANCES.values()):
                grid = Grid(seeds, (of_baseline, of_first, *(1.0,) * (cells - 2)), (0.0,) * cells, seed_sd=1.0)
                found = simulate(grid, simulations, seed=1000 * seeds + 10 * cells + place)
                family = found.family_wise(range(cells - 1))
                first_cell, *others = found.false_positives()
                shown.append(f"{percent(family)} ({percent(max(first_cell, sum(others) / len(others)))})")
                coverage = found.coverage() if place == 0 else coverage
                alone = found.family_wise_pooled_alone() if of_baseline > 1 else alone
            rows.append((str(seeds), str(cells), *shown, percent(coverage), percent(alone)))
    return Table("false positives", tuple(rows))


def found_effects(simulations: int) -> Table:
    """One cell of six, or of twelve, differs by so many SDs: how often it gets its verdict."""
    effects = (1.0, 2.0, 3.0, 5.0, 8.0, 12.0)
    rows: list[Row] = [("seeds", "cells", *(f"{effect:g} SD" for effect in effects))]
    for seeds in (*SEEDS, 10):
        for cells in (6, 12):
            powers = [
                simulate(Grid(seeds, (1.0,) * cells, (0.0, effect, *(0.0,) * (cells - 2))), simulations // 2, place)
                for place, effect in enumerate(effects)
            ]
            rows.append((str(seeds), str(cells), *(percent(found.power(0), 0) for found in powers)))
    return Table("power", tuple(rows))


def pairing(simulations: int) -> Table:
    """A difference of 1.5 total SDs, tested alone at 5 %, with seeds that correlate."""
    rows: list[Row] = [("seeds", "correlation of seeds", "paired (as here)", "unpaired t test")]
    for seeds in (3, 5):
        for correlation in (0.0, 0.5, 0.9):
            noise = (math.sqrt(1 - correlation),) * 6
            grid = Grid(seeds, noise, (0.0, 1.5, 0.0, 0.0, 0.0, 0.0), seed_sd=math.sqrt(correlation))
            found = simulate(grid, simulations // 2, seed=seeds)
            rates = [float((p[:, 0] <= 0.05).mean()) for p in (found.p, found.unpaired)]
            rows.append((str(seeds), f"{correlation:g}", *(percent(rate, 0) for rate in rates)))
    return Table("pairing", tuple(rows))


def seeds_needed(simulations: int) -> Table:
    """The seeds that a report would ask for were effect and SD known, and how often they then do."""
    rows: list[Row] = [("difference", "cells", "seeds asked for", "power with these", "with one less")]
    for effect in (1.0, 1.5, 2.0, 4.0):
        for cells in (2, 6):
            test = StandingTest(1.0, (cells - 1) * 2.0, 3, 0.05 / (cells - 1))
            seeds = seeds_for(test, effect) or 0
            reached = []
            for count in (seeds, seeds - 1):
                grid = Grid(count, (1.0,) * cells, (0.0, effect, *(0.0,) * (cells - 2)))
                found = simulate(grid, simulations // 2, seed=count)
                reached.append(percent(float((found.p[:, 0] <= test.level).mean()), 0))
            rows.append((f"{effect:g} SD", str(cells), str(seeds), *reached))
    return Table("seeds needed", tuple(rows))


def percent(rate: float, digits: int = 1) -> str:
    return f"{100 * rate:.{digits}f} %"


def filled(page: str, name: str, body: str) -> str:
    """`page` with the part of that name replaced; ValueError where it has none or several."""
    part = re.compile(f"(<!-- simulated: {name} -->\n).*?(<!-- simulated end -->)", re.DOTALL)
    if len(part.findall(page)) != 1:
        raise ValueError(f"the page has no single part <!-- simulated: {name} -->")
    return part.sub(lambda found: f"{found[1]}{body}\n{found[2]}", page)


if __name__ == "__main__":
    sys.exit(main())
