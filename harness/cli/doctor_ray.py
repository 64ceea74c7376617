"""Ray: installed, reachable and let in, without joining the cluster."""

from __future__ import annotations

import os
import re
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from harness.cli.doctor_request import Request
from harness.cli.doctor_versions import installed_version
from harness.execution.programs import ask
from harness.store.checkup import Finding, FindingState

KNOCK_SECONDS = 5.0
STATUS_SECONDS = 20.0
PORT = 6379
"""Of a head node, unless said otherwise."""
_STATUS_CODE = "from ray.scripts.scripts import main; main()"
_INSTALL = '`pip install "gan-ablation-harness[ray]"`'


def ray(request: Request) -> Iterator[Finding]:
    """What `--executor ray` needs; a problem only where it is asked for."""
    wanted: FindingState = "problem" if request.wants_ray else "note"
    version = installed_version("ray")
    if version is None:
        yield Finding("ray", wanted, "Ray is not installed, and --executor ray needs it", _INSTALL)
    else:
        yield Finding("ray", "ok", f"Ray {version}")
    address = request.ray_address or os.environ.get("RAY_ADDRESS")
    if not address:
        if request.wants_ray:
            yield Finding("ray", "ok", "no address: a run starts a cluster of its own on this machine")
        return
    origin = "--ray-address" if request.ray_address else "RAY_ADDRESS"
    place = _place(address)
    if place is None:
        yield _no_place(address, origin, wanted)
        return
    yield from _token(place[0], wanted)
    reached = _knock(place, origin, wanted)
    yield reached
    if reached.state == "ok" and version is not None and "://" not in address:
        yield from _nodes(place)


def _place(address: str) -> tuple[str, int] | None:
    """Host and port; None where the address names none, or `auto` finds no cluster on this machine."""
    if address in ("auto", "local"):
        try:
            address = _own_cluster().read_text(encoding="utf-8").strip()
        except OSError:
            return None
    try:
        parts = urlsplit(address if "://" in address else f"ray://{address}")
        return (parts.hostname, parts.port or PORT) if parts.hostname else None
    except ValueError:  # a port that is no number
        return None


def _own_cluster() -> Path:
    """The file in which Ray keeps the address of the cluster that was started on this machine."""
    return Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray" / "ray_current_cluster"


def _no_place(address: str, origin: str, wanted: FindingState) -> Finding:
    if address == "auto":
        return Finding(
            "ray",
            wanted,
            f"{origin} auto: no Ray cluster was started on this machine",
            "`ray start --head` starts one; or name the head node: --ray-address HOST:PORT.",
        )
    return Finding("ray", wanted, f"{origin} {address} is no address", "Write auto or HOST:PORT.")


def _knock(place: tuple[str, int], origin: str, wanted: FindingState) -> Finding:
    host, port = place
    shown = f"{host}:{port}"
    try:
        socket.create_connection(place, timeout=KNOCK_SECONDS).close()
    except OSError as error:
        reason = f"nothing within {KNOCK_SECONDS:.0f} s" if isinstance(error, TimeoutError) else error.strerror or error
        return Finding(
            "ray",
            wanted,
            f"the cluster at {shown} ({origin}) does not answer: {reason}",
            "Is it started (`ray start --head` on its head node), and is the port open to this machine?",
        )
    return Finding("ray", "ok", f"the cluster's port answers at {shown}")


def _nodes(place: tuple[str, int]) -> Iterator[Finding]:
    """Ray's own report on the cluster, from a process that can be left behind."""
    shown = f"{place[0]}:{place[1]}"
    # ray.init takes a token that lies there by itself; `ray status` has to be told.
    mode = os.environ.get("RAY_AUTH_MODE") or ("token" if _has_token() else "disabled")
    command = [sys.executable, "-P", "-c", _STATUS_CODE, "status", f"--address={shown}"]
    answer = ask(command, STATUS_SECONDS, RAY_AUTH_MODE=mode)
    if answer.code is None:
        yield Finding(
            "ray",
            "note",
            f"the cluster at {shown} tells nothing of its nodes within {STATUS_SECONDS:.0f} s",
            f"`ray status --address={shown}` says more.",
        )
    elif not answer.is_good:
        text = answer.out + answer.err
        is_refused = re.search(r"token|authenti|unauthori", text, re.IGNORECASE) is not None
        yield Finding(
            "ray",
            "problem" if is_refused else "note",
            f"the cluster at {shown} does not let this machine in" if is_refused else f"no cluster answers at {shown}",
            "Bring the head node's token (`ray get-auth-token` shows it) into RAY_AUTH_TOKEN or ~/.ray/auth_token, or "
            "name its file with RAY_AUTH_TOKEN_PATH."
            if is_refused
            else f"Is that the port of Ray's head node? `ray status --address={shown}` says more.",
        )
    else:
        usage = [" ".join(line.split()) for line in answer.out.splitlines() if re.match(r"\s*[\d.]+/[\d.]+ ", line)]
        active = answer.out.partition("Active:")[2].partition("Pending:")[0]
        nodes = sum(int(count) for count in re.findall(r"^\s*(\d+) \S", active, re.MULTILINE))
        count = f"{nodes} node{'s' if nodes != 1 else ''}" if nodes else "nodes unknown"
        resources = [line for line in usage if line.split()[-1] in ("CPU", "GPU")]
        yield Finding("ray", "ok", ", ".join([count, *(f"{line} in use" for line in resources)]))


def _token(host: str, wanted: FindingState) -> Iterator[Finding]:
    """Whether this machine has the token that a cluster asks for."""
    mode = os.environ.get("RAY_AUTH_MODE", "").lower()
    named, file, has_token = os.environ.get("RAY_AUTH_TOKEN_PATH"), _token_file(), _has_token()
    if named and not os.environ.get("RAY_AUTH_TOKEN") and not has_token:
        yield Finding(
            "ray",
            wanted,
            f"RAY_AUTH_TOKEN_PATH names {file}, where no token can be read",
            "Copy the head node's token there, readable for you alone (chmod 600).",
        )
    elif mode == "token" and not has_token:
        yield Finding(
            "ray",
            wanted,
            f"RAY_AUTH_MODE=token, but no token is in RAY_AUTH_TOKEN or {file}",
            "Copy the head node's token there (`ray get-auth-token` shows it), readable for you alone.",
        )
    elif has_token and mode in ("", "token"):
        yield Finding("ray", "ok", "a token is there")
    elif host not in ("127.0.0.1", "localhost", "::1"):
        yield Finding(
            "ray",
            "note",
            f"no token guards the way to {host}: who reaches its ports can run programs there",
            "Start the cluster with RAY_AUTH_MODE=token (`ray get-auth-token --generate`), or keep its network closed.",
        )


def _token_file() -> Path:
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()


def _has_token() -> bool:
    if os.environ.get("RAY_AUTH_TOKEN"):
        return True
    try:
        return bool(_token_file().read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError):
        return False
