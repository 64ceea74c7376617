"""Run directories written by the store's own functions, for tests of tracking: no training, but every file of it."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest
from run_files import FLOOR

from harness.design.expansion import Plan, expand
from harness.design.experiment import Experiment
from harness.store import atomic
from harness.store.attempts import Outcome, begin_attempt, end_attempt
from harness.store.commits import Commit, discard_commit, newest_commit, write_commit
from harness.store.evaluations import Evaluation, write_evaluation
from harness.store.locks import held
from harness.store.manifest import (
    ExperimentManifest,
    RunManifest,
    data_key,
    write_experiment_manifest,
    write_run_manifest,
)
from harness.store.records import encode
from harness.store.rundir import RunDirectory
from harness.tracking.reader import ExperimentView, read_experiment

LOG_EVERY, CHECKPOINT_EVERY, STEPS = 10, 20, 40
RECORDED = ("loss/generator", "loss/discriminator", "prob/real")
OLDER_SCHEMA = "17e22815139b"
"""A revision of MLflow's schema behind which tables were added: MLflow adds them in silence."""
Point = tuple[str, int]


def small_experiment(**changes: Any) -> Experiment:
    """Two cells with two seeds; three repeats at both checkpoints."""
    return Experiment(
        **{
            "name": "small",
            "seeds": (0, 1),
            "training": {"steps": STEPS, "log_every": LOG_EVERY, "checkpoint_every": CHECKPOINT_EVERY},
            "evaluation": ({"extractor": "digits", "repeats": 3},),
            "cell": ({"latent_dim": 7},),
            **changes,
        }
    )


@dataclass
class Laboratory:
    """A runs folder and what was done in it; clock: seconds since 1970 that the next record takes."""

    runs_dir: Path
    experiment: Experiment = field(default_factory=small_experiment)
    clock: float = 1_700_000_000.0

    @property
    def plan(self) -> Plan:
        return expand(self.experiment)

    def view(self) -> ExperimentView:
        return read_experiment(self.plan, self.runs_dir)

    def directory(self, index: int) -> RunDirectory:
        found = self.view().runs[index].directory
        assert found is not None
        return found

    def prepare(self) -> None:
        """What the first run of an experiment fixes."""
        declared = data_key(self.experiment.data.declared())
        manifest = ExperimentManifest(self.experiment.name, 1, {declared: "d" * 64}, {"digits": "e" * 64})
        write_experiment_manifest(self.view().directory, manifest)

    def start(self, index: int) -> RunDirectory:
        """A run's folder with its manifest, and an attempt that began."""
        run = self.plan.runs[index]
        directory = self.view().directory.new_run(run.cell.name, run.seed, run.key)
        levels = run.cell.hyperparameters.model_dump(mode="json")
        data = self.experiment.data.declared()
        name = self.experiment.name
        manifest = RunManifest(run.key, name, run.cell.name, run.seed, levels, dict(data), "d" * 64, 1, "test")
        write_run_manifest(directory, manifest)
        begin_attempt(directory, step=0, machine={"device": "cpu"})
        return directory

    def train(self, index: int, steps: int) -> None:
        """Records, checkpoints with pictures, and a commit at every checkpoint, up to `steps`."""
        directory = self.directory(index)
        commit = newest_commit(directory) or Commit(0, "0" * 64, 0, "", {})
        content = directory.metrics.read_bytes()[: commit.metrics_offset] if commit.step else b""
        checkpoints = dict(commit.checkpoints)
        for step in range(commit.step + LOG_EVERY, steps + 1, LOG_EVERY):
            self.clock += 1.0
            values = {name: (index + 1) / step + place for place, name in enumerate(RECORDED)}
            content += encode({"step": step, "n": LOG_EVERY, "time": self.clock, "seconds": 0.5, **values})
            atomic.write_bytes(directory.metrics, content + b'{"step": torn')  # never shorter than what is committed
            if step % CHECKPOINT_EVERY == 0:
                weights = f"weights {index} {step} {self.clock}".encode()
                checkpoints[str(step)] = atomic.write_hashed(directory.checkpoint(step), weights)
                atomic.write_bytes(directory.samples(step), b"\x89PNG" + weights)
                digest = hashlib.sha256(content).hexdigest()
                state = f"state {index} {step}".encode()
                atomic.write_bytes(directory.state(step), state)
                commit = Commit(step, atomic.sha256_of(state), len(content), digest, dict(checkpoints))
                write_commit(directory, commit)

    def roll_back(self, index: int) -> None:
        """The newest state turns out damaged: the one before takes over."""
        commit = newest_commit(self.directory(index))
        assert commit is not None
        discard_commit(self.directory(index), commit.step)

    def measure(self, index: int, repeats: int = 3) -> None:
        """Evaluations of every checkpoint; the later checkpoint is the better one."""
        view = self.view().runs[index]
        directory, protocol = view.directory, view.protocols[0]
        assert directory is not None and protocol is not None
        for step, digest in view.checkpoints().items():
            values = {"fid": [100.0 / step + index + repeat for repeat in range(repeats)]}
            evaluation = Evaluation(step, digest, protocol.sha256, protocol.document(), values, floor=FLOOR)
            write_evaluation(directory, evaluation)

    def end(self, index: int, outcome: Outcome, reason: str = "") -> None:
        directory = self.directory(index)
        end_attempt(directory, outcome, step=self.view().runs[index].status.step, reason=reason)
        with directory.log.open("a", encoding="utf-8") as log:
            log.write(f"{outcome}\n")

    def complete(self, *indices: int) -> None:
        """Whole runs, from nothing to their last evaluation."""
        self.prepare()
        for index in indices:
            self.start(index)
            self.train(index, STEPS)
            self.measure(index)
            self.end(index, "finished")

    @contextmanager
    def running(self, index: int) -> Any:
        """Inside the block a live process (this one) holds the run's lock."""
        with held(self.directory(index).lock, timeout_s=1.0) as mine:
            assert mine
            yield

    def expected_points(self, index: int) -> dict[Point, float]:
        """Every point that MLflow should hold of a run, worked out from its files anew."""
        view = self.view().runs[index]
        points = {
            (name, record["step"]): value
            for record in view.metrics()
            for name, value in record.items()
            if name in RECORDED
        }
        repeats = self.experiment.evaluation[0].repeats
        for step in view.checkpoints():
            evaluation = view.evaluation(0, step)
            if evaluation is None:
                continue
            values = evaluation.values["fid"][:repeats]
            mean = sum(values) / len(values)
            points["eval/fid.digits", step] = mean
            points["eval/fid_over_floor.digits", step] = mean / 3.25  # the mean of FLOOR's two splits
            spread = sum((value - mean) ** 2 for value in values)
            if len(values) > 1:
                points["eval/fid.digits_sd", step] = (spread / (len(values) - 1)) ** 0.5
        return points


@dataclass(frozen=True)
class StoredRun:
    """An undeleted MLflow run as its SQLite store holds it. points: all of them, with repetition."""

    run_id: str
    name: str
    status: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    points: tuple[tuple[str, int, float, int], ...]

    def counts(self) -> Counter[Point]:
        return Counter((key, step) for key, step, _, _ in self.points)

    def values(self) -> dict[Point, float]:
        return {(key, step): value for key, step, value, _ in self.points}


def stored_runs(database: Path) -> list[StoredRun]:
    """All undeleted runs, read past MLflow."""
    with closing(sqlite3.connect(database)) as connection:

        def rows(query: str, *values: str) -> list[Any]:
            return connection.execute(query, values).fetchall()

        return [
            StoredRun(
                run_id,
                name,
                status,
                dict(rows("SELECT key, value FROM tags WHERE run_uuid = ?", run_id)),
                dict(rows("SELECT key, value FROM params WHERE run_uuid = ?", run_id)),
                tuple(rows("SELECT key, step, value, timestamp FROM metrics WHERE run_uuid = ?", run_id)),
            )
            for run_id, name, status in rows(
                "SELECT run_uuid, name, status FROM runs WHERE lifecycle_stage = 'active' ORDER BY rowid"
            )
        ]


def children(database: Path) -> dict[str, StoredRun]:
    """Undeleted child runs by their key; none may be there twice."""
    found = [run for run in stored_runs(database) if run.tags.get("harness.role") == "child"]
    by_key = {run.tags["harness.key"]: run for run in found}
    assert len(by_key) == len(found), "a run is there twice"
    return by_key


def parents(database: Path) -> list[StoredRun]:
    return [run for run in stored_runs(database) if run.tags.get("harness.role") == "parent"]


def database(lab: Laboratory) -> Path:
    return lab.runs_dir / "mlflow.db"


def assert_mirrors(lab: Laboratory) -> dict[str, StoredRun]:
    """The store holds exactly the committed records and aggregates of every run directory, each point once."""
    stored = children(database(lab))
    views = [view for view in lab.view().runs if view.directory is not None]
    assert stored.keys() == {view.run.key for view in views}
    for index, view in enumerate(lab.view().runs):
        if view.directory is None:
            continue
        run = stored[view.run.key]
        assert set(run.counts().values()) <= {1}, f"a point is there twice: {run.counts().most_common(3)}"
        assert run.values() == pytest.approx(lab.expected_points(index))
    return stored


def artifact_folder(uri: str) -> Path:
    return Path(unquote(urlparse(uri).path))


def make_older_store(uri: str) -> None:
    """The tables of an older MLflow at `uri`: by MLflow's own migrations, up to one that is not the last."""
    lines = [
        "import sys, sqlalchemy",
        "from alembic import command",
        "from mlflow.store.db.utils import _get_alembic_config",
        "from mlflow.store.tracking.dbmodels.initial_models import Base",
        "Base.metadata.create_all(sqlalchemy.create_engine(sys.argv[1]))",
        "command.upgrade(_get_alembic_config(sys.argv[1]), sys.argv[2])",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines), uri, OLDER_SCHEMA], check=True, capture_output=True)
