"""What report tests read: contents of made-up runs, and the rows of Markdown tables and CSV files."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from report_data import Story, live

from harness.design.expansion import Plan
from harness.report.content import Content, gather
from harness.tracking.reader import read_experiment


def content_of(plan: Plan, runs_dir: Path, stories: dict[str, Story] | None = None) -> Content:
    live(plan, runs_dir, stories)
    return gather(read_experiment(plan, runs_dir))


def rows_of(table: str) -> list[dict[str, str]]:
    """The rows of a pipe table by header; a bar that is text is escaped and splits nothing."""
    cells = [[cell.strip() for cell in line.replace("\\|", "\0").strip("|").split("|")] for line in table.splitlines()]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def cell_rows(table: str) -> list[dict[str, str]]:
    """The rows of cells, without that of real images."""
    return [row for row in rows_of(table) if row["#"] != "–"]


def csv_rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))
