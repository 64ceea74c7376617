"""live.html: a page that shows a grid while it trains and reads itself again every few seconds.

Written beside training, so nothing heavy is loaded: neither torch, pandas, matplotlib nor mlflow. Its charts are SVG
lines of its own (`svg_chart`); the report's figures are drawn when all is done.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from harness.design.controls import spelled_out
from harness.design.expansion import Cell
from harness.report.live_reader import LOSSES, LiveRun
from harness.report.palette import cell_colors
from harness.report.policy import source_hash
from harness.report.svg_chart import Chart, Series, chart, thinned
from harness.store.status import RunState

_Shown = TypeVar("_Shown")

REFRESH_S = 5
"""How often a browser reads the page again while the command runs."""
OLD_S = 60
"""Age of the page from which it says that the command may have stopped."""
MOST_POINTS = 12_000
"""Points of all loss curves together."""
MOST_RUNS = 300
"""Runs that get a line of their own, and MOST_CELLS cells curves and pictures, however many there are."""
MOST_CELLS = 60
_RANKS: tuple[RunState, ...] = ("running", "failed", "diverged", "interrupted", "complete", "pending")
GRAY = "#555555"
DASHES = "5 2"
"""Of the discriminator's loss; the generator's is a solid line in the cell's color, as in the report."""


@dataclass(frozen=True)
class LivePage:
    """What the page says beside the runs. title: the experiment; told: what goes on, in a sentence; written: when, in
    seconds since 1970; is_running: whether it will be written again; metric: that runs are measured by; links:
    (text, address) of finished reports."""

    title: str
    told: str
    written: float
    is_running: bool
    metric: str
    links: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class _Card:
    """One cell: its loss curves of one run, and that run's newest sample grid."""

    name: str
    color: str
    seed: int | None
    losses: Chart | None
    samples: str
    samples_step: int


def render_live(page: LivePage, runs: Sequence[LiveRun], folder: Path) -> str:
    """The page as HTML. runs: in the plan's order; folder: where the page will lie, for the addresses of pictures.

    Of more than MOST_RUNS runs and MOST_CELLS cells, those that are worked on or went wrong come before others.
    """
    by_cell: dict[str, list[LiveRun]] = {}
    for live in runs:
        by_cell.setdefault(live.run.cell.name, []).append(live)
    shown = _first(runs, MOST_RUNS, _rank)
    cells = _first(list(by_cell), MOST_CELLS, lambda name: min(map(_rank, by_cell[name])))
    told = {name: by_cell[name][0].run.cell for name in {*cells, *(live.run.cell.name for live in shown)}}
    labels = _labels([cell for cell in (of[0].run.cell for of in by_cell.values()) if cell.name in told])
    are_baseline = [of[0].run.cell.is_baseline for of in by_cell.values()]
    colors = dict(zip(by_cell, cell_colors(are_baseline), strict=True))
    end = max((live.steps for live in runs), default=1)
    points = max(30, min(200, MOST_POINTS // (2 * max(1, len(cells)))))
    means = [Series(labels[name], colors[name], _means(by_cell[name])) for name in cells]
    return _template().render(
        page=page,
        refresh_s=REFRESH_S,
        old_s=OLD_S,
        rows=[_row(live, labels[live.run.cell.name], colors[live.run.cell.name]) for live in shown],
        runs_left_out=len(runs) - len(shown),
        cells_left_out=len(by_cell) - len(cells),
        measured=chart([one for one in means if one.points], end, 720, 260),
        cards=[_card(labels[name], colors[name], by_cell[name], folder, points) for name in cells],
        discriminator=(GRAY, DASHES),
        script=Markup(_script()),
        script_hash=source_hash(_script()),
    )


def _rank(live: LiveRun) -> int:
    """Whom the page has room for first: what is worked on, what a person should look at, what there is to see."""
    return _RANKS.index(live.state)


def _first(all_of_them: Sequence[_Shown], most: int, rank: Callable[[_Shown], int]) -> list[_Shown]:
    """At most so many, lowest rank first; in the order in which they came."""
    if len(all_of_them) <= most:
        return list(all_of_them)
    ranks = [rank(one) for one in all_of_them]
    chosen = sorted(range(len(all_of_them)), key=ranks.__getitem__)[:most]
    return [all_of_them[index] for index in sorted(chosen)]


def address(path: Path, folder: Path) -> str:
    """How a page in `folder` names the file at `path`: relative, so that both can be moved together."""
    try:
        return quote(Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix())
    except ValueError:  # another drive
        return path.absolute().as_uri()


def time_text(seconds: float | None) -> str:
    """`40 s`, `12 min`, `2 h 05 min`; empty for None."""
    if seconds is None:
        return ""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _labels(cells: Sequence[Cell]) -> dict[str, str]:
    """Labels by cell name; where two cells are labeled alike, the name is added."""
    plain = {cell.name: " ".join(cell.label.split()) or cell.name for cell in cells}
    counts = Counter(plain.values())
    return {name: label if counts[label] == 1 else f"{label} ({name})" for name, label in plain.items()}


def _row(live: LiveRun, label: str, color: str) -> dict[str, str]:
    last = live.measured[-1] if live.measured else None
    rate = live.images_per_second
    running = live.state == "running"
    reached = min(1.0, live.step / max(1, live.steps))
    return {
        "cell": label,
        "color": color,
        "seed": str(live.run.seed),
        "state": live.state,
        "reason": spelled_out(live.reason),
        "step": f"{live.step} / {live.steps}",
        "share": f"{100 * reached:.0f}",
        "measured": f"{last[1]:.4g}" if last else "",
        "measured_at": f"at step {last[0]}" if last else "",
        "pace": f"{live.seconds_per_step * 1000:.3g}" if live.seconds_per_step else "",
        "images": f"{rate:.0f}" if rate else "",
        "left": "measuring" if running and live.step >= live.steps else time_text(live.seconds_left),
    }


def _means(runs: Sequence[LiveRun]) -> list[tuple[float, float]]:
    """Means over those seeds that are measured so far, by step."""
    by_step: dict[int, list[float]] = {}
    for live in runs:
        for step, value in live.measured:
            by_step.setdefault(step, []).append(value)
    return [(float(step), sum(values) / len(values)) for step, values in sorted(by_step.items())]


def _card(name: str, color: str, runs: Sequence[LiveRun], folder: Path, points: int) -> _Card:
    """Of the cell's first run that is worked on, else of its first that has records."""
    begun = [live for live in runs if live.losses]
    shown = next((live for live in begun if live.state == "running"), next(iter(begun), None))
    if shown is None:
        return _Card(name, color, None, None, "", 0)
    looks = (("loss of G", color, ""), ("loss of D", GRAY, DASHES))
    curves = [
        Series(told, of, thinned(shown.losses[loss], points), dash)
        for loss, (told, of, dash) in zip(LOSSES, looks, strict=True)
        if loss in shown.losses
    ]
    pictured = next((live for live in (shown, *runs) if live.samples), None)
    step, path = pictured.samples if pictured and pictured.samples else (0, None)
    drawn = chart(curves, shown.steps, 300, 170)
    return _Card(name, color, shown.run.seed, drawn, address(path, folder) if path else "", step)


@cache
def _script() -> str:
    return (package_files("harness.report") / "templates" / "live.js").read_text(encoding="utf-8")


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("harness.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
    )
    return environment.get_template("live.html.jinja")
