"""Results as tidy frames: `from harness import load_results`. Above every room but the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from harness.design.expansion import Plan
from harness.design.experiment_file import read_experiment_file
from harness.design.factors import NO_LEVEL, canonical_level
from harness.design.metrics import METRICS
from harness.design.naming import shown_levels
from harness.errors import HarnessError
from harness.store.rundir import experiment_directory
from harness.tracking.download import downloaded
from harness.tracking.integrity import require_intact
from harness.tracking.reader import ExperimentView, RunView
from harness.tracking.snapshot import read_snapshot
from harness.tracking.stores import resolve_address

Kind = Literal["evaluations", "training", "runs"]
Source = Literal["runs", "mlflow"]

_WHO = ("cell", "label", "seed", "key", "state")
_EVALUATIONS = ("step", "metric", "protocol", "protocol_sha256", "checkpoint_sha256", "repeat", "value")
_TRAINING = ("step", "n", "time", "seconds")
_RUNS = ("step", "steps", "attempts", "checkpoints", "seconds", "reason")


def load(
    file: str | Path,
    kind: Kind,
    runs_dir: str | Path,
    source: Source,
    tracking_uri: str | None,
    overrides: Sequence[str],
) -> pd.DataFrame:
    """As `harness.load_results`, which says what the frame holds."""
    if kind not in get_args(Kind):
        raise HarnessError(
            f"{kind!r} is no kind of results; allowed: evaluations, training, runs", where="load_results"
        )
    if source not in get_args(Source):
        raise HarnessError(f"{source!r} holds no runs; allowed: runs, mlflow", where="load_results")
    if source == "mlflow" and tracking_uri == "none":
        raise HarnessError(
            "there is no store to read from", where="load_results", remedy='Leave "none" out, or use source="runs".'
        )
    plan = read_experiment_file(Path(file), tuple(overrides)).plan
    with _snapshot(plan, Path(runs_dir), source, tracking_uri) as view:
        require_intact(view)
        match kind:
            case "evaluations":
                return _frame(plan, _EVALUATIONS, _evaluations(view))
            case "training":
                return _frame(plan, _TRAINING, _records(view))
            case "runs":
                return _frame(plan, _RUNS, _runs(view))


@contextmanager
def _snapshot(plan: Plan, runs_dir: Path, source: Source, tracking_uri: str | None) -> Iterator[ExperimentView]:
    match source:
        case "runs":
            yield read_snapshot(plan, runs_dir)
        case "mlflow":
            meant = experiment_directory(runs_dir, plan.experiment.name)
            with downloaded(plan, resolve_address(tracking_uri, runs_dir), meant) as folder:
                yield read_snapshot(plan, folder)


def _frame(plan: Plan, columns: Sequence[str], rows: Iterator[dict[str, Any]]) -> pd.DataFrame:
    """Rows under columns that are there even where no row is; further ones that rows have come behind."""
    held = list(rows)
    first = [*_WHO, *plan.factors, *columns]
    others = dict.fromkeys(name for row in held for name in row if name not in first)
    frame = pd.DataFrame(held, columns=[*first, *others])
    return frame.astype({name: "Int64" for name in ("repeat",) if name in first})


def _who(view: ExperimentView, run: RunView) -> dict[str, Any]:
    """What every row says of its run: the cell, and its level of each factor that varies."""
    cell, plan = run.run.cell, view.plan
    levels = shown_levels(cell.hyperparameters, plan.factors, plan.parameters)
    return {
        "cell": cell.name,
        "label": cell.label,
        "seed": run.run.seed,
        "key": run.run.key,
        "state": run.status.state,
        **{name: _plain(level) for name, level in levels.items()},
    }


def _plain(level: object) -> object:
    """Numbers, truth values and words as they are, lists as text, None where a factor changes nothing."""
    if level == NO_LEVEL:
        return None
    return level if isinstance(level, bool | int | float | str) else canonical_level(level)


def _evaluations(view: ExperimentView) -> Iterator[dict[str, Any]]:
    for run in view.runs:
        who = _who(view, run)
        for index, block in enumerate(view.blocks):
            for step in block.settings.steps_measured(run.run.cell.training):
                found = run.evaluation(index, step)
                if found is None:
                    continue
                for metric in block.settings.metrics:
                    of_all = METRICS[metric].pooled
                    for repeat, value in enumerate(found.series(metric, block.settings.repeats)):
                        yield who | {
                            "step": step,
                            "metric": metric,
                            "protocol": block.key,
                            "protocol_sha256": found.protocol_sha256,
                            "checkpoint_sha256": found.checkpoint_sha256,
                            "repeat": None if of_all else repeat,
                            "value": value,
                        }


def _records(view: ExperimentView) -> Iterator[dict[str, Any]]:
    for run in view.runs:
        who, steps = _who(view, run), run.run.cell.training.steps
        yield from (who | record for record in run.metrics() if record["step"] <= steps)


def _runs(view: ExperimentView) -> Iterator[dict[str, Any]]:
    for run in view.runs:
        steps = run.run.cell.training.steps
        records = [record for record in run.metrics() if record["step"] <= steps]
        yield _who(view, run) | {
            "step": run.status.step,
            "steps": steps,
            "attempts": len(run.status.attempts),
            "checkpoints": sum(step <= steps for step in run.checkpoints()),
            "seconds": sum(record["seconds"] for record in records) if records else None,
            "reason": run.status.reason,
        }
