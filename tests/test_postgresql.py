"""A PostgreSQL database as the store, without a server in between: what it refuses is told soon, and in words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from server_stack import SECRETS, Postgres
from tracking_data import Laboratory

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


def test_runs_go_into_it_once_and_older_tables_are_left_alone(database: Postgres, tmp_path: Path) -> None:
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
    ((head,),) = database.rows("SELECT version_num FROM alembic_version")
    for revision, what, remedy in (
        ("17e22815139b", "older than", f"mlflow db upgrade {address.shown}"),
        ("ffffffffffff", "newer MLflow", "pip install --upgrade mlflow"),
    ):
        set_revision(database, revision)
        error = refusal(address.uri)
        assert what in error.what and remedy in error.remedy and PASSWORD not in str(error)
        assert database.rows("SELECT version_num FROM alembic_version") == [(revision,)]
    set_revision(database, head)


def set_revision(database: Postgres, revision: str) -> None:
    database.command("psql", "--dbname=mlflow", f"--command=UPDATE alembic_version SET version_num = '{revision}'")
