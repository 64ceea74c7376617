"""Makes files of figures in several processes at once: most of the time of a large report goes into them."""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import signal
import sys
import tempfile
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import FileIO
from typing import IO

from matplotlib.figure import Figure

from harness.report.figures.files import FigureFiles, figure_files

_PARENT_DEATH_SIGNAL = 1
"""prctl's PR_SET_PDEATHSIG."""
MOST_PROCESSES = 4
"""With the calling one: each may take a few hundred megabytes."""
AT_ONCE = 4
"""Figures that a process beside the calling one takes along, so that it is not idle while that one does other work."""
MOST_IN_TURN = 1000
"""Figures whose tickets a pipe takes at once, however small it is: 4096 bytes."""
_TICKET = 4
"""Bytes of a figure's number."""

Maker = Callable[[Figure, Mapping[str, str]], FigureFiles]


@dataclass(frozen=True)
class _Order:
    """number: from 0, as ordered."""

    number: int
    figure: Figure
    about: Mapping[str, str]
    make: Maker

    def files(self) -> FigureFiles:
        return self.make(self.figure, self.about)


@dataclass(frozen=True)
class _Helper:
    """A forked process. result: a file that it leaves the pickled files of its orders in, by their numbers."""

    pid: int
    result: IO[bytes]


@dataclass
class Press:
    """Takes figures in any order and gives their files in that order; which process made them changes no byte.

    processes: with the calling one. A forked process has the figures already, which a fresh one would have to load
    together with matplotlib. None is forked where another thread runs, which might hold a lock for ever in the copy.
    """

    processes: int
    make: Maker = figure_files
    _orders: dict[int, _Order] = field(default_factory=dict)
    _waiting: deque[_Order] = field(default_factory=deque)
    _helpers: list[_Helper] = field(default_factory=list)
    _made: dict[int, FigureFiles] = field(default_factory=dict)
    _ordered: int = 0

    def order(self, figure: Figure, about: Mapping[str, str], make: Maker | None = None) -> None:
        """As of `figure_files`, or of `make`; the figure is its own from now on."""
        order = _Order(self._ordered, figure, about, make or self.make)
        self._ordered += 1
        if self.processes == 1:
            self._made[order.number] = order.files()
            return
        self._orders[order.number] = order
        self._waiting.append(order)
        if self._may_hire():
            taken = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            self._helpers.append(_forked(taken))

    def files(self) -> list[FigureFiles]:
        """Of everything ordered so far."""
        try:
            while self._waiting:
                self._take_turns([self._waiting.popleft() for _ in range(min(MOST_IN_TURN, len(self._waiting)))])
            while self._helpers:
                self._await(self._helpers[0])
            for order in list(self._orders.values()):  # what a helper failed at: made, or told why it cannot be
                self._keep({order.number: order.files()})
        finally:
            self._dismiss()
        return [self._made[number] for number in range(self._ordered)]

    def _take_turns(self, orders: Sequence[_Order]) -> None:
        """Each process takes the next figure once it is done with one, so that none is idle before all are made."""
        tickets, sold = os.pipe()
        os.write(sold, b"".join(order.number.to_bytes(_TICKET) for order in orders))
        os.close(sold)  # who comes when all are taken reads the end
        with FileIO(tickets, "rb") as counter:
            mine = _in_turn(counter, self._orders)
            while True:
                while self._may_hire():
                    self._helpers.append(_forked(mine))
                order = next(mine, None)
                if order is None:
                    break
                self._keep({order.number: order.files()})

    def _keep(self, made: Mapping[int, FigureFiles]) -> None:
        self._made |= made
        for number in made:
            del self._orders[number]

    def _may_hire(self) -> bool:
        """Whether a core is idle, once those helpers are seen off that are done."""
        for helper in list(self._helpers):
            if os.waitid(os.P_PID, helper.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                self._await(helper)
        return len(self._helpers) < self.processes - 1 and threading.active_count() == 1

    def _await(self, helper: _Helper) -> None:
        """Takes what it made; nothing where it failed."""
        self._helpers.remove(helper)
        with helper.result:
            _, status = os.waitpid(helper.pid, 0)
            if status == 0:
                helper.result.seek(0)
                self._keep(pickle.load(helper.result))

    def _dismiss(self) -> None:
        """Ends helpers that nobody waits for any more, where this process was interrupted."""
        for helper in self._helpers:
            with suppress(ProcessLookupError):
                os.kill(helper.pid, signal.SIGKILL)
            os.waitpid(helper.pid, 0)
            helper.result.close()
        self._helpers.clear()


def press() -> Press:
    """With a process for each core that this one may use, up to four; one where processes cannot be forked safely."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1  # macOS's frameworks do not survive a fork
    return Press(min(cores, MOST_PROCESSES))


def _in_turn(counter: FileIO, orders: Mapping[int, _Order]) -> Iterator[_Order]:
    """Those of `orders` whose tickets this process draws; every other process that reads `counter` draws others."""
    while ticket := counter.read(_TICKET):
        yield orders[int.from_bytes(ticket)]


def _forked(orders: Iterable[_Order]) -> _Helper:
    result = tempfile.TemporaryFile()  # noqa: SIM115  # the press closes it
    caller = os.getpid()
    with warnings.catch_warnings():
        # Python 3.12 and later warn of any thread: those that are left belong to BLAS, which parks them at a fork.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return _Helper(pid, result)
    code = 1
    try:
        _end_with(caller)
        gc.freeze()  # a look at what is the calling process's would copy all its memory
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        pickle.dump({order.number: order.files() for order in orders}, result)
        result.flush()
        code = 0
    finally:
        os._exit(code)  # without anything that belongs to the calling process: its exit handlers, its output


def _end_with(caller: int) -> None:
    """Ends this process, which has the calling one's locks, too, when that one ends."""
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != caller:
        os._exit(1)
