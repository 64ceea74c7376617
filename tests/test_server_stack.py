"""The stack of docker-compose.yml for real: PostgreSQL, the server, four workers; PostgreSQL is killed meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from server_stack import Postgres, is_healthy, mlflow_server, wait_until

from experiments import TINY, harness, views

pytestmark = [pytest.mark.services, pytest.mark.timeout(3000)]

RUNS = 8
GRID = (
    TINY.replace("seeds = [0]", "seeds = [0, 1, 2, 3]")
    .replace("steps = 24", "steps = 6000")
    .replace("log_every = 4", "log_every = 20")
    .replace("checkpoint_every = 12", "checkpoint_every = 1500")
)
RECORDED = ("loss/", "prob/", "accuracy/")


@dataclass(frozen=True)
class Trained:
    """A grid that was trained while PostgreSQL was killed and restarted. outcome: the command's, and what it said."""

    file: Path
    database: Postgres
    server: str
    artifacts: Path
    outcome: tuple[int, str]
    bytes_while_dead: tuple[int, int]
    """Of records of training, at PostgreSQL's end and right before its restart."""
    healthy: tuple[tuple[bool, bool], ...]
    """What the health checks of database and server said before, during and after."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    folder = tmp_path_factory.mktemp("stack")
    artifacts = folder / "artifacts"
    file = folder / "tiny.toml"
    file.write_text(GRID, encoding="utf-8")
    with Postgres.made() as database, mlflow_server(folder, database.uri, str(artifacts)) as server:
        log = folder / "harness.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "harness", "run", str(file), "--tracking-uri", server, "--workers", "4"],
                cwd=folder,
                env={**os.environ, "NO_COLOR": "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            # Only after a first part has arrived, and while runs are trained.
            wait_until(lambda: points(database) > 0, lambda: process.poll() is None, log)
            healthy = [(database.is_healthy(), is_healthy(server))]
            database.kill()
            before = recorded(folder)
            healthy.append((database.is_healthy(), is_healthy(server)))
            wait_until(lambda: recorded(folder) > before + 20_000, lambda: process.poll() is None, log)
            after = recorded(folder)
            database.start()
            wait_until(lambda: is_healthy(server), lambda: True, folder / "server.log")
            healthy.append((database.is_healthy(), True))
            assert process.poll() is None, "the grid was over too soon"
            code = process.wait(timeout=1800)
        finally:
            process.kill()
            process.wait()
        said = log.read_text(encoding="utf-8")
        yield Trained(file, database, server, artifacts, (code, said), (before, after), tuple(healthy))


def points(database: Postgres) -> int:
    (count,) = database.rows("SELECT count(*) FROM metrics")[0]
    return int(count)


def recorded(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("runs/**/metrics.jsonl"))


def test_training_goes_on_while_the_database_is_away(trained: Trained) -> None:
    code, said = trained.outcome
    assert code == 0, said
    assert all(view.status.state == "complete" for view in views(trained.file).values())
    assert trained.bytes_while_dead[1] > trained.bytes_while_dead[0]
    assert said.count("MLflow is not up to date") <= 1, said  # told once, and not at every try


def test_the_health_checks_tell_whether_the_database_answers(trained: Trained) -> None:
    assert trained.healthy == ((True, True), (False, False), (True, True))


def test_every_point_is_there_once_and_nothing_runs(trained: Trained) -> None:
    done = harness("sync", str(trained.file), "--tracking-uri", trained.server, cwd=trained.file.parent)
    assert done.returncode == 0, done.stderr
    rows = trained.database.rows
    assert rows("SELECT run_uuid, key, step FROM metrics GROUP BY run_uuid, key, step HAVING count(*) > 1") == []
    assert rows("SELECT DISTINCT status FROM runs") == [("FINISHED",)]
    keys = dict(rows("SELECT value, run_uuid FROM tags WHERE key = 'harness.key'"))
    found = views(trained.file).values()
    assert len(found) == RUNS and keys.keys() >= {view.run.key for view in found}
    for view in found:
        stored = rows(f"SELECT key, step, value FROM metrics WHERE run_uuid = '{keys[view.run.key]}'")
        values = {(key, step): value for key, step, value in stored if key.startswith(RECORDED)}
        expected = {
            (name, record["step"]): value
            for record in view.metrics()
            for name, value in record.items()
            if name.startswith(RECORDED)
        }
        assert len(expected) > 900
        assert values == pytest.approx(expected)
        assert {step for key, step, _ in stored if key == "eval/fid.digits"} == {1500, 3000, 4500, 6000}


def test_artifacts_went_through_the_server(trained: Trained) -> None:
    uris = trained.database.rows("SELECT run_uuid, artifact_uri, experiment_id FROM runs")
    assert all(uri.startswith("mlflow-artifacts:/") for _, uri, _ in uris)
    keys = dict(trained.database.rows("SELECT value, run_uuid FROM tags WHERE key = 'harness.key'"))
    places = {run: f"{experiment}/{run}/artifacts" for run, _, experiment in uris}
    for view in views(trained.file).values():
        assert view.directory is not None and view.status.commit is not None
        stored = trained.artifacts / places[keys[view.run.key]] / "metrics.jsonl"
        assert stored.read_bytes() == view.directory.metrics.read_bytes()[: view.status.commit.metrics_offset]


def test_the_report_from_the_server_is_the_same_to_the_byte(trained: Trained, tmp_path: Path) -> None:
    assert_same_reports(trained.file, trained.server, tmp_path)


def test_a_backup_is_restored_beside_it_and_gives_the_same_report(trained: Trained, tmp_path: Path) -> None:
    """The programs of docs/deploy.md, in its order: the database first, its artifacts after it."""
    dump = tmp_path / "mlflow.dump"
    with dump.open("wb") as output:
        trained.database.command("pg_dump", "--format=custom", "mlflow", stdout=output)
    packed = tmp_path / "artifacts.tar"
    subprocess.run(["tar", "--create", "--file", str(packed), "-C", str(trained.artifacts), "."], check=True)
    restored = tmp_path / "artifacts"
    restored.mkdir()
    subprocess.run(["tar", "--extract", "--file", str(packed), "-C", str(restored)], check=True)
    with Postgres.made() as other:
        with dump.open("rb") as content:
            other.command("pg_restore", "--exit-on-error", "--no-owner", "--dbname=mlflow", stdin=content)
        with mlflow_server(tmp_path, other.uri, str(restored)) as server:
            assert_same_reports(trained.file, server, tmp_path)


def assert_same_reports(file: Path, server: str, folder: Path) -> None:
    """The report from `server`, made where no run lies, is the one from the run directories."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    copy = elsewhere / file.name
    copy.write_bytes(file.read_bytes())
    here = harness("report", str(file), "--output", str(folder / "from-runs"), cwd=file.parent)
    there = harness(
        "report", str(copy), "--source", "mlflow", "--tracking-uri", server, "--output", str(folder / "from-mlflow"),
        cwd=elsewhere,
    )  # fmt: skip
    assert (here.returncode, there.returncode) == (0, 0), here.stderr + there.stderr
    names = ["report.md", "report.json", *(path.name for path in sorted((folder / "from-runs").glob("*.csv")))]
    assert len(names) > 3
    for name in names:
        assert (folder / "from-mlflow" / name).read_bytes() == (folder / "from-runs" / name).read_bytes(), name
