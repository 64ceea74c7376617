"""The process through which `harness run` speaks to Ray, prepared before ray is loaded. No ray at the top.

Ray ends the process that loses its cluster, waits for minutes for one that is not there, takes over SIGTERM and writes
to the terminal. So it gets a process of its own, whose output goes to a file and whose end is an error like any other.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import harness
from harness.errors import HarnessError
from harness.execution.devices import allow_determinism
from harness.execution.interruption import unblock_signals
from harness.execution.ray_messages import Errand, Refused
from harness.execution.spawning import quicken_memory

OUTPUT = "output.txt"
"""In the scratch folder: what Ray says in this process."""

START_REMEDY = (
    "Is it running, and is a node of it on this machine? `ray start --head` starts one, "
    "`ray start --address=HOST:PORT` joins it."
)
TOKEN_REMEDY = (
    "Put the cluster's token into RAY_AUTH_TOKEN, or its file's name into RAY_AUTH_TOKEN_PATH "
    "(default: ~/.ray/auth_token), with RAY_AUTH_MODE=token."
)

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_OTHER_VARIABLES = (
    "CUBLAS_WORKSPACE_CONFIG",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_TOP_PAD_",
)


def cluster_process(connection: Connection, errand: Errand) -> None:
    """Joins the cluster, or starts one, and works there until the pipe says so or closes."""
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C and a closed terminal reach the command alone, which says when to stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    unblock_signals()
    _redirect_output(errand.scratch / OUTPUT)
    _set_variables(errand)
    os.chdir(errand.scratch)  # Ray has workers import from its driver's current folder
    try:
        from harness.execution.ray_cluster import serve

        serve(connection, errand)
    except HarnessError as error:
        connection.send(Refused(error))
    except Exception as error:  # noqa: BLE001 - Ray raises errors of many kinds; the parent tells them, and ends
        words = (str(error).strip().splitlines() or [""])[0]
        connection.send(Refused(HarnessError(f"Ray: {type(error).__name__}: {words}", where="--executor ray")))
    finally:
        shutil.rmtree(errand.scratch, ignore_errors=True)  # a command that was killed cannot


def task_variables() -> dict[str, str]:
    """Variables of this process that tasks must have before they load torch."""
    names = (*_THREAD_VARIABLES, *_OTHER_VARIABLES)
    return {name: os.environ[name] for name in names if name in os.environ}


def _set_variables(errand: Errand) -> None:
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(errand.threads)))
    allow_determinism()
    quicken_memory()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if errand.address is not None:
        return
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "60")  # a busy machine takes longer than Ray waits
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray's word for: listen on the loopback address alone
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32))
    package = str(Path(harness.__file__).parents[1])
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (package, os.environ.get("PYTHONPATH"))))


def _redirect_output(path: Path) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
