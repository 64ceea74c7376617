"""Signals to the whole command: asked to stop, it saves states first; asked for a state, it writes one and goes on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
SAVE_SIGNALS = tuple(getattr(signal, name) for name in ("SIGUSR1",) if hasattr(signal, name))
"""Windows has none of these, and no SIGHUP."""

_HELPERS_ARE_DEAF_TO = (*(number for number in SIGNALS if number != signal.SIGINT), *SAVE_SIGNALS)
"""SIGINT they ignore themselves."""


class Interrupted(BaseException):
    """The command leaves at once; exit_code is 128 + the signal's number.

    No KeyboardInterrupt, which the command line's library would turn into an exit code of its own.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


class Interruption:
    """While entered, the first SIGINT, SIGTERM or SIGHUP is noted; calling the object tells whether one came.

    A second one, or one inside `at_once`, raises Interrupted. SIGUSR1 is noted too; `save` tells and forgets it.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._at_once = False
        self._saving = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interruption:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        for number in SAVE_SIGNALS:
            self._before[number] = signal.signal(number, self._note_save)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def __call__(self) -> bool:
        return self.signal is not None

    def save(self) -> bool:
        """Whether a state was asked for since the last time that this was called."""
        wanted, self._saving = self._saving, False
        return wanted

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""
        return 128 + (self.signal or signal.SIGINT)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """A block that leaves nothing half-done when it is broken off."""
        if self.signal is not None:
            raise Interrupted(self.signal)
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self._at_once or self.signal is not None:
            raise Interrupted(number)
        self.signal = number

    def _note_save(self, _number: int, _frame: FrameType | None) -> None:
        self._saving = True


@contextmanager
def signals_blocked(*, also_interrupts: bool = False) -> Iterator[None]:
    """Processes that are started in this block never see the signals above, unless they call `unblock_signals`.

    also_interrupts: nor SIGINT, for a process that would tell it with a traceback.

    A closed terminal, or a signal to the whole process group, must not end the helpers through which workers are
    started and watched. Signals to this process wait until the end of the block. On Windows nothing is to be done.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(
        signal.SIG_BLOCK, (*_HELPERS_ARE_DEAF_TO, *([signal.SIGINT] if also_interrupts else []))
    )
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock_signals() -> None:
    """In a process that was started inside `signals_blocked`, once its handlers are in place."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELPERS_ARE_DEAF_TO)
