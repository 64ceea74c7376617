"""A tracking server, asked over HTTP as MLflow's client asks it: does it answer, let us in, and take what runs send?"""

from __future__ import annotations

import base64
import configparser
import http.client
import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit, urlunsplit

from harness.store.checkup import Finding
from harness.tracking.stores import StoreAddress

SECONDS = 5.0
_SEARCH = "/api/2.0/mlflow/experiments/search"
_QUESTION = b'{"max_results": 1}'
_LARGE_BYTES = 2 * 2**20
"""Twice what a proxy such as nginx takes unless it is told otherwise; files of a run are larger."""
_MOST_READ = 2**16


@dataclass(frozen=True)
class _Reply:
    """status: 0 where nothing answered; text: what came, or why nothing did."""

    status: int
    text: str


def check_server(address: StoreAddress) -> Iterator[Finding]:
    """What is found of the server at `address`; the first thing that does not work ends the look."""
    place, headers = _place(address)
    reply = _ask(place + _SEARCH, headers, _QUESTION, SECONDS)
    if reply.status != 200 or not _is_mlflow(reply.text):
        yield _refused(address, reply)
        return
    yield Finding("tracking", "ok", f"{address.shown}: the server answers")
    large = _ask(place + _SEARCH, headers, _QUESTION + b" " * _LARGE_BYTES, 2 * SECONDS)
    if large.status == 413:
        yield _refused(address, large)
    yield from _version(address, _ask(place + "/version", headers, None, SECONDS))


def _refused(address: StoreAddress, reply: _Reply) -> Finding:
    what, remedy = _words(reply)
    return Finding("tracking", "problem", f"{address.shown}: {address.scrub(what)}", remedy)


def _words(reply: _Reply) -> tuple[str, str]:
    """What is wrong and what to do."""
    match reply.status:
        case 0:
            return (
                f"the server does not answer: {reply.text}",
                "Is it started, and is its port open to this machine? Runs train without it; `harness sync FILE` "
                "catches up.",
            )
        case 401:
            return (
                "the server asks who you are (401)",
                "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.",
            )
        case 403 if "host header" in reply.text.lower():
            return (
                "the server does not know itself by this name (403, Invalid Host header)",
                "Start it with --allowed-hosts and this name and port, or use its address by number.",
            )
        case 403:
            return (
                "the server knows you and refuses (403)",
                "Ask its administrator for the right to read and make experiments; a proxy in between may refuse, too.",
            )
        case 404:
            return (
                "something answers there that is no tracking server (404)",
                "Check host, port and path of the address.",
            )
        case 413:
            return (
                f"the server, or a proxy before it, refuses requests of {_LARGE_BYTES // 2**20} MiB (413)",
                "Raise the proxy's limit (nginx: client_max_body_size 0), else files of runs do not arrive.",
            )
        case 200:
            return (
                "something answers there that is no tracking server",
                "Check host, port and path of the address; a page to log in may lie before it.",
            )
        case status if status >= 500:
            return (
                f"the server answers with the error {status}",
                "Its log says why: often its database is away or of another version (`mlflow db upgrade`).",
            )
    return f"the server answers with the status {reply.status}", "Check host, port and path of the address."


def _version(address: StoreAddress, reply: _Reply) -> Iterator[Finding]:
    theirs = reply.text.strip()
    try:
        ours = metadata.version("mlflow")
        major, minor = (int(part) for part in theirs.split(".")[:2])
        our_major, our_minor = (int(part) for part in ours.split(".")[:2])
    except (metadata.PackageNotFoundError, ValueError):
        return
    if reply.status != 200:
        return
    if (major, minor) == (our_major, our_minor):
        yield Finding("tracking", "ok", f"the server has MLflow {theirs}, as here")
    elif major != our_major:
        yield Finding(
            "tracking",
            "problem",
            f"the server has MLflow {theirs}, here is {ours}: what runs send is not understood by both",
            "Bring both to one release.",
        )
    else:
        yield Finding(
            "tracking", "note", f"the server has MLflow {theirs}, here is {ours}", "Best, both are of one release."
        )


class _Redirects(urllib.request.HTTPRedirectHandler):
    """A login goes to no other host, and not from https to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if new is not None and (before.hostname != after.hostname or after.scheme not in (before.scheme, "https")):
            new.remove_header("Authorization")
        return new


def _ask(url: str, headers: dict[str, str], body: bytes | None, seconds: float) -> _Reply:
    request = urllib.request.Request(url, data=body, headers=headers)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=_security()), _Redirects())
    try:
        with opener.open(request, timeout=seconds) as response:
            return _Reply(response.status, _text(response))
    except urllib.error.HTTPError as error:
        with error:
            return _Reply(error.code, _text(error))
    except TimeoutError:
        return _Reply(0, f"nothing within {seconds:.0f} s")
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, TimeoutError):
            return _Reply(0, f"nothing within {seconds:.0f} s")
        return _Reply(0, str(getattr(reason, "strerror", None) or reason))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _Reply(0, str(error) or type(error).__name__)


def _text(response: http.client.HTTPResponse | urllib.error.HTTPError) -> str:
    try:
        return response.read(_MOST_READ).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""


def _is_mlflow(text: str) -> bool:
    """Whether this is what the search for experiments gives: `{}` where there are none."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _place(address: StoreAddress) -> tuple[str, dict[str, str]]:
    """The address without user and password, and the headers that say who asks."""
    parts = urlsplit(address.uri)
    _, at, host = parts.netloc.rpartition("@")
    place = urlunsplit((parts.scheme, host, parts.path, "", "")).rstrip("/")
    headers = {"Content-Type": "application/json"}
    user, password = _known_to_mlflow()
    if at and parts.username:
        user, password = unquote(parts.username), unquote(parts.password or "")
    if user and password:
        word = base64.b64encode(f"{user}:{password}".encode()).decode()
        headers["Authorization"] = f"Basic {word}"
    elif token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    return place, headers


def _known_to_mlflow() -> tuple[str | None, str | None]:
    """User and password where MLflow's client looks for them: variables, then ~/.mlflow/credentials."""
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD"))
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(Path("~/.mlflow/credentials").expanduser(), encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError):
        return user, password
    kept = parser["mlflow"] if parser.has_section("mlflow") else {}
    return user or kept.get("mlflow_tracking_username"), password or kept.get("mlflow_tracking_password")


def _security() -> ssl.SSLContext:
    """What MLflow's client trusts."""
    own = os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or os.environ.get("REQUESTS_CA_BUNDLE")
    own = own or os.environ.get("CURL_CA_BUNDLE")
    if not own and find_spec("certifi"):
        own = str(import_module("certifi").where())  # as requests, through which MLflow's client asks
    context = ssl.create_default_context(cafile=own if own and Path(own).is_file() else None)
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
