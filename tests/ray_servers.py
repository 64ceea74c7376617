"""Real Ray clusters on the loopback address, a node a process, for tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

TOKEN = "4f1c" * 16
START_S = 120.0
TRIES = 4


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Node:
    """A node: `ray start --block`, its raylet and what that started."""

    process: subprocess.Popen[bytes]

    def processes(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """-9 to all of it, as when a machine loses its power."""
        found = self.processes()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # what outlived a start that failed
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=30)
        psutil.wait_procs(found, timeout=30)


@dataclass
class Cluster:
    """nodes: the head first. environment: what its processes, and commands that join it, run with."""

    folder: Path
    port: int
    environment: dict[str, str]
    nodes: list[Node] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self, cpus: int, *, name: str, prefix: Sequence[str] = (), **environment: str) -> Node:
        """Starts a node; the first is the head. prefix: a command that it is started through."""
        place = (
            [f"--address={self.address}"]
            if self.nodes
            else ["--head", f"--port={self.port}", f"--temp-dir={self.folder}", "--include-dashboard=false"]
        )
        command = [*prefix, sys.executable, str(Path(__file__).with_name("ray_node.py")), "start", *place, "--block"]
        command += ["--node-ip-address=127.0.0.1", f"--num-cpus={cpus}", f"--node-name={name}", "--disable-usage-stats"]
        command += ["--object-store-memory=100000000"]
        for _ in range(TRIES):
            with (self.folder / f"{name}.txt").open("wb") as log:
                process = subprocess.Popen(
                    command,
                    env={**self.environment, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "1", **environment},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            node = Node(process)
            self.nodes.append(node)
            if self._is_up(name, process):
                return node
            self.nodes.remove(node)
            node.kill()
        raise AssertionError((self.folder / f"{name}.txt").read_text(errors="replace"))

    def _is_up(self, name: str, process: subprocess.Popen[bytes]) -> bool:
        """Whether the node comes up: on a busy machine, a raylet gives up waiting for its agents after 15 s."""
        deadline = time.monotonic() + START_S
        log = self.folder / f"{name}.txt"
        while b"Ray runtime started" not in log.read_bytes():
            if process.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.2)
        return True

    def processes(self, title: str) -> list[psutil.Process]:
        """Those of all nodes whose title begins with `title`, as `ray::work`."""
        found = [process for node in self.nodes for process in node.processes()]
        named = []
        for process in found:
            with suppress(psutil.NoSuchProcess):
                if " ".join(process.cmdline()).startswith(title):
                    named.append(process)
        return named


@contextmanager
def ray_cluster() -> Iterator[Cluster]:
    """An empty cluster with a token, on the loopback address; what was started in it is gone after the block."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment = kept | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # for commands: the loopback address is this machine's own
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    with tempfile.TemporaryDirectory(prefix="hrt-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        cluster = Cluster(Path(folder), free_port(), environment)
        try:
            yield cluster
        finally:
            for node in reversed(cluster.nodes):
                node.kill()
