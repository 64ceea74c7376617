"""report.json: every number and picture of a report with the run keys, checkpoints and protocols behind it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from harness import __version__
from harness.analysis.dynamics import LossDynamics
from harness.report.album import Album
from harness.report.columns import Column
from harness.report.comparison_evidence import comparisons_evidence
from harness.report.content import Content, ReportCell, ReportRun
from harness.report.cost import cost_numbers
from harness.report.floors import times_floor
from harness.report.kept_file import kept_file
from harness.report.modes import CellClasses, classes_of, groups_with_classes
from harness.report.standard_errors import standard_error


def evidence(content: Content, album: Album) -> dict[str, Any]:
    """A JSON object; the hashes of the report's files and its own are added where they are written."""
    return {
        "experiment": content.view.plan.experiment.name,
        "harness": __version__,
        "language": content.language.code,
        "kept_file_differs_in": list(kept.differs_in) if (kept := kept_file(content.view)) else None,
        "runs": [_run(content, cell, run) for cell in content.cells for run in cell.runs],
        "columns": [_column(content, column) for column in content.columns],
        "left_out": [block.column for block in content.left_out],
        "numbers": [
            number for column in content.columns for cell in content.cells for number in _numbers(content, column, cell)
        ],
        "classes": [
            _classes(column.title, classes)
            for column, *_ in groups_with_classes(content)
            for cell in content.cells_in(column)
            if (classes := classes_of(content, column, cell))
        ],
        "crossings": [
            _crossings(cell, run, run.dynamics) for cell in content.cells for run in cell.runs if run.dynamics
        ],
        "comparisons": comparisons_evidence(content),
        "cost": cost_numbers(content),
        "pictures": [
            {"path": picture.path, "title": picture.title, "sources": picture.sources} for picture in album.pictures
        ],
    }


def _run(content: Content, cell: ReportCell, run: ReportRun) -> dict[str, Any]:
    """steps (the total that a schedule reads), sources (SHA-256 by own file): where the key is made from them."""
    status, parts = run.view.status, content.view.key_parts(run.view)
    return {
        "cell": cell.cell.name,
        "label": cell.label,
        "seed": run.seed,
        "key": run.key,
        **{name: parts[name] for name in ("steps", "sources") if name in parts},
        "state": status.state,
        "step": status.step,
        "reason": status.reason,
        "checkpoints": {str(step): digest for step, digest in run.checkpoints.items()},
    }


def _column(content: Content, column: Column) -> dict[str, Any]:
    """better: the direction that is closer to the real images; floor: real images against real images."""
    protocol, floor = column.protocol, content.floors.get(column.title)
    return {
        "title": column.title,
        "metric": column.metric,
        "block": column.name,
        "repeats": column.block.settings.repeats,
        "better": column.measures.better,
        "protocol_sha256": protocol.sha256 if protocol else None,
        "protocol": asdict(protocol) if protocol else None,
        "verified_weights": protocol.verified if protocol else None,
        "floor": {
            "metric": column.floor_metric,
            "samples": floor.samples,
            "reference": floor.reference,
            "values": list(floor.values),
            "mean": floor.mean,
            "sd_over_splits": floor.sd,
        }
        if floor
        else None,
    }


def _numbers(content: Content, column: Column, cell: ReportCell) -> list[dict[str, Any]]:
    by_run = [(run, content.run_values(run, column)) for run in cell.runs]
    return [
        {
            "column": column.title,
            "cell": cell.cell.name,
            "step": found.step,
            "mean_over_seeds": found.mean,
            "sd_over_seeds": found.sd_seeds,
            "sd_over_repeats": found.sd_repeats,
            "mean_over_floor": times_floor(content, column, found.mean),
            "sources": [
                {
                    "key": run.key,
                    "seed": run.seed,
                    "step": found.step,
                    "checkpoint_sha256": content.sources[column.name, run.key, found.step].checkpoint_sha256,
                    "protocol_sha256": content.sources[column.name, run.key, found.step].protocol_sha256,
                    "values": values[found.step],
                    "standard_error": standard_error(content, run, column, found.step),
                }
                for run, values in by_run
                if found.step in values
            ],
        }
        for found in content.of_cell(cell, column)
    ]


def _classes(title: str, found: CellClasses) -> dict[str, Any]:
    """Counts of classes as the table of modes shows them, and each seed's verdict."""
    return {
        "column": title,
        "cell": found.cell.cell.name,
        "step": found.step,
        "classes": list(found.classes),
        "counts": found.counts,
        "reference_counts": found.reference,
        "verdict_by_seed": {str(seed): verdict.verdict for seed, verdict in found.by_seed_verdicts().items()},
        "sources": found.sources,
    }


def _crossings(cell: ReportCell, run: ReportRun, dynamics: LossDynamics) -> dict[str, Any]:
    return {
        "cell": cell.cell.name,
        "key": run.key,
        "seed": run.seed,
        "records_to_step": run.metrics[-1]["step"],
        "metrics_sha256": run.view.status.metrics_sha256,
        "window_steps": dynamics.window,
        "covered_steps": dynamics.covered,
        "comparable_losses": dynamics.comparable,
        "count": len(dynamics.crossings) if dynamics.is_counted else None,
        "per_1000_steps": dynamics.per_1000_steps,
        "crossings": [
            {"step": crossing.step, "loss_nats": crossing.loss, "above": crossing.above}
            for crossing in dynamics.crossings
        ],
    }
