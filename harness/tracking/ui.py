"""The command that opens MLflow's page. Imports no mlflow."""

from __future__ import annotations

import sys

from harness.errors import TrackingError
from harness.tracking.stores import StoreAddress


def ui_command(address: StoreAddress, port: int) -> list[str]:
    """The arguments that serve MLflow's page on the store at `address`, on 127.0.0.1:`port`.

    Empty for a tracking server, which shows its own page at `address.shown`. TrackingError where the address holds a
    password: the command line of a process can be read by every user of a machine.
    """
    if address.is_http:
        return []
    if address.has_secret:
        raise TrackingError(
            "the address holds a password, which a command line would show to everybody on this machine",
            where=address.shown,
            remedy=f"Put the address into MLFLOW_BACKEND_STORE_URI, then: mlflow server --host 127.0.0.1 --port {port}",
        )
    store = ["--backend-store-uri", address.uri]
    if address.artifacts:
        store += ["--default-artifact-root", address.artifacts]
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *store,
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    ]
