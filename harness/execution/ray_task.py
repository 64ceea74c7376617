"""One run in a Ray task: the node is looked at, then the same work is done as in any worker process. No ray."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache

import torch

from harness.errors import HarnessError
from harness.execution.assignment import Assignment, WorkResult
from harness.execution.compile_cache import share_compile_cache
from harness.execution.measure import LoadedExtractors
from harness.execution.process import Orders
from harness.execution.ray_messages import Errand, Wishes
from harness.execution.ray_nodes import node_facts, node_probe, probe_arguments, refusal
from harness.execution.worker import work_on
from harness.gan.training import make_deterministic

BEAT_S = 0.5
UNHEARD_S = 30.0
"""After so long without an answer nobody is there any more: the run saves its state and ends."""

FIRST_ANSWER_S = 15.0

Tell = Callable[[int], Wishes | None]
"""Says how far the work got, and returns what is wished; None where nobody answered."""


def work_in_task(
    name: Callable[[], str], assignment: Assignment, errand: Errand, tell: Tell
) -> WorkResult | HarnessError:
    """Works on one run, as worker.work_on; a HarnessError where this node, `name` for people, may not work.

    A node may have joined since all were looked at, or lost its storage.
    """
    facts = node_facts("", node_probe()(*probe_arguments(errand)))
    if refusal([facts], errand):
        facts = replace(facts, node=name())  # which takes a question to the cluster
    if problem := refusal([facts], errand):
        return problem
    with suppress(OSError):  # what the file names relative to it is then not found, and told
        os.chdir(errand.folder)
    share_compile_cache()
    torch.set_num_threads(errand.threads)
    make_deterministic(torch.device(errand.device))
    logging.getLogger("harness").propagate = False  # to the run's log.txt alone
    orders = Orders()
    with _listening(orders, tell):
        if orders.stopping:
            return WorkResult("interrupted")
        return work_on(replace(assignment, device=errand.device), _extractors(errand.device), orders.stop, orders.save)


@cache
def _extractors(device: str) -> LoadedExtractors:
    """Of this process, which may work on one run after the other."""
    return LoadedExtractors(torch.device(device))


@contextmanager
def _listening(orders: Orders, tell: Tell) -> Iterator[None]:
    """A block in which wishes become orders; it begins once the first answer is there.

    In a thread of its own: Ray lends the cores of a task to others while its main thread waits for an answer.
    """
    ended, answered = threading.Event(), threading.Event()

    def listen() -> None:
        saves: int | None = None
        heard = time.monotonic()
        while True:
            wishes = tell(orders.asked)
            if wishes is not None:
                heard = time.monotonic()
                orders.stopping = orders.stopping or wishes.stop
                orders.saving = orders.saving or (saves is not None and wishes.saves > saves)
                saves = wishes.saves
            elif time.monotonic() - heard > UNHEARD_S:
                orders.stopping = True
            answered.set()
            if ended.wait(BEAT_S):
                return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    answered.wait(FIRST_ANSWER_S)
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=1.0)
