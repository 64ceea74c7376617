"""Stores that are there and do not fit: other versions, logins, proxies. Each refusal names what to do about it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from server_stack import free_port
from tracking_data import OLDER_SCHEMA, Laboratory, children, database, make_older_store

from experiments import harness, write_file
from harness.errors import TrackingError
from harness.tracking.connection import connected
from harness.tracking.projection import project
from harness.tracking.stores import StoreAddress, resolve_address

pytest_plugins = ["tracking_fixtures"]


@contextmanager
def answering(status: int, body: str, version: str = "3.17.2") -> Iterator[str]:
    """The address of a server that gives one answer to every question but `/version`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_version = self.path == "/version" and status == 200
            content = (version if is_version else body).encode()
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def refusal(address: str | StoreAddress) -> TrackingError:
    found = resolve_address(address, Path("runs")) if isinstance(address, str) else address
    with pytest.raises(TrackingError) as caught, connected(found):
        pass
    return caught.value


@pytest.mark.timeout(900)  # five processes that load MLflow
def test_an_older_store_is_not_upgraded_unasked(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    make_older_store(f"sqlite:///{path}")
    before = path.read_bytes()
    address = resolve_address(f"sqlite:///{path}", tmp_path)
    error = refusal(address)
    assert "older" in error.what and OLDER_SCHEMA in error.what
    assert f"`mlflow db upgrade sqlite:///{path}`" in error.remedy and "copy" in error.remedy
    assert path.read_bytes() == before
    file = write_file(tmp_path)
    served = harness("ui", str(file), "--tracking-uri", address.uri, "--port", str(free_port()), cwd=tmp_path)
    assert served.returncode == 1 and "mlflow db upgrade" in served.stderr
    assert path.read_bytes() == before  # MLflow's own server would change it at its start
    command = [sys.executable, "-m", "mlflow", "db", "upgrade", f"sqlite:///{path}"]
    subprocess.run(command, check=True, capture_output=True)  # the remedy
    with connected(address) as client:
        assert [experiment.name for experiment in client.search_experiments()] == ["Default"]


def test_a_store_of_a_newer_mlflow_is_named_as_such(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0)
    with closing(sqlite3.connect(database(lab), isolation_level=None)) as store:
        store.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    with pytest.raises(TrackingError, match="newer MLflow") as caught:
        project(lab.view(), address)
    assert "pip install --upgrade mlflow" in caught.value.remedy
    assert children(database(lab)) == {}


def test_a_store_whose_schema_is_the_newest_is_taken(empty_store: Path, tmp_path: Path) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    with connected(resolve_address(f"sqlite:///{tmp_path}/mlflow.db", tmp_path)) as client:
        assert client.search_experiments()


def test_a_server_that_asks_for_a_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))  # no ~/.mlflow/credentials
    with answering(401, "<html><h1>401 Authorization Required</h1></html>") as server:
        error = refusal(server)
        assert "asks who this is" in error.what
        assert "MLFLOW_TRACKING_USERNAME" in error.remedy and "MLFLOW_TRACKING_TOKEN" in error.remedy
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "geheim")
        error = refusal(server)
        assert "refuses the name and password" in error.what
        assert "geheim" not in str(error)
        assert "refuses" in refusal(server.replace("//", "//me:geheim@")).what


@pytest.mark.parametrize(
    ("status", "body", "what", "remedy"),
    [
        (403, "Invalid Host header - possible DNS rebinding attack", "takes no requests for", "--allowed-hosts"),
        (403, "Permission denied", "does not permit", "MLFLOW_TRACKING_USERNAME"),
        (404, "<html>no such page</html>", "no tracking server", "browser"),
        (200, "<html>Please log in</html>", "no tracking server", "browser"),
        (413, "<html>413 Request Entity Too Large</html>", "no files of this size", "client_max_body_size"),
        (502, "Bad Gateway", "the error 502", "log"),
    ],
)
def test_what_a_server_or_a_proxy_answers_is_put_into_words(status: int, body: str, what: str, remedy: str) -> None:
    with answering(status, body) as server:
        error = refusal(server)
    assert what in error.what
    assert remedy in error.remedy
    assert error.where == server


@pytest.mark.parametrize(("version", "fits"), [("2.22.1", False), ("3.0.0", True), ("3.17.2", True), ("10.1", True)])
def test_a_server_without_logged_models_is_named_with_its_version(version: str, fits: bool) -> None:
    with answering(200, json.dumps({"experiments": []}), version) as server:
        if fits:
            with connected(resolve_address(server, Path("runs"))):
                pass
            return
        error = refusal(server)
    assert "MLflow 2.22" in error.what
    assert "mlflow db upgrade" in error.remedy


def test_a_missing_driver_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as listening:
        error = refusal(f"postgresql+psycopg://me:geheim@127.0.0.1:{listening.server_port}/mlflow")
    assert "not installed: psycopg" in error.what
    assert error.remedy == '`pip install "gan-ablation-harness[postgresql]"`'
    assert "geheim" not in str(error)
