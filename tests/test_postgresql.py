"""A PostgreSQL database as the store, without a server in between: what it refuses is told soon, and in words."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from server_stack import SECRETS, Postgres
from tracking_data import Laboratory, make_older_store

from harness.errors import TrackingError
from harness.tracking.connection import connected
from harness.tracking.projection import finish, is_up_to_date, project
from harness.tracking.stores import resolve_address

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

PASSWORD = quote(SECRETS["POSTGRES_PASSWORD"], safe="")
MLFLOW_TRIES_FOR_S = 100.0


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with Postgres.made() as made:
        yield made


@pytest.fixture(autouse=True)
def _no_password_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", "/nowhere")


def refusal(uri: str) -> TrackingError:
    began = time.monotonic()
    with pytest.raises(TrackingError) as caught, connected(resolve_address(uri, Path("runs"))):
        pass
    assert time.monotonic() - began < MLFLOW_TRIES_FOR_S / 2
    return caught.value


@pytest.mark.parametrize(
    ("login", "name", "what", "remedy"),
    [
        ("mlflow:wrong-secret", "mlflow", "refuses the name or the password", "PGPASSWORD"),
        (f"nobody:{PASSWORD}", "mlflow", "refuses the name or the password", "PGPASSWORD"),
        ("mlflow", "mlflow", "asks for a password", "PGPASSWORD"),
        (f"mlflow:{PASSWORD}", "absent", 'database "absent" does not exist', "createdb"),
    ],
)
def test_what_the_database_refuses(database: Postgres, login: str, name: str, what: str, remedy: str) -> None:
    error = refusal(f"postgresql+psycopg://{login}@127.0.0.1:{database.port}/{name}")
    assert what in error.what
    assert remedy in error.remedy
    secret = login.partition(":")[2]
    assert not secret or (secret not in str(error) and SECRETS["POSTGRES_PASSWORD"] not in str(error))


def test_runs_go_into_it_once(database: Postgres, tmp_path: Path) -> None:
    lab = Laboratory(tmp_path / "runs")
    lab.complete(0)
    address = resolve_address(f"postgresql+psycopg://mlflow:{PASSWORD}@127.0.0.1:{database.port}/mlflow", lab.runs_dir)
    for _ in range(2):
        project(lab.view(), address)
        finish(lab.view(), address, None)
    assert is_up_to_date(lab.view(), address)
    stored = database.rows(
        "SELECT metrics.key, step, metrics.value FROM metrics JOIN tags USING (run_uuid) "
        f"WHERE tags.key = 'harness.key' AND tags.value = '{lab.plan.runs[0].key}'"
    )
    assert {(key, step): value for key, step, value in stored} == pytest.approx(lab.expected_points(0))
    assert len(stored) == len(lab.expected_points(0))
    database.command("psql", "--dbname=mlflow", "--command=UPDATE alembic_version SET version_num = 'ffffffffffff'")
    error = refusal(address.uri)
    assert "newer MLflow" in error.what and "pip install --upgrade mlflow" in error.remedy
    assert PASSWORD not in str(error)


def test_an_older_database_is_left_alone_until_it_is_upgraded(
    database: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.command("createdb", "older")
    monkeypatch.setenv("PGPASSWORD", SECRETS["POSTGRES_PASSWORD"])
    uri = f"postgresql+psycopg://mlflow@127.0.0.1:{database.port}/older"
    make_older_store(uri)
    before = tables(database)
    error = refusal(uri)
    assert "older than" in error.what and f"`mlflow db upgrade {uri}`" in error.remedy
    assert tables(database) == before
    remedy = [sys.executable, "-m", "mlflow", "db", "upgrade", uri]
    subprocess.run(remedy, check=True, capture_output=True)
    with connected(resolve_address(uri, Path("runs"))) as client:
        assert client.search_experiments()
    assert tables(database) > before


def tables(database: Postgres) -> set[str]:
    listed = database.command(
        "psql", "--dbname=older", "--tuples-only", "--no-align", "--command=SELECT tablename FROM pg_tables",
        capture_output=True, text=True,
    )  # fmt: skip
    return set(listed.stdout.split())
