"""How a command that works on runs ends: its report, its last words, its exit code, whatever became of the report."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import typer

from harness.cli.console import duration, fail, of_system
from harness.cli.reporting import report_is_current, write_report
from harness.errors import HarnessError, StoreError
from harness.execution.options import RunOptions
from harness.report.notes import read_notes
from harness.tracking.reader import ExperimentView
from harness.tracking.report_files import NOTES


@dataclass(frozen=True)
class Worked:
    """What became of the work. code: of the command; failed: why runs failed in this call, by key."""

    code: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reported:
    """What became of the report. told: what to say of it; was_current: nothing was to be written; error: why it could
    not be written."""

    told: str = ""
    was_current: bool = False
    error: Exception | None = None


@dataclass(frozen=True)
class Ending:
    """code: of the work; error: of the report, told once everything else is."""

    code: int
    error: Exception | None = None

    def leave(self) -> NoReturn:
        """Ends the command; a failure of the work outranks one of the report."""
        error = of_system(self.error) if isinstance(self.error, OSError) else self.error
        if error is None:
            raise typer.Exit(self.code)
        if not isinstance(error, HarnessError):
            raise error  # no mistake of a person's
        code = fail(error)
        raise typer.Exit(self.code or code)


def bring_report(view: ExperimentView, output: Path | None) -> Reported:
    """Writes the report where it is not current. What goes wrong with it is kept: the work before it stands."""
    try:
        if output is None or report_is_current(view, output):
            return Reported(was_current=True)
        return Reported(f"report: {write_report(view.plan, view.directory, output)}")
    except Exception as error:  # noqa: BLE001 - told, or raised again, by `Ending.leave`
        return Reported(error=error)


def check_output(output: Path | None) -> None:
    """A report that cannot be written is told before hours of training, not after; StoreError."""
    if output is None:
        return
    for folder in (output / "figures", output / "tables", output, *output.parents):
        if folder.exists() and not folder.is_dir():
            raise StoreError("a file is where the report's folder must be", where=str(folder), remedy="Move it away.")
    nearest = next(folder for folder in (output.absolute(), *output.absolute().parents) if folder.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise StoreError(
            "the report's folder cannot be written", where=str(nearest), remedy="Make it writable, or use --no-report."
        )
    read_notes(output / NOTES)


def idle_text(options: RunOptions, output: Path | None) -> str:
    """Where nothing was missing; output None: no report is spoken of."""
    if options.work == "evaluate":
        return "nothing to do: every checkpoint that exists is measured"
    report = f"; report: {output / 'report.md'}" if output else ""
    return f"nothing to do: all {len(options.keys)} runs are done{report}"


def submitted_text(file: Path) -> str:
    """After `--submit`: what comes next, as nothing was projected or reported."""
    return (
        f"the jobs go on without this command. `harness status {file}` follows them; once they are done, or to submit "
        f"again what was lost, the same command. `harness sync {file}` and `harness report {file}` bring the results."
    )


def closing_text(view: ExperimentView, options: RunOptions, failed: Mapping[str, str], seconds: float) -> str:
    """The last words: how many runs ended how, and the next command for those that failed.

    failed: why, by key. Whatever its files say, a run that failed in this call counts as that.
    """
    runs = [run for run in view.runs if run.run.key in options.keys]
    counts: dict[str, int] = {}
    for run in runs:
        state = "failed" if run.run.key in failed else run.status.state
        counts[state] = counts.get(state, 0) + 1
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    lines = [f"{len(runs)} runs: {told}, in {duration(seconds)}"]
    for run in runs:
        if run.status.state == "failed" or run.run.key in failed:
            lines.append(f"failed: {run.run.name}: {failed.get(run.run.key) or run.status.reason}")
            if run.directory:
                lines.append(f"  log: {run.directory.log}; the same command tries it again")
    return "\n".join(lines)
