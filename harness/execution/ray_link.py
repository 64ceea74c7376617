"""The parent's side of the process in the Ray cluster: how it starts, speaks, and goes. No ray."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType

from harness.errors import ClusterError, HarnessError
from harness.execution.ray_messages import Capacity, Errand, FromCluster, Joined, Leave, Refused, ToCluster
from harness.execution.ray_nodes import takes_connections
from harness.execution.ray_process import OUTPUT, START_REMEDY, TOKEN_REMEDY, cluster_process
from harness.execution.spawning import helpers_deaf

JOIN_S = 180.0
"""How long a cluster may take to let this command in, or to start."""

ANSWERS_S = 180.0
"""How long its nodes may then take to load torch and say what they are."""

END_S = 15.0
"""How long the process may take to leave: tasks save their states, a cluster of the command's own ends."""

POLL_S = 0.25

_BAD_TOKEN = ("InvalidAuthToken", "Unauthenticated")
"""What Ray writes where the token is not the cluster's, and goes on trying."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for the time of the block; its path is short, as sockets in it may have 107 bytes for theirs."""
    short = Path("/tmp")
    parent = os.environ.get("RAY_TMPDIR") or (str(short) if short.is_dir() else None)
    folder = Path(tempfile.mkdtemp(prefix="hray-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def require_address(address: str) -> None:
    """HarnessError where it is none, or nobody listens there. `auto` is looked up by Ray itself."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host or int(port) > 65535:
        raise HarnessError(
            f"{address!r} is no address of a Ray cluster; allowed: auto, HOST:PORT",
            where="--ray-address",
            remedy="Start a node of the cluster on this machine, and say auto." if "//" in address else "",
        )
    if not takes_connections(address):
        raise HarnessError(f"no Ray head answers at {address}", where="--ray-address", remedy=START_REMEDY)


class ClusterLink:
    """A pipe to a process of this command that has joined, or started, a Ray cluster.

    Leaving the block ends that process, and with it a cluster of the command's own.
    """

    def __init__(self, errand: Errand) -> None:
        self._errand = errand
        context = multiprocessing.get_context("spawn")
        self._connection, there = context.Pipe()
        self._process = context.Process(target=cluster_process, args=(there, errand), daemon=True)
        with helpers_deaf():
            self._process.start()
        there.close()

    def __enter__(self) -> ClusterLink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.join(timeout=5.0)
        self._connection.close()

    def join(self, stop: Callable[[], bool]) -> Capacity | None:
        """Waits until runs can be submitted; None where `stop` said yes. HarnessError where it comes to nothing."""
        deadline = time.monotonic() + JOIN_S
        while not stop():
            for message in self.receive(POLL_S):
                if isinstance(message, Capacity):
                    return message
                if isinstance(message, Joined):
                    deadline = time.monotonic() + ANSWERS_S
            if any(word in self._output() for word in _BAD_TOKEN):
                raise HarnessError("the Ray cluster refuses this token", where=self._where, remedy=TOKEN_REMEDY)
            if time.monotonic() > deadline:
                raise HarnessError("the Ray cluster does not answer", where=self._where, remedy=START_REMEDY)
        return None

    def send(self, message: ToCluster) -> None:
        with suppress(OSError):  # the process died; what is received next tells of it
            self._connection.send(message)

    def receive(self, timeout_s: float) -> list[FromCluster]:
        """What came within `timeout_s`. HarnessError where the cluster refused, or the process died."""
        messages: list[FromCluster] = []
        wait([self._connection, self._process.sentinel], timeout_s)
        try:
            while self._connection.poll():
                message: FromCluster = self._connection.recv()
                if isinstance(message, Refused):
                    raise message.error
                messages.append(message)
        except (EOFError, OSError) as error:
            if not messages:
                raise self._lost() from error
        return messages

    def leave(self) -> Iterator[FromCluster]:
        """Has all tasks save their states and end; gives what is still said until the process is gone."""
        self.send(Leave())
        deadline = time.monotonic() + END_S
        while time.monotonic() < deadline:
            wait([self._connection, self._process.sentinel], POLL_S)
            try:
                while self._connection.poll():
                    message: FromCluster = self._connection.recv()
                    if isinstance(message, Refused):
                        raise message.error
                    yield message
            except (EOFError, OSError):
                return

    @property
    def _where(self) -> str:
        return f"--ray-address {self._errand.address}" if self._errand.address else "--executor ray"

    def _lost(self) -> ClusterError:
        self._process.join(timeout=5.0)
        lines = [line for line in self._output().splitlines() if line.strip()]
        said = f"; it said last: {lines[-1].strip()[:300]}" if lines else ""
        return ClusterError(
            f"the connection to the Ray cluster was lost{said}",
            where=self._where,
            remedy="The same command goes on from the newest state of every run.",
        )

    def _output(self) -> str:
        try:
            return (self._errand.scratch / OUTPUT).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
