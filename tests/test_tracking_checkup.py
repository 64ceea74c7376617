"""What `harness doctor` tells of a tracking store: real SQLite files, dead ports, and servers that refuse."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path

import pytest
from doctor_parts import the

from harness.store.checkup import Finding
from harness.tracking import checkup, server_checkup
from harness.tracking.checkup import check_tracking
from harness.tracking.connection import connected
from harness.tracking.stores import resolve_address

Answer = Callable[[str, bytes, str | None], tuple[int, str]]
"""(path, body, Authorization) -> (status, text)."""

SECRET = "pass-word-9"


def looked(uri: str | None, folder: Path) -> list[Finding]:
    found = list(check_tracking(uri, folder / "runs"))
    assert all(one.topic == "tracking" for one in found)
    assert all(one.remedy for one in found if one.state != "ok")
    return found


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """A server on this machine that answers so; yields host and port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes) -> None:
            status, text = answer(self.path, body, self.headers["Authorization"])
            self.send_response(status)
            if status == 302:
                self.send_header("Location", text)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def mlflow_like(path: str, body: bytes, _who: str | None) -> tuple[int, str]:
    if path == "/version":
        return 200, metadata.version("mlflow")
    return (200, "{}") if json.loads(body) == {"max_results": 1} else (400, "")


def test_a_store_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    (found,) = looked(None, tmp_path)
    assert (found.state, "the first run makes it" in found.found) == ("ok", True)
    assert list(tmp_path.iterdir()) == []


def test_a_real_store_is_fine_and_its_schema_is_compared(tmp_path: Path) -> None:
    address = resolve_address(None, tmp_path / "runs")
    with connected(address):
        pass
    path = tmp_path / "runs" / "mlflow.db"
    (found,) = looked(None, tmp_path)
    assert found == Finding("tracking", "ok", address.shown)

    def made_by(revision: str) -> Finding:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        return the("problem", looked(None, tmp_path))

    with closing(sqlite3.connect(path)) as database:
        (newest,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
    older = made_by("451aebb31d03")
    assert f"older MLflow (schema 451aebb31d03, here {newest})" in older.found
    assert "mlflow db upgrade" in older.remedy
    assert "newer MLflow (schema ffffffffffff is unknown" in made_by("ffffffffffff").found


def test_an_sqlite_file_that_is_locked_damaged_or_foreign_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkup, "KNOCK_SECONDS", 0.2)
    path = tmp_path / "store.db"
    uri = f"sqlite:///{path}"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("CREATE TABLE a (b)")
        assert "no tables of MLflow yet" in the("ok", looked(uri, tmp_path)).found
        database.execute("BEGIN EXCLUSIVE")
        assert "keeps the file locked" in the("problem", looked(uri, tmp_path)).found
    path.write_bytes(b"no database at all" * 1000)
    assert "damaged or no SQLite file" in the("problem", looked(uri, tmp_path)).found
    assert "harness sync FILE" in the("problem", looked(uri, tmp_path)).remedy
    assert "not a tracking store" in the("problem", looked("file:///tmp/mlruns", tmp_path)).found


def test_a_server_that_takes_all_is_fine(tmp_path: Path) -> None:
    with serving(mlflow_like) as place:
        found = looked(f"http://{place}/", tmp_path)
    assert [one.state for one in found] == ["ok", "ok"]
    assert found[1].found == f"the server has MLflow {metadata.version('mlflow')}, as here"


@pytest.mark.parametrize(
    ("status", "text", "found", "remedy"),
    [
        (401, "", "asks who you are", "MLFLOW_TRACKING_USERNAME"),
        (403, "Invalid Host header - possible DNS rebinding attack detected", "by this name", "--allowed-hosts"),
        (403, "no", "knows you and refuses", "administrator"),
        (404, "", "no tracking server (404)", "path"),
        (500, "", "the error 500", "mlflow db upgrade"),
        (200, "<html>log in</html>", "no tracking server", "log in"),
    ],
)
def test_a_server_that_refuses_is_told_with_what_helps(
    tmp_path: Path, status: int, text: str, found: str, remedy: str
) -> None:
    with serving(lambda *_: (status, text)) as place:
        (broken,) = looked(f"http://{place}", tmp_path)
    assert broken.state == "problem"
    assert found in broken.found
    assert remedy in broken.remedy


def test_a_proxy_that_takes_small_requests_only_is_told(tmp_path: Path) -> None:
    def small_only(path: str, body: bytes, who: str | None) -> tuple[int, str]:
        return (413, "") if len(body) > 2**20 else mlflow_like(path, body, who)

    with serving(small_only) as place:
        broken = the("problem", looked(f"http://{place}", tmp_path))
    assert "2 MiB (413)" in broken.found
    assert "client_max_body_size" in broken.remedy


@pytest.mark.parametrize(("version", "state"), [("3.0.1", "note"), ("2.22.0", "problem")])
def test_a_server_of_another_release_is_told(tmp_path: Path, version: str, state: str) -> None:
    with serving(
        lambda path, body, who: (200, version) if path == "/version" else mlflow_like(path, body, who)
    ) as place:
        assert f"MLflow {version}" in the(state, looked(f"http://{place}", tmp_path)).found


def test_who_asks_is_said_as_mlflow_says_it_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    def noting(_path: str, _body: bytes, who: str | None) -> tuple[int, str]:
        asked.append(who)
        return 401, f"who is {who}, {SECRET}?"

    monkeypatch.setenv("HOME", str(tmp_path))
    with serving(noting) as place:
        found = looked(f"http://me:{SECRET}@{place}", tmp_path)
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", SECRET)
        found += looked(f"http://{place}", tmp_path)
        (tmp_path / ".mlflow").mkdir()
        (tmp_path / ".mlflow" / "credentials").write_text(
            f"[mlflow]\nmlflow_tracking_username = me\nmlflow_tracking_password = {SECRET}\n"
        )
        found += looked(f"http://{place}", tmp_path)
    basic = "Basic bWU6cGFzcy13b3JkLTk="
    assert asked == [basic, f"Bearer {SECRET}", basic]
    assert SECRET not in repr(found)
    assert "me:***@" in found[0].found


@pytest.mark.parametrize("scheme", ["http", "postgresql+psycopg"])
def test_nobody_at_the_port_is_told_without_the_password(tmp_path: Path, scheme: str) -> None:
    (dead,) = looked(f"{scheme}://me:{SECRET}@127.0.0.1:9/mlflow", tmp_path)
    assert (dead.state, "does not answer" in dead.found) == ("problem", True)
    assert SECRET not in repr(dead)


def test_a_server_that_never_answers_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_checkup, "SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (hung,) = looked(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
    assert "nothing within 1 s" in hung.found


def test_a_database_that_speaks_no_postgresql_is_told_without_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "2")
    with serving(mlflow_like) as place:
        (broken,) = looked(f"postgresql+psycopg://me:{SECRET}@{place}/mlflow", tmp_path)
    assert (broken.state, "the database refuses" in broken.found) == ("problem", True)
    assert SECRET not in repr(broken)


def test_a_login_does_not_follow_to_another_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", SECRET)
    heard: list[str | None] = []

    def elsewhere(path: str, _body: bytes, who: str | None) -> tuple[int, str]:
        heard.append(who)
        return 200, "{}"

    with serving(elsewhere) as other:
        place = other.replace("127.0.0.1", "localhost")

        def moved(_path: str, _body: bytes, _who: str | None) -> tuple[int, str]:
            return 302, f"http://{place}/login"

        with serving(moved) as here:
            looked(f"http://{here}", tmp_path)
    assert heard and set(heard) == {None}
