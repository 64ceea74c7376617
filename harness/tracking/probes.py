"""First looks at a tracking store, before MLflow touches it: is it there, are we let in, does its schema fit."""

from __future__ import annotations

import re
import socket
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from harness.errors import TrackingError
from harness.tracking.refusals import REMEDY, UPGRADE_SERVER, explained, login_refused, missing_package, unreachable
from harness.tracking.schema_age import schema_age
from harness.tracking.stores import StoreAddress

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient
    from sqlalchemy import Connection

PROBE_SECONDS = 8
SQLITE_PATIENCE_S = 10.0
"""How long another program may keep an SQLite file locked before this projection is given up."""
OLDEST_SERVER = (3, 0)
"""The first MLflow whose servers know logged models."""
_TIMEOUTS = {"postgresql": "connect_timeout", "mysql": "connect_timeout", "mssql": "timeout"}
"""What the drivers of each database call their patience, in seconds."""


def check_database(address: StoreAddress) -> None:
    """TrackingError where MLflow's own server would change the tables of an older database, or could not read them."""
    probe_sql_server(address)
    if address.sqlite_path is not None and address.sqlite_path.is_file():
        try:
            probe_sqlite(address)
        except sqlite3.Error as error:
            raise explained(error, address) from None


def probe_sql_server(address: StoreAddress) -> None:
    """MLflow tries a database for 100 s that is away or refuses the password; one look at each tells in time.

    It would also bring an older schema up to date unasked, for everybody who shares the database.
    """
    scheme = re.split(r"[+:]", address.uri)[0]
    if scheme not in _TIMEOUTS:
        return
    try:
        if address.sql_server is not None:  # else a socket of this machine
            socket.create_connection(address.sql_server, timeout=PROBE_SECONDS).close()
    except OSError as error:
        raise unreachable(address, str(error.strerror or error)) from error
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    patience = {_TIMEOUTS[scheme]: PROBE_SECONDS}
    try:
        engine = create_engine(address.uri, poolclass=NullPool, connect_args=patience)
        with engine.connect() as connection:
            revisions = _revisions(connection)
    except ImportError as error:
        raise missing_package(error, address) from error
    except SQLAlchemyError as error:
        raise login_refused(address, str(error)) or explained(error, address) from None
    _require_current_schema(revisions, address)


def _revisions(connection: Connection) -> Sequence[str]:
    """What the database says of its schema; nothing where MLflow was never here."""
    from sqlalchemy import inspect, text

    if not inspect(connection).has_table("alembic_version"):
        return ()
    return [row[0] for row in connection.execute(text("SELECT version_num FROM alembic_version"))]


def probe_sqlite(address: StoreAddress) -> None:
    """MLflow retries a file that is locked or damaged for 100 s; a look past it tells in time."""
    path = address.sqlite_path
    if path is None:
        return
    try:
        with closing(sqlite3.connect(path, timeout=SQLITE_PATIENCE_S, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            known = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'").fetchone()[0]
            rows = database.execute("SELECT version_num FROM alembic_version").fetchall() if known else []
            database.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        what = f"another program has kept the SQLite file locked for {SQLITE_PATIENCE_S:.0f} s"
        raise TrackingError(what, where=address.shown, remedy=REMEDY) from error
    except sqlite3.DatabaseError as error:
        raise TrackingError(
            f"the SQLite file is damaged: {error}",
            where=address.shown,
            remedy="Move it away: the next `harness run FILE`, or `harness sync FILE`, makes it anew from the run "
            "directories.",
        ) from error
    _require_current_schema([str(row[0]) for row in rows], address)


def _require_current_schema(found: Sequence[str], address: StoreAddress) -> None:
    """TrackingError where another version of MLflow made the tables; MLflow itself may change them in silence."""
    age, _ = schema_age(found)
    if not found or age == "current" or find_spec("mlflow") is None:
        return  # who needs mlflow says that it is missing
    ours = version("mlflow")
    if age == "unknown":
        raise TrackingError(
            f"whether MLflow {ours}, the one here, would change the tables of this database cannot be told",
            where=address.shown,
            remedy="Let `mlflow server` write into it, and name that with --tracking-uri.",
        )
    if age == "newer":
        raise TrackingError(
            f"a newer MLflow than {ours}, the one here, made the tables of this database "
            f"(its schema is {', '.join(found)})",
            where=address.shown,
            remedy="Upgrade here: `pip install --upgrade mlflow`. A schema has no way back.",
        )
    anew = " Or move the file away: `harness sync FILE` makes it anew from the run directories."
    raise TrackingError(
        f"an MLflow older than {ours}, the one here, made the tables of this database "
        f"(its schema is {', '.join(found)})",
        where=address.shown,
        remedy=f"Make a copy of the database, then: `mlflow db upgrade {address.shown}`. Whoever shares it has to "
        f"upgrade MLflow as well.{anew if address.sqlite_path else ''}",
    )


def probe_server(client: MlflowClient, address: StoreAddress) -> None:
    """Two questions to a server: whether it answers and lets us in, and whether it is new enough."""
    from mlflow.exceptions import MlflowException

    try:
        client.search_experiments(max_results=1)
    except MlflowException as error:
        # No JSON is a page for people, such as a proxy's login.
        if not re.search(r"failed with error code 40[45]|not in a valid JSON format", str(error)):
            raise
        raise TrackingError(
            "what answers there is no tracking server, or one of long ago",
            where=address.shown,
            remedy=f"Look at the address in a browser. {UPGRADE_SERVER}",
        ) from None
    found = _version_of(address)
    if found is not None and found < OLDEST_SERVER:
        raise TrackingError(
            f"the tracking server runs MLflow {found[0]}.{found[1]}, which knows no logged models; "
            f"{OLDEST_SERVER[0]}.{OLDEST_SERVER[1]} is the oldest that does",
            where=address.shown,
            remedy=UPGRADE_SERVER,
        )


def _version_of(address: StoreAddress) -> tuple[int, int] | None:
    """What the server says it is; None where a proxy keeps that page to itself."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    login: Callable[..., Any] = get_default_host_creds
    ask: Callable[..., Any] = http_request
    answer = ask(login(address.uri), "/version", "GET", raise_on_status=False)
    found = re.match(r"(\d+)\.(\d+)", answer.text)
    return (int(found[1]), int(found[2])) if answer.status_code == 200 and found else None
