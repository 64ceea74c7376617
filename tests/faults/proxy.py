"""A proxy in front of a server, whose behaviour can be switched while it runs, and a real `mlflow server` behind it."""

from __future__ import annotations

import atexit
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Mode = Literal["pass", "refuse", "error 500", "slow", "hang"]
STARTS_WITHIN_S = 120.0
_CHUNK = 65536
_QUIET_S = 0.05
_ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Proxy:
    """Listens on a port of its own and hands everything on to `target` on this machine; closed at the end of `with`.

    refuse: connections are refused or broken; error 500: every request gets that answer; slow: every answer comes
    `delay_s` later; hang: connections are taken, and nothing is ever answered. A switch holds for open connections too.
    """

    def __init__(self, target: int, mode: Mode = "pass", delay_s: float = 0.5) -> None:
        self._target = target
        self._delay_s = delay_s
        self._mode: Mode = mode
        self._listener = _listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._closed = threading.Event()
        self.asked = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def switch(self, mode: Mode) -> None:
        self._mode = mode

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                readable, _, _ = select.select([self._listener], [], [], _QUIET_S)
                if readable:
                    client, _ = self._listener.accept()
                    threading.Thread(target=self._serve, args=(client,), daemon=True).start()
            except (OSError, ValueError):  # closed
                return

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, socket.create_connection(("127.0.0.1", self._target)) as server:
                self._relay(client, server)
        except OSError:
            return  # either end left

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        asking = False
        while not self._closed.is_set():
            if self._mode == "refuse":
                # Zero linger: a reset, as from a port where nobody listens.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                return
            readable, _, _ = select.select([client, server], [], [], _QUIET_S)
            if client in readable:
                content = client.recv(_CHUNK)
                if not content:
                    return
                self.asked += not asking
                asking = True
                if not self._let_through(client):
                    return
                server.sendall(content)
            elif server in readable:
                content = server.recv(_CHUNK)
                if not content:
                    return
                if asking and self._mode == "slow":
                    time.sleep(self._delay_s)
                asking = False
                if not self._let_through(client):
                    return
                client.sendall(content)

    def _let_through(self, client: socket.socket) -> bool:
        """Whether a piece may pass; waits while nothing is answered, answers itself where it is to be an error."""
        while self._mode == "hang" and not self._closed.is_set():
            time.sleep(_QUIET_S)
        if self._mode == "error 500":
            while select.select([client], [], [], _QUIET_S)[0]:  # the rest of the request first
                if not client.recv(_CHUNK):
                    return False
            client.sendall(_ERROR)
            return False
        return self._mode != "refuse" and not self._closed.is_set()


@dataclass(frozen=True)
class Server:
    """A running `mlflow server`. database: its SQLite file; artifacts: where it keeps files."""

    port: int
    database: Path
    artifacts: Path


class SharedServer:
    """One server for all trials of a process, started when first asked for and killed when the process ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._server: Server | None = None

    def get(self) -> Server:
        with self._lock:
            if self._server is None:
                self._server = _start(self._folder)
            return self._server


def _start(folder: Path) -> Server:
    folder.mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(port, folder / "server.db", folder / "artifacts")
    store = ["--backend-store-uri", f"sqlite:///{server.database}"]
    files = ["--serve-artifacts", "--artifacts-destination", str(server.artifacts)]
    place = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *store, *files, *place],
            cwd=folder,
            env={**environment, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    atexit.register(_end, process)
    _await_health(port, process, folder / "server.log")
    return server


def _await_health(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"the server did not come up:\n{log.read_text(errors='replace')[-2000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(64)
    return listener
