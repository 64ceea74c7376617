"""What a tracking store should hold, told from run directories alone. Imports no mlflow."""

from __future__ import annotations

import math
import platform
import re
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.design.factors import canonical_level, levels_of
from harness.design.metrics import METRICS
from harness.store.evaluations import Evaluation
from harness.store.rundir import ExperimentDirectory, RunDirectory
from harness.tracking.cursor import LocalFile, Points
from harness.tracking.data_entries import DataEntry, data_entries
from harness.tracking.description import TEXT_LENGTH, description
from harness.tracking.reader import ExperimentView, RunView

MlflowStatus = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
ROLE, KEY, DIRECTORY, STATE = "harness.role", "harness.key", "harness.directory", "harness.state"
PARENT_RUN = "mlflow.parentRunId"
NOTE = "mlflow.note.content"
COMMIT = "commit.json"
"""The newest commit among a run's files in the store: one name, whatever its step."""
FILES = "harness.files"
"""Tag: the hash of all files of a run that reports are made of, as `cursor.files_sha256` gives it; written when all of
them are there, empty while they are not."""
LOG = "log.txt"
IMAGES = "images"
"""Where MLflow's page looks for pictures by step; no report is made of them."""
LOGGED_IMAGES = "mlflow.loggedImages"
"""The tag by which MLflow's page knows that a run has such pictures."""
_NAME_LENGTH = 250
"""Characters of a run's name that every database of MLflow's takes."""
_NOT_IN_NAMES = re.compile(r"[^/\w.\- :]")
"""Characters that MLflow refuses in names of parameters."""


@dataclass(frozen=True)
class ChildContent:
    """One run as the store should hold it, beside its records.

    offset, sha256: the committed part of metrics.jsonl; points: aggregates of evaluations; files by their path in the
    store; models: checkpoints that become logged models, SHA-256 -> (step, role); times in ms since 1970;
    images: sample pictures by the SHA-256 of their checkpoint, with its step; datasets: what it was trained on and
    measured against; system: the file with what its process took.
    """

    key: str
    name: str
    params: dict[str, str]
    tags: dict[str, str]
    status: MlflowStatus
    started_ms: int | None
    ended_ms: int | None
    offset: int
    sha256: str
    points: Points
    files: dict[str, LocalFile]
    models: dict[str, tuple[int, str]]
    images: dict[str, tuple[int, Path]]
    datasets: tuple[DataEntry, ...]
    system: Path

    @property
    def is_running(self) -> bool:
        return self.status == "RUNNING"


def child_content(experiment: ExperimentView, view: RunView, directory: RunDirectory, parent: str) -> ChildContent:
    """What the store should hold of the run in `directory`; parent: MLflow's id of the parent run."""
    run, attempts = view.run, view.status.attempts
    status = mlflow_status(view)
    points = evaluation_points(experiment, view, settled=status != "RUNNING")
    images = _images(view, directory)
    return ChildContent(
        key=run.key,
        name=_run_name(run.cell.name, run.seed),
        params=_params(experiment, view),
        tags=_tags(experiment, view) | {PARENT_RUN: parent} | ({LOGGED_IMAGES: "True"} if images else {}),
        status=status,
        started_ms=milliseconds(attempts[0].started) if attempts else None,
        ended_ms=None if status == "RUNNING" else _ended_ms(view),
        offset=view.status.metrics_offset,
        sha256=view.status.metrics_sha256,
        points=points,
        files=_files(view, directory, settled=status != "RUNNING"),
        models=_models(experiment, view, points) if view.status.state == "complete" else {},
        images=images,
        datasets=data_entries(experiment, view),
        system=directory.system,
    )


def mlflow_status(view: RunView) -> MlflowStatus:
    """The nearest that MLflow has; the exact state is in the tag `harness.state`. A divergence is a result."""
    match view.status.state:
        case "running":
            return "RUNNING"
        case "complete" | "diverged":
            return "FINISHED"
        case "failed":
            return "FAILED"
        case "interrupted" | "pending":
            return "KILLED"


def evaluation_points(experiment: ExperimentView, view: RunView, *, settled: bool) -> Points:
    """Mean and sample SD over each block's repeats: `eval/fid.digits` and `eval/fid.digits_sd` by step.

    Beside FID its ratio to that of real images against real images: `eval/fid_over_floor.digits`.

    settled False: the run is being worked on, and evaluations that still lack repeats are left out. No SD of one.
    """
    points: Points = {}
    checkpoints = view.checkpoints()
    for index, block in enumerate(experiment.blocks):
        for step in block.settings.steps_measured(view.run.cell.training):
            evaluation = view.evaluation(index, step) if step in checkpoints else None
            if evaluation is None:
                continue
            for metric in block.settings.metrics:
                values = evaluation.series(metric, block.settings.repeats)
                if not values or not all(map(math.isfinite, values)):
                    continue
                if not settled and not evaluation.has([metric], block.settings.repeats):
                    continue
                key = f"eval/{metric}.{block.key}"
                points.setdefault(key, {})[str(step)] = statistics.fmean(values)
                if len(values) > 1:
                    points.setdefault(f"{key}_sd", {})[str(step)] = statistics.stdev(values)
                if metric == "fid" and (floor := _floor(evaluation)):
                    points.setdefault(f"eval/fid_over_floor.{block.key}", {})[str(step)] = (
                        statistics.fmean(values) / floor
                    )
    return points


def _floor(evaluation: Evaluation) -> float:
    """FID of real images against real images under the evaluation's protocol; 0 where it is not known."""
    values = evaluation.floor.values.get("fid") if evaluation.floor else None
    return statistics.fmean(values) if values else 0.0


def experiment_identity(directory: ExperimentDirectory) -> str:
    """Tells apart the runs folders of several people or machines that share one tracking server."""
    return f"{platform.node()}:{directory.root}"


def parent_tags(experiment: ExperimentView, summary: str = "") -> dict[str, str]:
    """Tags of the parent run; its description is a table of the cells, and the `summary` of their report."""
    states = [view.status.state for view in experiment.runs]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    return {
        ROLE: "parent",
        DIRECTORY: experiment_identity(experiment.directory),
        "harness.experiment": experiment.plan.experiment.name,
        "harness.runs": counts,
        NOTE: description(experiment, summary),
    }


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _run_name(cell: str, seed: int) -> str:
    suffix = f" seed {seed}"
    return cell[: _NAME_LENGTH - len(suffix)] + suffix


def _params(experiment: ExperimentView, view: RunView) -> dict[str, str]:
    """Everything that the run's key is made from; nothing in it ever changes.

    steps: the total, where a schedule reads it; sources.FILE: SHA-256 of the user's own file.
    """
    levels = levels_of(view.run.cell.hyperparameters)
    data = experiment.plan.experiment.data.declared()
    parts = experiment.key_parts(view)
    sources = parts.get("sources", {})
    hashes = sources if isinstance(sources, Mapping) else {}
    return {
        **{name: canonical_level(level) for name, level in levels.items()},
        "seed": str(view.run.seed),
        **{f"data.{name}": canonical_level(value) for name, value in data.items()},
        **({"steps": str(parts["steps"])} if "steps" in parts else {}),
        **{f"sources.{_in_a_name(file)}": str(sha256) for file, sha256 in hashes.items()},
    }


def _in_a_name(text: str) -> str:
    """`text` with what no name of a parameter may hold spelled out: `a(1).py` is `a_28_1_29_.py`."""
    return _NOT_IN_NAMES.sub(lambda match: f"_{ord(match[0]):x}_", text)


def _tags(experiment: ExperimentView, view: RunView) -> dict[str, str]:
    tags = {
        ROLE: "child",
        DIRECTORY: experiment_identity(experiment.directory),
        KEY: view.run.key,
        STATE: view.status.state,
        "harness.cell": view.run.cell.name,
        "harness.seed": str(view.run.seed),
        "harness.steps": str(view.run.cell.training.steps),
        "harness.reason": view.status.reason[:TEXT_LENGTH],
    }
    for block, protocol in zip(experiment.blocks, view.protocols, strict=True):
        if protocol is not None:
            tags[f"harness.protocol.{block.key}"] = protocol.sha256
    return tags


def _ended_ms(view: RunView) -> int | None:
    """The end of the last attempt; of a killed one, the time of its last committed record."""
    if not view.status.attempts:
        return None
    first, last = view.status.attempts[0], view.status.attempts[-1]
    ended = last.ended
    if ended is None:
        records = view.metrics()
        ended = max(last.started, records[-1]["time"] if records else 0.0)
    return milliseconds(max(first.started, ended))  # a clock that was set back ends no run before it began


def _files(view: RunView, directory: RunDirectory, *, settled: bool) -> dict[str, LocalFile]:
    """Files of a run by their path in the store. Those that grow are uploaded once the run is not worked on."""
    commit = view.status.commit
    paths = [
        directory.run_json,
        directory.networks,
        *_folder(directory.evaluations, "*.json"),
        *_folder(directory.root / "samples", "*.png"),
        *_folder(directory.pictures, "*.png"),
    ]
    if settled:
        paths += [directory.attempts, directory.log]
    files = {path.relative_to(directory.root).as_posix(): LocalFile(path) for path in paths if path.is_file()}
    if settled and view.status.metrics_offset and directory.metrics.is_file():
        files[directory.metrics.name] = LocalFile(directory.metrics, view.status.metrics_offset)
    if settled and commit and directory.commit(commit.step).is_file():
        files[COMMIT] = LocalFile(directory.commit(commit.step))
    return files


def _images(view: RunView, directory: RunDirectory) -> dict[str, tuple[int, Path]]:
    found = ((digest, step, directory.samples(step)) for step, digest in view.checkpoints().items())
    return {digest: (step, path) for digest, step, path in found if path.is_file()}


def reported(names: Iterable[str]) -> list[str]:
    """Those of a run's files in the store that reports are made of."""
    return [name for name in names if name != LOG and not name.startswith(f"{IMAGES}/")]


def _folder(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def _models(experiment: ExperimentView, view: RunView, points: Points) -> dict[str, tuple[int, str]]:
    """The last checkpoint, and the best by the first block's first metric, where that has a better and a worse."""
    steps = view.run.cell.training.steps
    checkpoints = {step: digest for step, digest in view.checkpoints().items() if step <= steps}
    if not checkpoints:
        return {}
    last = best = max(checkpoints)
    if experiment.blocks:
        block = experiment.blocks[0]
        measured = points.get(f"eval/{block.settings.metrics[0]}.{block.key}", {})
        ranked = [(value, int(step)) for step, value in measured.items() if int(step) in checkpoints]
        match METRICS[block.settings.metrics[0]].better:
            case "lower" if ranked:
                best = min(ranked)[1]
            case "higher" if ranked:
                best = max((value, -step) for value, step in ranked)[1] * -1
    if best == last:
        return {checkpoints[last]: (last, "last, best" if experiment.blocks else "last")}
    return {checkpoints[best]: (best, "best"), checkpoints[last]: (last, "last")}
