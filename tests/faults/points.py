"""Where a SIGKILL strikes: the named points of the product's work, in groups that are the rows of the table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

Moment = Literal["before call", "after call", "before replace", "after replace", "before removal", "half written"]
Victim = Literal["worker", "command", "both"]
Place = Literal["worker", "command"]
Start = Literal["empty", "empty, MLflow under way", "finished", "finished, with report"]

VICTIMS: tuple[Victim, ...] = ("worker", "command", "both")
VARIABLE = "HARNESS_FAULT"
"""The environment variable that carries an Order to the command and its workers."""


@dataclass(frozen=True)
class Point:
    """moment: before or after a call, os.replace or removal; or with half of what is written on disk.

    target: of calls `module:name`, or `client:name` for one of MLflow's client; else a pattern of the file's path.
    passings: how often one process surely passes it in the experiment that faults are done to.
    """

    moment: Moment
    target: str
    passings: int = 1


@dataclass(frozen=True)
class Group:
    """when: the row's words; place: the process that passes the points; victims: who can be killed there.

    start: what lies there when the command starts, or that MLflow is written while workers train (under way).
    """

    when: str
    place: Place
    points: tuple[Point, ...]
    victims: tuple[Victim, ...] = VICTIMS
    start: Start = "empty"


@dataclass(frozen=True)
class Order:
    """What `victim.py` shall do: kill `victim` when `place` passes `point` for the `passing`-th time, once a trial.

    folder: of the trial, for its marks; linger_s: how long a worker goes on at the point after its command was killed.
    """

    point: Point
    place: Place
    victim: Victim
    passing: int
    folder: str
    linger_s: float = 0.0
    projects_early: bool = False

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Order:
        document = json.loads(text)
        return cls(**{**document, "point": Point(**document["point"])})


def _written(target: str, passings: int = 1) -> tuple[Point, ...]:
    """Half of a file written, whole but not in its place, in its place."""
    return (
        Point("half written", target, passings),
        Point("before replace", target, passings),
        Point("after replace", target, passings),
    )


CHECKPOINTS = 6
"""Of one run, as of pictures, evaluations and states."""

AS_A_RUN_STARTS = (
    Point("before call", "harness.execution.worker:begin_attempt"),  # its lock is held, nothing is written
    Point("half written", "*/attempts.jsonl"),
    *_written("*/run.json"),
)
BETWEEN_UPDATES = (Point("before call", "harness.gan.adversarial:update_generator", 300),)
RECORDS = (
    Point("half written", "*/metrics.jsonl", 80),
    Point("half written", "*/attempts.jsonl", 2),
    Point("half written", "*/metrics.jsonl", 15),  # before the first state
)
CHECKPOINT = (
    *_written("*/checkpoints/step-*.safetensors", CHECKPOINTS),
    *_written("*/checkpoints/step-*.safetensors.sha256", CHECKPOINTS),
)
PICTURE = (
    *_written("*/samples/step-*.png", CHECKPOINTS),
    *_written("*/pictures/step-*.png", 2),
)
STATE = (
    *_written("*/state/step-*.pt", CHECKPOINTS),  # the last: between the state and its commit
    *_written("*/state/step-*.json", CHECKPOINTS),
    Point("before removal", "*/state/step-*.pt", CHECKPOINTS - 2),
)
EVALUATION = (
    Point("before call", "harness.execution.measure:evaluate", 2 * CHECKPOINTS),  # once a repeat
    *_written("*/evaluations/step-*.json", 3 * CHECKPOINTS),  # once a repeat, once with what is pooled
    Point("before call", "harness.evaluation.reference:reference_of"),
    *_written("*/cache/features-*.safetensors"),
    *_written("*/cache/reference-*.safetensors"),
    *_written("*/cache/floor-*.json"),
)
PREPARATION = (
    Point("half written", "*/cache/images-*.npy", 2),
    Point("before replace", "*/cache/images-*.npy"),
    Point("after replace", "*/cache/images-*.npy"),
    Point("after replace", "*/cache/images-*.npy.sha256"),
    *_written("*/tiny/experiment.json"),
    Point("before replace", "*/tiny/experiment.toml"),
)
PROJECTION_UNDER_WAY = (
    Point("after call", "client:create_experiment"),
    Point("before call", "client:create_run", 2),
    Point("after call", "client:create_run", 2),
    Point("before call", "client:log_batch", 3),
    Point("after call", "client:log_batch", 3),
    Point("after call", "client:log_artifacts"),
    Point("before replace", "*/tracking/*.json", 4),
    Point("after replace", "*/tracking/*.json", 4),
)
PROJECTION = (
    Point("after call", "client:create_run", 3),
    Point("before call", "client:log_batch", 3),
    Point("after call", "client:log_batch", 3),
    Point("before call", "client:log_artifacts", 3),
    Point("after call", "client:log_artifacts", 3),
    Point("after call", "client:create_logged_model", 2),
    Point("after call", "client:log_outputs", 2),
    Point("before call", "client:set_terminated", 2),
    Point("after call", "client:set_terminated", 2),
    *_written("*/tracking/*.json", 8),
)
REPORT = (
    Point("before replace", "*/reports/tiny/report.md"),
    Point("before call", "harness.report.render:evidence"),
    Point("after replace", "*/reports/tiny/figures/*.png", 4),
    Point("half written", "*/reports/tiny/report.md"),
    Point("after replace", "*/reports/tiny/report.md"),  # before the note of what it was made from
    Point("half written", "*/reports/tiny/figures/*.png", 4),
    Point("after replace", "*/reports/tiny/comparison.csv"),
    Point("before replace", "*/reports/tiny/report.json"),
    Point("before replace", "*/runs/tiny/reports.json"),
    Point("after call", "client:log_artifacts", 20),  # files of the runs, then of the report
)

GROUPS = (
    Group("while the experiment is prepared", "command", PREPARATION, ("command",)),
    Group("as a run starts", "worker", AS_A_RUN_STARTS),
    Group("between the updates of D and G", "worker", BETWEEN_UPDATES),
    Group("in the middle of a record", "worker", RECORDS),
    Group("while a checkpoint or its checksum is written", "worker", CHECKPOINT),
    Group("while a picture is written", "worker", PICTURE),
    Group("while a state or its commit is written", "worker", STATE),
    Group("during an evaluation", "worker", EVALUATION),
    Group(
        "while MLflow is written, training under way",
        "command",
        PROJECTION_UNDER_WAY,
        VICTIMS,
        "empty, MLflow under way",
    ),
    Group("while MLflow is written, training done", "command", PROJECTION, ("command",), "finished"),
    Group("while the report is written", "command", REPORT, ("command",), "finished, with report"),
)
