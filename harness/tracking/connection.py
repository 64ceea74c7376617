"""A quiet, impatient connection to a tracking store: whatever goes wrong in it is a TrackingError, and soon."""

from __future__ import annotations

import logging
import os
import re
import socket
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from harness.errors import TrackingError
from harness.store.atomic import make_folder
from harness.store.locks import held
from harness.tracking.network_files import network_file_system
from harness.tracking.stores import StoreAddress

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

REMEDY = "Nothing is lost: the next `harness run FILE`, or `harness sync FILE`, brings the store up to date."
PROBE_SECONDS = 8
SQLITE_PATIENCE_S = 10.0
"""How long another program may keep an SQLite file locked before this projection is given up."""
CREATION_WAIT_SECONDS = 120
_LOUD_LOGGERS = ("mlflow", "alembic", "urllib3")


@contextmanager
def connected(address: StoreAddress) -> Iterator[MlflowClient]:
    """A client of the store at `address`, which is created where it is an SQLite file that is not there.

    Raises TrackingError where mlflow is missing, where nothing answers within a few seconds, and for whatever the
    store refuses inside the block. Passwords never reach a message.
    """
    with _environment(_settings(address)), _without_warnings():
        try:
            from mlflow.exceptions import MlflowException
            from mlflow.tracking import MlflowClient
            from requests import RequestException
            from sqlalchemy.exc import SQLAlchemyError
        except ModuleNotFoundError as error:
            raise TrackingError(
                f"MLflow is not installed ({error})",
                remedy="`pip install mlflow`, or work without it: `--tracking-uri none`.",
            ) from error
        try:
            with _without_log():  # entered behind the import, which sets the levels
                _probe_sql_server(address)
                _create_sqlite(address)
                _probe_sqlite(address)
                client = MlflowClient(address.uri, registry_uri=address.uri)
                _probe_http(client, address)
                yield client
        except ModuleNotFoundError as error:
            driver = "psycopg[binary]" if error.name == "psycopg" else error.name
            raise TrackingError(
                f"a package that this store needs is not installed: {error.name}",
                where=address.shown,
                remedy=f"`pip install '{driver}'`",
            ) from error
        except (MlflowException, RequestException, SQLAlchemyError, sqlite3.Error, OSError) as error:
            lines = address.scrub(str(error)).strip().splitlines() or [type(error).__name__]
            # The cause is cut off: its text and frames may hold the password.
            raise TrackingError(f"MLflow: {lines[0][:500]}", where=address.shown, remedy=REMEDY) from None


def _settings(address: StoreAddress) -> dict[str, str]:
    """Environment variables that MLflow reads at each call. Patience that the user has set is left as it is."""
    patience = {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    }
    settings = {name: os.environ.get(name, value) for name, value in patience.items()}
    settings |= {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ASYNC_LOGGING": "false",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    if address.sqlite_path is not None:
        # No connection outlives its use, so that a deleted database file is noticed instead of written to.
        settings["MLFLOW_SQLALCHEMYSTORE_POOLCLASS"] = "NullPool"
    return settings


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        # MLflow 3.17 uses what SQLAlchemy 2.1 deprecates (`noload`), and warns about itself; none of it is ours.
        warnings.filterwarnings("ignore", module=r"(mlflow|sqlalchemy|alembic)\b")
        yield


@contextmanager
def _without_log() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _LOUD_LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)  # MLflow logs the traceback of what it raises as well
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _probe_sql_server(address: StoreAddress) -> None:
    """MLflow retries a database that does not answer for 100 s; one look at its port tells in time."""
    if address.sql_server is None:
        return
    try:
        socket.create_connection(address.sql_server, timeout=PROBE_SECONDS).close()
    except OSError as error:
        raise _unreachable(address, str(error.strerror or error)) from error


def _probe_http(client: MlflowClient, address: StoreAddress) -> None:
    """The first call to a server, with little patience: a dead one would block for minutes."""
    if not address.is_http:
        return
    from mlflow.exceptions import MlflowException

    impatient = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(PROBE_SECONDS)}
    with _environment(impatient):
        try:
            client.search_experiments(max_results=1)
        except MlflowException as error:
            if "failed with exception" not in str(error):
                raise  # the server answered, and refused
            raise _refused(address, address.scrub(str(error)).strip()) from None


def _refused(address: StoreAddress, text: str) -> TrackingError:
    """What MLflow says repeats the address and nests its errors; the innermost reason is what helps."""
    if status := re.search(r"too many (\d+) error responses", text):
        what = f"the tracking server answers every request with the error {status[1]}"
        return TrackingError(what, where=address.shown, remedy=REMEDY)
    if "timed out" in text:
        return _unreachable(address, f"nothing came within {PROBE_SECONDS} s")
    reason = re.search(r"(?:\[Errno -?\d+\] |Error\(\d+, ')([^'\")]+)", text)
    return _unreachable(address, reason[1] if reason else text.rpartition("Caused by ")[2][:200])


def _unreachable(address: StoreAddress, reason: str) -> TrackingError:
    return TrackingError(f"the tracking server does not answer: {reason}", where=address.shown, remedy=REMEDY)


def _create_sqlite(address: StoreAddress) -> None:
    """Makes a fresh SQLite store beside its place and moves it there: a half-made one cannot be opened again."""
    path = address.sqlite_path
    if path is None:
        return
    make_folder(path.parent)
    with held(path.with_name(f"{path.name}.lock"), timeout_s=CREATION_WAIT_SECONDS) as mine:
        if not mine:
            raise TrackingError("another process keeps creating the store", where=address.shown, remedy=REMEDY)
        if path.exists() and path.stat().st_size:
            return  # an empty one is what SQLite leaves where a store was deleted under a connection
        from mlflow.tracking import MlflowClient

        fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        fresh.unlink(missing_ok=True)
        uri = f"sqlite:///{fresh.as_posix()}"
        MlflowClient(uri, registry_uri=uri)
        if not network_file_system(path.parent):  # where WAL damages databases
            with closing(sqlite3.connect(fresh)) as database:
                database.execute("PRAGMA journal_mode=WAL")  # readers do not wait for the writer; once is for ever
        for ending in ("-wal", "-shm", "-journal"):
            # SQLite would replay what a deleted store left over the new one.
            path.with_name(path.name + ending).unlink(missing_ok=True)
        fresh.replace(path)


def _probe_sqlite(address: StoreAddress) -> None:
    """MLflow retries a file that is locked or damaged for 100 s; a look past it tells in time."""
    path = address.sqlite_path
    if path is None:
        return
    try:
        with closing(sqlite3.connect(path, timeout=SQLITE_PATIENCE_S, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("SELECT count(*) FROM sqlite_master")
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
