"""What of harness comes to its end first as runs grow in number, by the growth that was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scale_commands import Command, Folder
from scale_sides import Measured, half_of

LEAST_RUNS = 1000
"""Growth over fewer runs is noise, and nothing is foretold from it."""
DAY_S = 86_400.0
TOO_LONG = {"plan": (60.0, "a minute"), "status": (60.0, "a minute"), "report": (3600.0, "an hour")}


@dataclass(frozen=True)
class Limit:
    """what: that becomes too much; runs: from which on it does, where it goes on to grow as from half of the runs to
    all of them."""

    what: str
    runs: int


def limits(sides: Sequence[Measured], commands: Sequence[Command], folder: Folder | None) -> list[Limit]:
    """Fewest runs first. What did not grow, or was not measured, is left out."""
    found: list[Limit | None] = []
    for command in commands:
        if command.half is None or command.whole is None or command.runs < LEAST_RUNS:
            continue
        runs, half, whole = command.runs, command.half, command.whole
        if command.name in TOO_LONG:
            most_s, told = TOO_LONG[command.name]
            found.append(_limit(f"`{command.name}` takes {told}", runs, half.seconds, whole.seconds, most_s))
        if command.name in ("report", "status"):
            text = f"`{command.name}` takes 16 GB of memory"
            found.append(_limit(text, runs, half.peak_mb, whole.peak_mb, 16_000.0))
    for side in sides:
        if side.half is None or side.whole is None or side.runs < LEAST_RUNS:
            continue
        if side.name == "files":
            text = "the parent of the local executor takes 16 GB of memory"
            found.append(_limit(text, side.runs, side.half.end_mb, side.whole.end_mb, 16_000.0))
        if side.name in ("files", "mlflow", "ray"):
            text = f"{side.what}: a day goes by beside training"
            found.append(_limit(text, side.runs, side.half.seconds, side.whole.seconds, DAY_S))
    if folder is not None and folder.runs >= LEAST_RUNS:
        found.append(Limit("the folder of the runs holds 10 million files", 10_000_000 * folder.runs // folder.files))
        found.append(Limit("the folder of the runs takes 100 GB", int(100_000 * folder.runs / folder.mb)))
    return sorted((limit for limit in found if limit is not None), key=lambda limit: limit.runs)


def _limit(what: str, runs: int, half: float, whole: float, most: float) -> Limit | None:
    slope = (whole - half) / max(1, runs - half_of(runs))
    return Limit(what, int(runs + (most - whole) / slope)) if slope > 0 else None
