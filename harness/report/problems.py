"""What of an experiment failed, diverged, was left out or is missing, as sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.design.metrics import METRICS
from harness.report.columns import Column, joined_title
from harness.report.content import Content, ReportCell, ReportRun
from harness.report.floors import differing_floors
from harness.report.markdown import code, counted, escape, shortened


def left_out(content: Content) -> list[str]:
    """One sentence per block that was left out."""
    return [
        f"{', '.join(METRICS[metric].title for metric in block.settings.metrics)} ({escape(block.column)}) "
        f"{'was' if len(block.settings.metrics) == 1 else 'were'} left out: its weights are missing, and the file does "
        "not require it."
        for block in content.left_out
    ]


def problems(content: Content, missing_pictures: Iterable[str]) -> list[str]:
    """What failed, diverged or is missing, one item each; empty where nothing is.

    missing_pictures: `Sample grid of CELL, seed 0: why`.
    """
    found = [_stopped(cell, run) for cell in content.cells for run in cell.runs if _is_stopped(run)]
    found += [
        _standing(cell, run)
        for cell in content.cells
        for run in cell.runs
        if not _is_stopped(run) and (run.view.status.reason or run.view.status.state in ("interrupted", "running"))
    ]
    pending = sum(run.view.status.state == "pending" for run in content.runs)
    if pending:
        found.append(f"{counted(pending, 'run')} {'has' if pending == 1 else 'have'} not started yet.")
    found += [
        text
        for group in content.groups
        for cell in content.cells_in(group[0])
        for text in _unmeasured(content, group, cell)
    ]
    found += [f"{escape(reason)}." for reason in missing_pictures]
    return found + differing_floors(content) + left_out(content)


def _is_stopped(run: ReportRun) -> bool:
    return run.view.status.state in ("diverged", "failed")


def _stopped(cell: ReportCell, run: ReportRun) -> str:
    status = run.view.status
    reason = f": {_told(status.reason)}" if status.reason else ""
    log = f" Its log is {code('log.txt')} in the run's folder, whose name ends in {code(run.key[:8])}."
    head = f"{escape(cell.label)}, seed {run.seed}: **{status.state}** after step {status.step}{reason}"
    return f"{head.rstrip('.')}.{log if status.state == 'failed' else ''}"


def _told(reason: str) -> str:
    """What is wrong and its remedy, which stand on lines of their own, as sentences on one."""
    *heads, last = [escape(line) for line in reason.splitlines() if line.strip()] or [""]
    return " ".join([*(head if head.endswith((".", "!", "?", ":")) else f"{head}." for head in heads), last])


def _standing(cell: ReportCell, run: ReportRun) -> str:
    status = run.view.status
    reason = f": {_told(status.reason)}" if status.reason else ""
    return f"{escape(cell.label)}, seed {run.seed}: {status.state} at step {status.step}{reason}".rstrip(".") + "."


def _unmeasured(content: Content, group: Sequence[Column], cell: ReportCell) -> list[str]:
    """Which evaluations of a cell are missing or have fewer repeats than asked, among those that have started.

    Metrics of one protocol that lack the same are named together.
    """
    by_lack: dict[str, list[Column]] = {}
    for column in group:
        lacking = []
        for run in content.runs_in(cell, column):
            if run.view.status.state == "pending":
                continue
            values = content.run_values(run, column)
            steps = [step for step in column.steps(cell.cell) if len(values.get(step, ())) < column.values_asked]
            if steps:
                lacking.append(f"seed {run.seed} at {shortened(', '.join(map(str, steps)))}")
        if lacking:
            by_lack.setdefault("; ".join(lacking), []).append(column)
    repeats = group[0].block.settings.repeats
    return [
        f"{escape(cell.label)}: {escape(joined_title(columns))} {'is' if len(columns) == 1 else 'are'} missing or "
        f"{'has' if len(columns) == 1 else 'have'} fewer than {repeats} repeats: {where}."
        for where, columns in by_lack.items()
    ]
