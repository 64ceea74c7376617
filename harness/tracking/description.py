"""The parent run's description, which MLflow shows as Markdown: a small table of the cells."""

from __future__ import annotations

import re
import statistics
from pathlib import Path

from harness.store.reading import read_bytes
from harness.tracking.reader import ExperimentView, RunView
from harness.tracking.shared_view import VIEW

TEXT_LENGTH = 5000
"""Characters of a tag's value that every store takes."""
NOTE_BEGINS = "The runs of the ablation "
"""How a note of ours on the experiment begins; another one is a person's."""
_SUMMARY_LENGTH = 2500
_WHOLE = "The whole report lies among the artifacts: `report/report.md`, with its figures and tables."
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def description(experiment: ExperimentView, summary: str = "") -> str:
    """A Markdown table: per cell, the mean over seeds at the last measured checkpoint, n said, nothing claimed.

    summary: of the report of these runs as they are (`report_summary`), which follows the table with where it lies.
    """
    told = f"\n\n{summary}\n\n{_WHOLE}" if summary else ""
    return _table(experiment, TEXT_LENGTH - 100 - len(told)) + told


def report_summary(report: Path) -> str:
    """The first section of a report's text, as many paragraphs of it as a note can hold; empty where there is none."""
    try:
        text = read_bytes(report / "report.md").decode()
    except (FileNotFoundError, UnicodeDecodeError):
        return ""
    section = re.search(r"^## [^\n]*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    kept: list[str] = []
    for paragraph in section[1].strip().split("\n\n") if section else []:
        if sum(map(len, kept)) + 2 * len(kept) + len(paragraph) > _SUMMARY_LENGTH:
            break
        kept.append(paragraph)
    return "\n\n".join(kept)


def _table(experiment: ExperimentView, length: int) -> str:
    """length: most characters of it."""
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
        if sum(map(len, lines)) + len(lines) + len(row) > length:
            lines.append("\nMore cells than fit here: see the report.")
            break
        lines.append(row)
    return "\n".join(lines)


def experiment_note(experiment: ExperimentView, experiment_id: str, parent: str) -> str:
    """What MLflow shows above the runs, as Markdown: where the runs stand side by side, and where the report lies.

    experiment_id, parent: MLflow's ids of the experiment and of the parent run.
    """
    page = f"#/experiments/{experiment_id}"
    return (
        f"{NOTE_BEGINS}{_plain(experiment.plan.experiment.name)}.\n\n"
        f"- [All runs side by side]({page}/runs?viewStateShareKey={VIEW}&compareRunsMode=CHART): parallel coordinates "
        "of what varies, curves, samples by step.\n"
        f"- [The report and its tables]({page}/runs/{parent}/artifacts): among the artifacts of the parent run, whose "
        f"[description]({page}/runs/{parent}) holds a table of the cells.\n\n"
        "All of this is a copy of run directories, and is made again by `harness sync FILE`."
    )


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
