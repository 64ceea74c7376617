"""The worker process of the local executor: takes assignments from a pipe, answers through it, ends with it.

The pipe is also how the process knows that its parent lives: under a fork server the parent of a worker is the server,
which outlives a killed parent. When the pipe closes, or None comes, the run's state is saved and the process ends.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
from dataclasses import replace
from multiprocessing.connection import Connection

import torch

from harness.execution.assignment import Assignment
from harness.execution.measure import LoadedExtractors
from harness.execution.worker import work_on
from harness.gan.training import make_deterministic

GRACE_S = 10.0
"""How long a process may take to save its state once it is asked to stop, or its parent is gone."""


def worker_process(connection: Connection, device: str, threads: int) -> None:
    """Works on assignments until the pipe closes; answers each with a WorkResult."""
    torch.set_num_threads(threads)
    make_deterministic(torch.device(device))
    logging.getLogger("harness").propagate = False  # to the run's log.txt alone, not into the parent's display
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent says when to stop
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: stop.set())
    inbox: queue.SimpleQueue[Assignment | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, inbox, stop), daemon=True).start()
    extractors = LoadedExtractors(torch.device(device))
    while not stop.is_set() and (assignment := inbox.get()) is not None:
        result = work_on(replace(assignment, device=device), extractors, stop.is_set)
        try:
            connection.send(result)
        except OSError:
            return  # the parent is gone; the run's files say all


def _listen(connection: Connection, inbox: queue.SimpleQueue[Assignment | None], stop: threading.Event) -> None:
    try:
        while (message := connection.recv()) is not None:
            inbox.put(message)
    except (EOFError, OSError):
        timer = threading.Timer(GRACE_S, os._exit, (1,))
        timer.daemon = True
        timer.start()
    stop.set()
    inbox.put(None)
