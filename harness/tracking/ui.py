"""The command that opens MLflow's page. Imports no mlflow."""

from __future__ import annotations

import sys

from harness.errors import TrackingError
from harness.tracking.cursor import ParentCursor, read_cursor
from harness.tracking.reader import ExperimentView
from harness.tracking.shared_view import VIEW
from harness.tracking.stores import StoreAddress


def comparison_page(view: ExperimentView, address: StoreAddress) -> str:
    """The part of MLflow's address, behind its host, where the runs of an experiment stand beside each other.

    Through the view that was put there with the runs: sorted by the first metric, since MLflow folds them away under
    their parent otherwise, with parallel coordinates and charts. Empty where nothing was projected yet.
    """
    cursor = read_cursor(ParentCursor, view.directory.tracking(address.fingerprint), address)
    if cursor is None:
        return ""
    return f"/#/experiments/{cursor.experiment_id}/runs?viewStateShareKey={VIEW}&compareRunsMode=CHART"


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
        *(sys.executable, "-P", "-m", "mlflow", "server"),
        *store,
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    ]
