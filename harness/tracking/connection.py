"""A quiet, impatient connection to a tracking store: whatever goes wrong in it is a TrackingError, and soon."""

from __future__ import annotations

import logging
import os
import sqlite3
import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from harness.errors import TrackingError
from harness.store.atomic import make_folder
from harness.store.locks import held
from harness.tracking.network_files import network_file_system
from harness.tracking.probes import PROBE_SECONDS, probe_server, probe_sql_server, probe_sqlite
from harness.tracking.refusals import REMEDY, explained, missing_package
from harness.tracking.stores import StoreAddress

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

CREATION_WAIT_SECONDS = 120
_LOUD_LOGGERS = ("mlflow", "alembic", "urllib3")
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(PROBE_SECONDS)}
"""For the first questions to a server: a dead one would block for minutes."""


@contextmanager
def connected(address: StoreAddress) -> Iterator[MlflowClient]:
    """A client of the store at `address`, which is created where it is an SQLite file that is not there.

    Raises TrackingError where mlflow is missing, where nothing answers within a few seconds, where the store is of an
    older or newer MLflow, and for whatever it refuses inside the block. Passwords never reach a message.
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
                probe_sql_server(address)
                _create_sqlite(address)
                probe_sqlite(address)
                client = MlflowClient(address.uri, registry_uri=address.uri)
                if address.is_http:
                    with _environment(_IMPATIENT):
                        probe_server(client, address)
                yield client
        except ModuleNotFoundError as error:
            raise missing_package(error, address) from error
        except (MlflowException, RequestException, SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise explained(error, address) from None  # the cause's text and frames may hold the password


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
