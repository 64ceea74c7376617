"""nginx with a login in front of the server: the configuration of docs/deploy.md, in Debian's nginx, with TLS."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from server_stack import PROJECT, free_port, mlflow_server, running
from services import require_program

from experiments import TINY, harness, run_here, write_file
from harness.errors import TrackingError
from harness.tracking.connection import connected
from harness.tracking.stores import resolve_address

pytestmark = [pytest.mark.services, pytest.mark.timeout(600)]

NAME, PASSWORD = "ada", "s3cret word"
LARGE = 3_000_000
HOST = "mlflow.example.org"
QUESTION = "/api/2.0/mlflow/experiments/search?max_results=1"


@dataclass(frozen=True)
class Front:
    """nginx and the server behind it. address: nginx's; behind: the server's own; certificate: nginx's."""

    address: str
    behind: str
    certificate: Path

    @property
    def login(self) -> dict[str, str]:
        return {"MLFLOW_TRACKING_USERNAME": NAME, "MLFLOW_TRACKING_PASSWORD": PASSWORD}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    store, hosts = f"sqlite:///{folder}/server.db", f",{HOST}"  # the name that the page appends
    with mlflow_server(folder, store, str(folder / "artifacts"), more_hosts=hosts) as address:
        yield address


@pytest.fixture(scope="module")
def front(server: str) -> Iterator[Front]:
    with in_front(server, configuration()) as made:
        yield made


def configuration() -> str:
    page = (PROJECT / "docs" / "deploy.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"```nginx\n(.*?)```", page, re.DOTALL)
    return str(found)


@contextmanager
def in_front(server: str, text: str) -> Iterator[Front]:
    """nginx with `text`, in which only paths, names and ports are replaced."""
    folder = Path(tempfile.mkdtemp(prefix="harness-nginx-"))
    try:
        port = free_port()
        make_secrets(folder)
        for old, new in (
            ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
            (HOST, "127.0.0.1"),
            ("/etc/nginx/tls/", f"{folder}/"),
            ("/etc/nginx/mlflow.users", f"{folder}/mlflow.users"),
            ("http://127.0.0.1:5000", server),
        ):
            assert old in text
            text = text.replace(old, new)
        parts = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        places = "".join(f"{part}_temp_path {folder}/{part};\n" for part in parts)
        user = "user root;" if os.geteuid() == 0 else ""
        main = f"{user} pid {folder}/pid; daemon off; events {{}}\nhttp {{ access_log off;\n{places}{text}}}"
        (folder / "nginx.conf").write_text(main, encoding="utf-8")
        program = str(require_program("nginx"))
        command = [program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]
        address = f"https://127.0.0.1:{port}"
        certificate = folder / "mlflow.crt"
        is_ready = lambda: status(f"{address}/version", certificate) == 401  # noqa: E731 - it asks for a login
        with running(command, folder / "nginx.log", is_ready, os.environ):
            yield Front(address, server, certificate)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_secrets(folder: Path) -> None:
    """A certificate for 127.0.0.1, and a file of users made as the page says."""
    openssl = str(require_program("openssl"))
    key, certificate = str(folder / "mlflow.key"), str(folder / "mlflow.crt")
    request = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run([*request, *names], check=True, capture_output=True)
    hashed = subprocess.run(
        [openssl, "passwd", "-6", "-stdin"], input=PASSWORD, check=True, capture_output=True, text=True
    ).stdout.strip()
    (folder / "mlflow.users").write_text(f"{NAME}:{hashed}\n", encoding="utf-8")


def status(url: str, certificate: Path, host: str | None = None) -> int:
    """The status of the answer to a plain question, 0 where there is none."""
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    try:
        context = ssl.create_default_context(cafile=str(certificate)) if url.startswith("https") else None
        with urllib.request.urlopen(request, timeout=10, context=context) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def test_nobody_comes_in_without_the_login(front: Front, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    address = resolve_address(front.address, Path("runs"))
    with pytest.raises(TrackingError, match="certificate") as caught, connected(address):
        pass
    assert "MLFLOW_TRACKING_SERVER_CERT_PATH" in caught.value.remedy
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(front.certificate))
    with pytest.raises(TrackingError, match="asks who this is"), connected(address):
        pass
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", NAME)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "another")
    with pytest.raises(TrackingError, match="refuses the name and password") as caught, connected(address):
        pass
    assert "another" not in str(caught.value)
    for host, expected in ((HOST, 200), ("elsewhere.example.org", 403)):
        assert status(f"{front.behind}{QUESTION}", front.certificate, host) == expected


def test_an_experiment_goes_through_with_the_login(front: Front, tmp_path: Path) -> None:
    file = write_file(tmp_path, TINY.replace('"tiny"', '"fronted"'))
    run_here(file)
    trusted = {"MLFLOW_TRACKING_SERVER_CERT_PATH": str(front.certificate), "HOME": str(tmp_path)}
    sync = ("sync", str(file), "--tracking-uri", front.address)
    refused = harness(*sync, cwd=tmp_path, **trusted)
    assert refused.returncode == 1
    assert "asks who this is" in refused.stderr and "MLFLOW_TRACKING_USERNAME" in refused.stderr
    assert "Traceback" not in refused.stderr
    done = harness(*sync, cwd=tmp_path, **trusted, **front.login)
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(file, elsewhere)
    report = ("report", file.name, "--source", "mlflow", "--tracking-uri", front.address)
    done = harness(*report, cwd=elsewhere, **trusted, **front.login)
    assert done.returncode == 0, done.stderr


def test_large_artifacts_need_the_line_that_the_page_has(
    front: Front, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    content = os.urandom(LARGE)
    (tmp_path / "large.bin").write_bytes(content)
    (tmp_path / "fetched").mkdir()
    for name, value in front.login.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(front.certificate))
    with connected(resolve_address(front.address, tmp_path)) as client:
        run = client.create_run(client.create_experiment("large")).info.run_id
        client.log_artifact(run, str(tmp_path / "large.bin"))
        fetched = Path(client.download_artifacts(run, "large.bin", str(tmp_path / "fetched")))
    assert fetched.read_bytes() == content
    without = re.sub(r"client_max_body_size.*\n", "\n", configuration())
    with in_front(front.behind, without) as other:
        monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(other.certificate))
        with (
            pytest.raises(TrackingError, match="no files of this size") as caught,
            connected(resolve_address(other.address, tmp_path)) as client,
        ):
            another = client.create_run("0").info.run_id  # MLflow keeps in mind where files of a run go
            client.log_artifact(another, str(tmp_path / "large.bin"))
    assert "client_max_body_size" in caught.value.remedy
