"""The stack of docker-compose.yml without Docker: its flags and health checks, on PostgreSQL and servers started here.

Every server is bound to 127.0.0.1, and ended with all its processes whatever happens.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from services import require_program

PROJECT = Path(__file__).parents[1]
COMPOSE, OVERLAY = PROJECT / "docker-compose.yml", PROJECT / "docker-compose.s3.yml"
SECRETS = {"POSTGRES_PASSWORD": "a/b:c@d %25 ü$", "S3_ACCESS_KEY": "harness-access", "S3_SECRET_KEY": "harness-secret"}
"""What `.env` would hold; the password is of signs that would break an address."""
STARTS_WITHIN_S = 180.0


def compose(*overlays: Path) -> dict[str, Any]:
    """docker-compose.yml with `overlays` merged over it as Compose does: maps by key, commands replaced whole."""

    def merged(below: Any, above: Any, name: str = "") -> Any:
        if isinstance(below, dict) and isinstance(above, dict):
            return {key: merged(below[key], above[key], key) if key in below else above[key] for key in above} | {
                key: value for key, value in below.items() if key not in above
            }
        if isinstance(below, list) and isinstance(above, list) and name not in ("command", "entrypoint", "test"):
            return below + above
        return above

    document: dict[str, Any] = {}
    for path in (COMPOSE, *overlays):
        document = merged(document, yaml.safe_load(path.read_text(encoding="utf-8")))
    return document


def services(*overlays: Path) -> dict[str, Any]:
    found: dict[str, Any] = compose(*overlays)["services"]
    return found


def interpolated(text: str, variables: Mapping[str, str] = SECRETS) -> str:
    """What Compose makes of `${NAME:?text}` and `$$`."""
    return re.sub(r"\$\{(\w+)[^}]*\}", lambda found: variables[found[1]], text).replace("$$", "$")


def environment_of(service: str, *overlays: Path, **changed: str) -> dict[str, str]:
    """This process's environment without MLflow's settings, and the service's on top of it."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "AWS_", "PG"))}
    own = services(*overlays)[service]["environment"]
    return plain | {name: interpolated(value) for name, value in own.items()} | changed


def server_flags(replaced: Mapping[str, str], *overlays: Path) -> list[str]:
    """The MLflow server's arguments as the file has them, with other values for the flags in `replaced`."""
    command = list(services(*overlays)["mlflow"]["command"])
    assert command[:2] == ["mlflow", "server"]
    for flag, value in replaced.items():
        command[command.index(flag) + 1] = value
    return command[2:]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextmanager
def running(
    command: Sequence[str], log: Path, is_ready: Callable[[], bool], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A server, from when `is_ready` until the block ends; then it and all its processes are killed."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=log.parent, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_until(is_ready, lambda: process.poll() is None, log)
        yield process
    finally:
        kill_tree(process)


def wait_until(is_ready: Callable[[], bool], is_alive: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + STARTS_WITHIN_S
    while not is_ready():
        if not is_alive() or time.monotonic() > end:
            pytest.fail(f"{log.name}: it did not come up:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(0.2)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """-9 to a process and everything it started, wherever these put themselves."""
    with suppress(psutil.NoSuchProcess):
        for part in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                part.send_signal(signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what outlived its parent
    process.wait()


@dataclass
class Postgres:
    """A PostgreSQL of this machine's packages in a folder of its own, as the user `mlflow` with a password."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def made(cls) -> Iterator[Postgres]:
        require_program("postgres")
        folder = Path(tempfile.mkdtemp(prefix="harness-pg-"))  # pytest's own folders let no other user in
        database = cls(folder)
        try:
            if account := database._account():
                os.chown(folder, account.pw_uid, account.pw_gid)
            secret = folder / "password"
            secret.write_text(SECRETS["POSTGRES_PASSWORD"], encoding="utf-8")
            secret.chmod(0o644)  # inside a folder that is closed to others
            made = ["initdb", "--pgdata", str(folder / "data"), "--username=mlflow", "--pwfile", str(secret)]
            options = str(services()["database"]["environment"]["POSTGRES_INITDB_ARGS"]).split()
            database._as_user([*made, *options, "--locale=C.UTF-8", "--no-sync"])
            database.start()
            database.command("createdb", "mlflow")
            yield database
        finally:
            database.kill()
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def uri(self) -> str:
        """As the compose file has it, with this database's address."""
        flags = server_flags({})
        return flags[flags.index("--backend-store-uri") + 1].replace("@database:5432", f"@127.0.0.1:{self.port}")

    def start(self) -> None:
        program = str(require_program("postgres"))
        options = ["-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, "-D", str(self.folder / "data"), "-p", str(self.port), *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **self._identity(),
            )
        process = self.process
        wait_until(lambda: self.is_healthy("postgres"), lambda: process.poll() is None, self.folder / "log")

    def kill(self) -> None:
        """-9 to every process of it, as a machine that loses its power."""
        if self.process is not None:
            kill_tree(self.process)
            self.process = None

    def is_healthy(self, database: str = "mlflow") -> bool:
        """What the compose file's own health check says."""
        _, program, *arguments = services()["database"]["healthcheck"]["test"]
        assert program == "psql"
        arguments = [part.replace("--dbname=mlflow", f"--dbname={database}") for part in arguments]
        done = subprocess.run(
            [str(require_program("psql")), *arguments], env=self.environment(), capture_output=True, check=False
        )
        return done.returncode == 0

    def environment(self) -> dict[str, str]:
        return environment_of("database", PGPORT=str(self.port))

    def command(self, program: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[Any]:
        """One of PostgreSQL's programs on this database, as the user `mlflow`."""
        where = ["--host=127.0.0.1", "--username=mlflow"]
        return subprocess.run(
            [str(require_program(program)), *where, *arguments], env=self.environment(), check=True, **options
        )

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database itself says, past MLflow."""
        import psycopg

        password = SECRETS["POSTGRES_PASSWORD"]
        where = {"host": "127.0.0.1", "port": self.port, "user": "mlflow", "dbname": "mlflow"}
        with psycopg.connect(**where, password=password) as connection:  # type: ignore[arg-type]
            return connection.execute(query).fetchall()  # type: ignore[call-overload, no-any-return]

    def _account(self) -> pwd.struct_passwd | None:
        """Whom PostgreSQL runs as where this is root, as whom it refuses."""
        if os.geteuid() != 0:
            return None
        known = {entry.pw_name: entry for entry in pwd.getpwall()}
        return known.get("postgres") or known["nobody"]

    def _identity(self) -> dict[str, Any]:
        account = self._account()
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}

    def _as_user(self, command: Sequence[str]) -> None:
        program, *arguments = command
        done = subprocess.run(
            [str(require_program(program)), *arguments], capture_output=True, text=True, check=False, **self._identity()
        )
        assert done.returncode == 0, done.stderr


@contextmanager
def mlflow_server(
    folder: Path, store: str, destination: str, *overlays: Path, more_hosts: str = "", **environment: str
) -> Iterator[str]:
    """`mlflow server` with the compose file's very flags and environment; only addresses are others. Gives its own.

    more_hosts: what is appended to the hosts that it takes requests for.
    """
    port, flags = free_port(), server_flags({}, *overlays)
    replaced = {
        "--backend-store-uri": store,
        "--artifacts-destination": destination,
        "--host": "127.0.0.1",
        "--port": str(port),
        "--allowed-hosts": flags[flags.index("--allowed-hosts") + 1] + more_hosts,
    }
    command = [sys.executable, "-m", "mlflow", "server", *server_flags(replaced, *overlays)]
    address = f"http://127.0.0.1:{port}"
    settings = environment_of("mlflow", *overlays, **environment)
    with running(command, folder / "server.log", lambda: is_healthy(address), settings):
        yield address


def is_healthy(address: str) -> bool:
    """What the compose file's own health check says of the server at `address`."""
    _, program, *arguments = services()["mlflow"]["healthcheck"]["test"]
    assert program == "python"
    arguments = [part.replace("http://127.0.0.1:5000", address) for part in arguments]
    done = subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    return done.returncode == 0
