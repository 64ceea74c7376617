"""What harness' other commands take at many runs, and what their growth comes to at a million."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scale_sides import environment, half_of, harness, work_of
from scale_watch import CommandFailed, Taken, folder_size, watched

MILLION = 1_000_000


@dataclass(frozen=True)
class Command:
    """One command at half of the runs and at all of them. failed: why there are no figures, or empty."""

    name: str
    runs: int
    half: Taken | None = None
    whole: Taken | None = None
    failed: str = ""

    def seconds_at(self, runs: int) -> float:
        """Where it goes on to grow as from half of the runs to all of them."""
        assert self.half is not None and self.whole is not None
        return _line(self.runs, self.half.seconds, self.whole.seconds, runs)

    def peak_mb_at(self, runs: int) -> float:
        assert self.half is not None and self.whole is not None
        return _line(self.runs, self.half.peak_mb, self.whole.peak_mb, runs)


@dataclass(frozen=True)
class Folder:
    """What so many runs leave on disk."""

    runs: int
    files: int
    mb: float


def measured_commands(runs: int, place: Path, tell: Callable[[str], None]) -> tuple[list[Command], Folder]:
    """plan, status, an idle run and report, in the folders that the side `files` has left."""
    found = []
    for name, arguments in (
        ("plan", ("plan", "trivial.toml")),
        ("status", ("status", "trivial.toml")),
        ("run, with nothing to do", ("run", "trivial.toml", "--tracking-uri", "none", "--no-report")),
        ("report", ("report", "trivial.toml", "--output", "report", "--format", "md")),
    ):
        tell(f"harness {name}")
        try:
            half, whole = (
                watched(harness(*arguments), work_of("files", count, place), environment())
                for count in (half_of(runs), runs)
            )
        except CommandFailed as error:
            found.append(Command(name, runs, failed=str(error)))
            continue
        found.append(Command(name, runs, half, whole))
    files, mb = folder_size(work_of("files", runs, place) / "runs")
    return found, Folder(runs, files, mb)


def _line(runs: int, half: float, whole: float, at: int) -> float:
    slope = (whole - half) / max(1, runs - half_of(runs))
    return whole + max(0.0, slope) * (at - runs)
