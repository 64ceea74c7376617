"""What a tracking store says when it refuses, put so that a person knows what to do. Imports no mlflow."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from harness.errors import TrackingError
from harness.tracking.stores import StoreAddress

REMEDY = "Nothing is lost: the next `harness run FILE`, or `harness sync FILE`, brings the store up to date."
UPGRADE_SERVER = "Upgrade the server: copy its database, install mlflow>=3.17 there, `mlflow db upgrade URI`, start it."
_PACKAGES = {"psycopg": "gan-ablation-harness[postgresql]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
_LOGIN = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"


def explained(error: Exception, address: StoreAddress) -> TrackingError:
    """The error for whatever MLflow, its HTTP client or its database raised; without passwords."""
    text = address.scrub(str(error)).strip()
    if "failed with exception" in text or "failed with timeout exception" in text:
        return _broken_off(address, text)
    status = _http_status(error, text)
    if address.is_http and status is not None and (refused := _refusal(status, text, address)):
        return refused
    lines = text.splitlines() or [type(error).__name__]
    return TrackingError(f"MLflow: {lines[0][:500]}", where=address.shown, remedy=REMEDY)


def unreachable(address: StoreAddress, reason: str) -> TrackingError:
    return TrackingError(f"the tracking server does not answer: {reason}", where=address.shown, remedy=REMEDY)


def missing_package(error: ImportError, address: StoreAddress) -> TrackingError:
    """The error where a package is not there, or, as psycopg without its library, is there and does not load."""
    if error.name is None:
        what, name = f"the driver of this database does not load: {(str(error).splitlines() or [''])[0]}", "psycopg"
    else:
        what, name = f"a package that this store needs is not installed: {error.name}", error.name
    return TrackingError(what, where=address.shown, remedy=f'`pip install "{_PACKAGES.get(name, name)}"`')


def login_refused(address: StoreAddress, said: str) -> TrackingError | None:
    """The error where a database answers and does not let us in; None where it said something else."""
    reason = address.scrub(next((line for line in said.splitlines() if "FATAL" in line or "denied" in line), said))
    if re.search(r"no password supplied", said):
        what, remedy = "the database asks for a password", "Set PGPASSWORD, or write it into the address."
    elif re.search(r"(password|SASL|scram|md5) authentication failed|Access denied|role .* does not exist", said, re.I):
        what = f"the database refuses the name or the password: {reason.rpartition('FATAL:')[2].strip()[:200]}"
        remedy = (
            "Correct them in the address, where signs such as @ : / % are written %40 %3A %2F %25, or leave the "
            "password out of it and set PGPASSWORD."
        )
    elif re.search(r"database .* does not exist|Unknown database", said):
        what = reason.rpartition("FATAL:")[2].strip()[:200]
        remedy = "Make it first: `createdb NAME` as the same user."
    else:
        return None
    return TrackingError(what, where=address.shown, remedy=remedy)


def _http_status(error: Exception, text: str) -> int | None:
    """The status of the answer that an error tells of: MLflow's own errors carry it as text or as a code."""
    response = getattr(error, "response", None)  # of requests.HTTPError
    if response is not None:
        return int(response.status_code)
    if found := re.search(r"failed with error code (\d{3})", text):
        return int(found[1])
    known = {"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403}
    return known.get(str(getattr(error, "error_code", "")))


def _refusal(status: int, text: str, address: StoreAddress) -> TrackingError | None:
    """What an answer of the server, or of a proxy in front of it, means; None where its own words say more."""
    host = urlsplit(address.uri).netloc.rpartition("@")[2]
    if status == 401 and _has_login(address):
        what = "the tracking server refuses the name and password, or the token"
        remedy = f"Correct {_LOGIN}."
    elif status == 401:
        what, remedy = "the tracking server asks who this is", f"Set {_LOGIN}."
    elif status == 403 and "Invalid Host header" in text:
        what = f"the tracking server takes no requests for {host}"
        remedy = f"Start it with a longer list: `--allowed-hosts ...,{host}`, for instance in docker-compose.yml."
    elif status == 403:
        what = "the tracking server does not permit this"
        remedy = f"Ask its owner for the right to write experiments; who this is, {_LOGIN} say."
    elif status == 413:
        what = "a proxy in front of the tracking server takes no files of this size"
        remedy = f"Raise its limit (nginx: `client_max_body_size 0;`). {REMEDY}"
    else:
        return None
    return TrackingError(what, where=address.shown, remedy=remedy)


def _has_login(address: StoreAddress) -> bool:
    named = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
    return address.has_secret or any(os.environ.get(name) for name in named)


def _broken_off(address: StoreAddress, text: str) -> TrackingError:
    """What MLflow says repeats the address and nests its errors; the innermost reason is what helps."""
    if status := re.search(r"too many (\d+) error responses", text):
        what = f"the tracking server answers every request with the error {status[1]}"
        return TrackingError(what, where=address.shown, remedy=f"Its log says why. {REMEDY}")
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return TrackingError(
            "the certificate of the tracking server is not known here",
            where=address.shown,
            remedy="Set MLFLOW_TRACKING_SERVER_CERT_PATH to the file of the authority that signed it.",
        )
    if "timed out" in text or "timeout" in text:
        return unreachable(address, "nothing came in time")
    reason = re.search(r"(?:\[Errno -?\d+\] |Error\(\d+, ')([^'\")]+)", text)
    return unreachable(address, reason[1] if reason else text.rpartition("Caused by ")[2][:200])
