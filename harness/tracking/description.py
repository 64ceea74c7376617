"""The parent run's description, which MLflow shows as Markdown: a small table of the cells."""

from __future__ import annotations

import re
import statistics

from harness.tracking.reader import ExperimentView, RunView

TEXT_LENGTH = 5000
"""Characters of a tag's value that every store takes."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def description(experiment: ExperimentView) -> str:
    """A Markdown table: per cell, the mean over seeds at the last measured checkpoint, n said, nothing claimed."""
    blocks = [(index, block) for index, block in enumerate(experiment.blocks) if _has_one_protocol(experiment, index)]
    columns = [(index, metric, f"{metric}.{block.key}") for index, block in blocks for metric in block.settings.metrics]
    lines = ["| " + " | ".join(["cell", "runs", *(f"{name} (mean over n seeds)" for _, _, name in columns)]) + " |"]
    lines.append("| --- " * (2 + len(columns)) + "|")
    by_cell: dict[str, list[RunView]] = {}
    for view in experiment.runs:
        by_cell.setdefault(view.run.cell.name, []).append(view)
    for cell, views in by_cell.items():
        done = sum(view.status.state == "complete" for view in views)
        values = [_cell_mean(experiment, views, index, metric) for index, metric, _ in columns]
        row = "| " + " | ".join([_plain(cell), f"{done}/{len(views)} complete", *values]) + " |"
        if sum(map(len, lines)) + len(lines) + len(row) > TEXT_LENGTH - 100:
            lines.append("\nMore cells than fit here: see the report.")
            break
        lines.append(row)
    return "\n".join(lines)


def _has_one_protocol(experiment: ExperimentView, block: int) -> bool:
    """Values of different protocols never share a column."""
    return len({protocol.sha256 for view in experiment.runs if (protocol := view.protocols[block])}) == 1


def _cell_mean(experiment: ExperimentView, views: list[RunView], block: int, metric: str) -> str:
    repeats = experiment.blocks[block].settings.repeats
    found = []
    for view in views:
        evaluation = experiment.last_measured(view, block) if view.status.state == "complete" else None
        values = evaluation.series(metric, repeats) if evaluation else []
        found += [statistics.fmean(values)] if values else []
    return f"{statistics.fmean(found):.4g} (n = {len(found)})" if found else "missing"


def _plain(name: str) -> str:
    """A cell's name as words on one line, whatever of it Markdown would take for markup."""
    return _SPECIAL.sub(r"\\\1", " ".join(name.split()))
