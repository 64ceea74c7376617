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
import time
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

import torch

from harness.execution.assignment import Assignment, WorkResult
from harness.execution.interruption import SAVE_SIGNALS, SIGNALS, unblock_signals
from harness.execution.measure import LoadedExtractors
from harness.execution.worker import work_on
from harness.gan.training import make_deterministic

GRACE_S = 10.0
"""How long a process may take to save its state once it is asked to stop, or its parent is gone."""


@dataclass(frozen=True)
class Beat:
    """A worker's word that its work went on since its last beat."""


@dataclass(frozen=True)
class SaveState:
    """To a worker: write a state at the next step and go on."""


class Orders:
    """What this process was asked to do, by its parent or by signals; and the pulse of who keeps asking for it.

    Plain attributes, no threading.Event: a signal's handler may interrupt this very thread inside an Event's lock.
    """

    def __init__(self) -> None:
        self.stopping = False
        self.saving = False
        self.asked = 0

    def stop(self) -> bool:
        """Whether to leave. Asked at every step and batch, so that how often it was asked is how far the work got."""
        self.asked += 1
        return self.stopping

    def save(self) -> bool:
        """Whether a state was asked for since the last time that this was called."""
        wanted, self.saving = self.saving, False
        return wanted


class _Answers:
    """This side of the pipe, for the two threads that send: one message at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, message: WorkResult | Beat) -> None:
        with self._lock:
            self._connection.send(message)


def worker_process(
    connection: Connection, device: str, threads: int, beat_s: float = 1.0, gpu: str | None = None
) -> None:
    """Works on assignments until the pipe closes; answers each with a WorkResult.

    While work goes on it sends a Beat, at most one in `beat_s` seconds. gpu: the UUID of the one GPU that it sees.
    """
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # CUDA reads it when it starts, which nothing has made it do yet
    orders = Orders()
    inbox: queue.SimpleQueue[Assignment | None] = queue.SimpleQueue()
    _obey_signals(orders, inbox)
    torch.set_num_threads(threads)
    make_deterministic(torch.device(device))
    logging.getLogger("harness").propagate = False  # to the run's log.txt alone, not into the parent's display
    answers = _Answers(connection)
    threading.Thread(target=_listen, args=(connection, inbox, orders), daemon=True).start()
    threading.Thread(target=_beat, args=(answers, orders, beat_s), daemon=True).start()
    extractors = LoadedExtractors(torch.device(device))
    while not orders.stopping and (assignment := inbox.get()) is not None:
        result = work_on(replace(assignment, device=device), extractors, orders.stop, orders.save)
        try:
            answers.send(result)
        except OSError:
            return  # the parent is gone; the run's files say all


def _obey_signals(orders: Orders, inbox: queue.SimpleQueue[Assignment | None]) -> None:
    def leave(*_: object) -> None:
        orders.stopping = True
        inbox.put(None)  # wakes an idle worker

    def save(*_: object) -> None:
        orders.saving = True

    for number in SIGNALS:
        signal.signal(number, leave)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent says when to stop
    for number in SAVE_SIGNALS:
        signal.signal(number, save)
    unblock_signals()


def _listen(connection: Connection, inbox: queue.SimpleQueue[Assignment | None], orders: Orders) -> None:
    try:
        while (message := connection.recv()) is not None:
            if isinstance(message, SaveState):
                orders.saving = True
            else:
                inbox.put(message)
    except (EOFError, OSError):
        timer = threading.Timer(GRACE_S, os._exit, (1,))
        timer.daemon = True
        timer.start()
    orders.stopping = True
    inbox.put(None)


def _beat(answers: _Answers, orders: Orders, beat_s: float) -> None:
    """The first beat says that the process is up; a thread that stands still elsewhere sends no further one."""
    told = -1
    while True:
        asked = orders.asked
        if asked != told:
            try:
                answers.send(Beat())
            except OSError:
                return
            told = asked
        time.sleep(beat_s)
