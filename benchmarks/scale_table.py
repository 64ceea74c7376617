"""The figures of the benchmark of scale as tables, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from results import require_part
from scale_commands import MILLION, Command, Folder
from scale_limits import LEAST_RUNS, limits
from scale_sides import Measured
from table import named

SIDES_HEADER = (
    "what",
    "runs",
    "at once",
    "s",
    "ms a run",
    "of them over training",
    "ms each further run",
    "parent MB half-way",
    "at the end",
    "KB each further run",
    "does not",
)
COMMANDS_HEADER = ("command", "runs", "s", "ms each further run", "at most MB", "s at 10^6", "MB at 10^6")

LIMITS_HEADER = ("by this growth", "from so many runs on")

Cells = tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """Everything that one run of the benchmark measured. command: how it was called."""

    command: str
    machine: dict[str, Any]
    sides: tuple[Measured, ...]
    commands: tuple[Command, ...]
    folder: Folder | None

    @property
    def training_ms(self) -> float | None:
        """Of one job, in a loop of one process; None where that was not measured, or too noisy to be anything."""
        found = next((side.ms_a_further_run for side in self.sides if side.name == "alone"), None)
        return found if found is not None and found > 0 else None


def side_lines(found: Found) -> list[Cells]:
    return [_side_line(side, found.training_ms) for side in found.sides]


def command_lines(found: Found) -> list[Cells]:
    return [_command_line(command) for command in found.commands]


def limit_lines(found: Found) -> list[Cells]:
    """Numbers of runs to two digits: more of them would be a promise."""
    found_limits = limits(found.sides, found.commands, found.folder)
    return [(limit.what, f"{int(float(f'{limit.runs:.1e}')):,}") for limit in found_limits]


def text(found: Found) -> str:
    """Both tables with columns side by side."""
    parts = [named(found.machine), _columns(SIDES_HEADER, side_lines(found))]
    if found.commands:
        parts.append(_columns(COMMANDS_HEADER, command_lines(found)))
    parts += [_columns(LIMITS_HEADER, lines)] if (lines := limit_lines(found)) else []
    return "\n\n".join([*parts, *_folder_lines(found)])


def page_part(page: str, found: Found) -> str:
    """`page` with its measured part made anew; ValueError where it has none."""
    parts = [f"`{found.command}` on {named(found.machine)}:", _markdown(SIDES_HEADER, side_lines(found))]
    if found.commands:
        parts.append(_markdown(COMMANDS_HEADER, command_lines(found)))
    parts += [_markdown(LIMITS_HEADER, lines)] if (lines := limit_lines(found)) else []
    body = "\n\n".join([*parts, *_folder_lines(found)])
    return part_of(page).sub(lambda match: f"{match[1]}{body}\n{match[2]}", page)


def part_of(page: str) -> Any:
    """The pattern of the measured part; ValueError where the page has none or several."""
    return require_part(page, "cpu", "scale")


def _side_line(side: Measured, training_ms: float | None) -> Cells:
    start = (side.what, f"{side.runs:,}", str(side.workers))
    if side.failed or side.half is None or side.whole is None or side.ms_a_run is None:
        return (*start, "not measured", *[""] * 6, side.failed)
    over = "" if training_ms is None else _number(side.ms_a_run - training_ms / side.workers)
    return (
        *start,
        _number(side.whole.seconds),
        _number(side.ms_a_run),
        over,
        _number(side.ms_a_further_run),
        f"{side.whole.half_mb:,.0f}",
        f"{side.whole.end_mb:,.0f}",
        _number(side.kb_a_further_run),
        side.lacks,
    )


def _command_line(command: Command) -> Cells:
    if command.half is None or command.whole is None:
        return (command.name, f"{command.runs:,}", "not measured", "", "", "", command.failed)
    tells_growth = command.runs >= LEAST_RUNS
    further_ms = 1000 * (command.seconds_at(MILLION) - command.whole.seconds) / (MILLION - command.runs)
    return (
        command.name,
        f"{command.runs:,}",
        _number(command.whole.seconds),
        _number(further_ms),
        f"{command.whole.peak_mb:,.0f}",
        *((f"{command.seconds_at(MILLION):,.0f}", f"{command.peak_mb_at(MILLION):,.0f}") if tells_growth else ("", "")),
    )


def _folder_lines(found: Found) -> list[str]:
    if found.folder is None:
        return []
    of = found.folder
    files, kb = of.files / of.runs, 1000 * of.mb / of.runs
    return [
        f"{of.runs:,} runs leave {of.files:,} files of {of.mb:,.0f} MB on disk: {files:.0f} files and {kb:,.0f} KB a "
        f"run; a million would leave {files:.0f} million files of {kb / 1000 * 1000:,.0f} GB."
    ]


def _columns(header: Sequence[str], lines: Sequence[Cells]) -> str:
    rows = [tuple(header), *lines]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    shown = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(shown)


def _markdown(header: Sequence[str], lines: Sequence[Cells]) -> str:
    rows = [tuple(header), ("---",) * len(header), *lines]
    return "\n".join(f"| {' | '.join(cell.replace('|', ' ') for cell in row)} |" for row in rows)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
