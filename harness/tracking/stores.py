"""Where a tracking store is: its address, and how it may be shown. Imports no mlflow."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from harness.errors import TrackingAddressError
from harness.store.atomic import sha256_of

_PASSWORD = re.compile(r"^([\w+.-]+://[^:/@]*):(.+)@")
_SECRET_OPTION = re.compile(r"([?&][^=&]*(?:password|token|secret)[^=&]*)=([^&]+)", re.IGNORECASE)
_SQL_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
"""SQL databases that MLflow can keep runs in, besides SQLite, and the port of each."""


@dataclass(frozen=True)
class StoreAddress:
    """One tracking store.

    uri: as MLflow takes it, absolute, never shown (it may hold a password); artifacts: URI under which new MLflow
    experiments keep their artifacts, None where the server decides.
    """

    uri: str = field(repr=False)
    artifacts: str | None

    @cached_property
    def shown(self) -> str:
        """The address as it may be printed and stored: passwords as `***`."""
        return _SECRET_OPTION.sub(r"\1=***", _PASSWORD.sub(r"\1:***@", self.uri))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the address without passwords: a changed password is still the same store."""
        return sha256_of(self.shown.encode())

    @property
    def has_secret(self) -> bool:
        return self.shown != self.uri

    @property
    def sqlite_path(self) -> Path | None:
        """The database file of an SQLite store."""
        scheme, _, path = self.uri.partition(":///")
        return Path(path.partition("?")[0]) if scheme.startswith("sqlite") else None

    @property
    def is_http(self) -> bool:
        return self.uri.startswith(("http://", "https://"))

    @property
    def sql_server(self) -> tuple[str, int] | None:
        """Host and port of a database server that is talked to directly; None also for one behind a local socket."""
        match = re.match(r"(\w+)(?:\+\w+)?://(?:.*@)?(\[[^\]]+\]|[^:/?@]*)(?::(\d+))?", self.uri)
        if not match or not match[2] or match[1] not in _SQL_PORTS:
            return None
        return match[2].strip("[]"), int(match[3] or _SQL_PORTS[match[1]])

    def scrub(self, text: str) -> str:
        """`text` without the passwords of this address."""
        secrets = [match[2] for pattern in (_PASSWORD, _SECRET_OPTION) for match in pattern.finditer(self.uri)]
        text = text.replace(self.uri, self.shown)
        for secret in secrets:
            text = text.replace(secret, "***")
        return text


def resolve_address(tracking_uri: str | None, runs_dir: Path) -> StoreAddress:
    """The store that is meant: `tracking_uri`, else MLFLOW_TRACKING_URI, else SQLite at `runs_dir`/mlflow.db.

    Relative SQLite addresses are relative to the current folder. TrackingAddressError for what cannot be used, such as
    a folder of files (MLflow itself refuses these since 3.17, and they keep a point twice when it is logged twice).
    """
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    origin = "--tracking-uri" if tracking_uri else "MLFLOW_TRACKING_URI"
    runs = runs_dir.resolve()
    if not uri:
        return _sqlite_address("sqlite", str(runs / "mlflow.db"))
    scheme, separator, rest = uri.partition("://")
    if scheme.startswith("sqlite") and separator:
        if rest in ("", "/") or ":memory:" in rest:
            raise TrackingAddressError(
                "an SQLite store in memory is gone with the process",
                where=f"{origin} {uri}",
                remedy="Name a file: sqlite:///PATH.db",
            )
        return _sqlite_address(scheme, rest.removeprefix("/"))
    if scheme in ("http", "https"):
        return StoreAddress(uri.rstrip("/"), None)
    if scheme.split("+")[0] in _SQL_PORTS and separator:
        return StoreAddress(uri, (runs / "mlartifacts").as_uri())
    if uri == "databricks" or uri.startswith("databricks://"):
        return StoreAddress(uri, None)
    raise TrackingAddressError(
        "not a tracking store that can be used",
        where=f"{origin} {StoreAddress(uri, None).shown}",
        remedy="Use sqlite:///PATH.db, http://HOST:PORT, postgresql+psycopg://..., or --tracking-uri none.",
    )


def _sqlite_address(scheme: str, location: str) -> StoreAddress:
    path, mark, options = location.partition("?")
    database = Path(path).resolve()
    return StoreAddress(f"{scheme}:///{database.as_posix()}{mark}{options}", (database.parent / "mlartifacts").as_uri())
