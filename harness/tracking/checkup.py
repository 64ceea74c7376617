"""Whether the tracking store that is meant can be used: a short look that changes nothing and loads no mlflow."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.errors import TrackingAddressError
from harness.store.checkup import Finding
from harness.store.file_systems import existing, mount_of
from harness.tracking.schema_age import schema_age
from harness.tracking.server_checkup import check_server
from harness.tracking.stores import StoreAddress, resolve_address

KNOCK_SECONDS = 5.0
_DRIVERS = {
    "postgresql": ("psycopg", "psycopg[binary]"),
    "postgresql+psycopg": ("psycopg", "psycopg[binary]"),
    "postgresql+psycopg2": ("psycopg2", "psycopg2-binary"),
    "mysql+pymysql": ("pymysql", "pymysql"),
}
"""The module and the package of a database's driver, by the beginning of the address."""


def check_tracking(tracking_uri: str | None, runs_dir: Path) -> Iterator[Finding]:
    """What is found of the store that `--tracking-uri` or its default means; passwords never appear."""
    if tracking_uri == "none":
        yield _ok("left out (--tracking-uri none)")
        return
    try:
        address = resolve_address(tracking_uri, runs_dir)
    except TrackingAddressError as error:
        yield Finding("tracking", "problem", f"{error.where}: {error.what}", error.remedy)
        return
    if address.sqlite_path is not None:
        yield from _sqlite(address, address.sqlite_path)
    elif address.is_http:
        yield from check_server(address)
    elif address.sql_server is not None:
        yield from _sql_server(address, address.sql_server)
    else:
        yield Finding("tracking", "note", f"{address.shown}: not looked at", "`harness sync FILE` tries it.")


def _sqlite(address: StoreAddress, path: Path) -> Iterator[Finding]:
    mount = mount_of(existing(path.parent))
    if mount is not None and mount.is_network:
        yield Finding(
            "tracking",
            "note",
            f"{address.shown} lies on a network file system ({mount.kind}), where SQLite is not safe",
            "Name a server or a file on a local disk with --tracking-uri; `harness sync FILE` fills it from the run "
            "directories.",
        )
    if not path.exists():
        yield _ok(f"{address.shown}: not there yet, the first run makes it")
        return
    try:
        with closing(_opened(path)) as database:
            mode = str(database.execute("PRAGMA journal_mode").fetchone()[0])
            database.execute("BEGIN IMMEDIATE")
            tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            revision = _revision_of(database) if "alembic_version" in tables else None
            database.execute("ROLLBACK")
    except sqlite3.Error as error:
        yield _broken_sqlite(address, error)
        return
    if mode == "wal" and mount is not None and mount.is_network:
        yield Finding(
            "tracking",
            "problem",
            f"{address.shown} writes ahead (WAL) on a network file system ({mount.kind}), which damages it",
            f"sqlite3 {path} 'PRAGMA journal_mode=DELETE', while nothing else uses it; better, use a server.",
        )
    yield from _schema(address, revision)


def _opened(path: Path) -> sqlite3.Connection:
    """A connection that makes no file where there is none."""
    address = f"file:{quote(path.as_posix())}?mode=rw"
    return sqlite3.connect(address, uri=True, timeout=KNOCK_SECONDS, isolation_level=None)


def _revision_of(database: sqlite3.Connection) -> str | None:
    row = database.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(row[0]) if row else None


def _broken_sqlite(address: StoreAddress, error: sqlite3.Error) -> Finding:
    text = str(error)
    if "locked" in text:
        what = f"another program keeps the file locked for {KNOCK_SECONDS:.0f} s"
        remedy = "End it (`lsof` names it), or wait; runs train on, and `harness sync FILE` catches up."
    elif "readonly" in text or "unable to open" in text:
        what, remedy = f"cannot be written: {text}", "Make the file and its folder writable for you."
    else:
        what = f"damaged or no SQLite file: {text}"
        remedy = "Move it away: `harness sync FILE` makes it anew from the run directories."
    return Finding("tracking", "problem", f"{address.shown}: {what}", remedy)


def _schema(address: StoreAddress, revision: str | None) -> Iterator[Finding]:
    """The database's age against the one that the installed MLflow works with."""
    if revision is None:
        yield _ok(f"{address.shown}: no tables of MLflow yet, the first run makes them")
        return
    age, newest = schema_age([revision])
    match age if find_spec("mlflow") else "current":  # that it is missing is told elsewhere
        case "current":
            yield _ok(address.shown)
        case "older":
            yield Finding(
                "tracking",
                "problem",
                f"{address.shown} was made by an older MLflow (schema {revision}, here {newest})",
                f"After a copy of it: `mlflow db upgrade '{address.shown}'`; or move it away: `harness sync FILE` "
                "makes it anew.",
            )
        case "unknown":
            yield Finding(
                "tracking",
                "note",
                f"{address.shown}: whether its schema {revision} fits the MLflow here cannot be told",
                "Let `mlflow server` write into it, and name that with --tracking-uri.",
            )
        case "newer":
            yield Finding(
                "tracking",
                "problem",
                f"{address.shown} was made by a newer MLflow (schema {revision} is unknown here)",
                "`pip install --upgrade mlflow`, or name another store with --tracking-uri.",
            )


def _sql_server(address: StoreAddress, place: tuple[str, int]) -> Iterator[Finding]:
    scheme = address.uri.partition("://")[0]
    driver = _DRIVERS.get(scheme)
    if driver and find_spec(driver[0]) is None:
        yield Finding(
            "tracking",
            "problem",
            f"{address.shown}: the package {driver[0]}, which talks to it, is not installed",
            f'`pip install "{driver[1]}"`',
        )
    try:
        socket.create_connection(place, timeout=KNOCK_SECONDS).close()
    except OSError as error:
        reason = f"nothing within {KNOCK_SECONDS:.0f} s" if isinstance(error, TimeoutError) else error.strerror or error
        yield Finding(
            "tracking",
            "problem",
            f"{address.shown}: the database does not answer: {reason}",
            "Is it started, and is its port open to this machine? Runs train without it; `harness sync FILE` catches "
            "up.",
        )
        return
    if driver and driver[0] == "psycopg" and find_spec("psycopg") is not None:
        yield from _postgresql(address)
    else:
        yield _ok(f"{address.shown}: its port answers")


def _postgresql(address: StoreAddress) -> Iterator[Finding]:
    psycopg: Any = import_module("psycopg")
    uri = "postgresql://" + address.uri.partition("://")[2]
    patience = os.environ.get("PGCONNECT_TIMEOUT") or str(int(KNOCK_SECONDS))
    try:
        with psycopg.connect(uri, connect_timeout=patience, autocommit=True) as database:
            present = database.execute("SELECT to_regclass('alembic_version')").fetchone()[0]
            row = database.execute("SELECT version_num FROM alembic_version").fetchone() if present else None
    except (psycopg.Error, UnicodeError, ValueError) as error:
        lines = address.scrub(str(error)).strip().splitlines() or [type(error).__name__]
        yield Finding(
            "tracking",
            "problem",
            f"{address.shown}: the database refuses: {lines[0][:300]}",
            "Check user, password and the database's name; its administrator makes them with CREATE USER and CREATE "
            "DATABASE.",
        )
        return
    yield from _schema(address, str(row[0]) if row else None)


def _ok(found: str) -> Finding:
    return Finding("tracking", "ok", found)
