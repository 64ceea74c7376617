"""A worker process by itself: it obeys signals, says that it lives, and no more often than it should."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import threading
import time
from multiprocessing.connection import Connection

import pytest

from harness.execution.interruption import signals_blocked
from harness.execution.process import Beat, Orders, _Answers, _beat, _obey_signals, worker_process

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="Windows has no SIGUSR1")


@pytest.fixture
def worker() -> object:
    """A started worker and this side of its pipe; it was heard once."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=worker_process, args=(there, "cpu", 1, 0.05), daemon=True
    )
    with signals_blocked():
        process.start()
    there.close()
    assert isinstance(here.recv(), Beat)
    yield process, here
    process.kill()
    process.join()


Worker = tuple[multiprocessing.Process, Connection]


def test_an_idle_worker_stays_silent_and_survives_the_request_to_save(worker: Worker) -> None:
    process, here = worker
    os.kill(process.pid or 0, signal.SIGUSR1)
    assert not here.poll(0.5)
    assert process.is_alive()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_an_idle_worker_leaves_when_it_is_told_to(worker: Worker, name: str) -> None:
    process, _ = worker
    os.kill(process.pid or 0, getattr(signal, name))
    process.join(timeout=20)
    assert process.exitcode == 0


def test_signals_become_orders() -> None:
    """In this process, with its handlers given back afterwards."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in numbers}
    orders, inbox = Orders(), queue.SimpleQueue[None]()
    try:
        _obey_signals(orders, inbox)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert (orders.save(), orders.save()) == (True, False)
        assert not orders.stop()
        os.kill(os.getpid(), signal.SIGINT)  # the parent decides what Ctrl-C means
        assert not orders.stop()
        os.kill(os.getpid(), signal.SIGTERM)
        assert orders.stop()
        assert inbox.get(timeout=1) is None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_beats_follow_the_work_and_not_the_clock() -> None:
    here, there = multiprocessing.Pipe()
    orders = Orders()
    threading.Thread(target=_beat, args=(_Answers(there), orders, 0.05), daemon=True).start()
    here.recv()
    assert not here.poll(0.3)  # nobody asks: nothing goes on
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        orders.stop()
    beats = 0
    while here.poll(0.2):
        here.recv()
        beats += 1
    assert 1 <= beats <= 12
    here.close()
