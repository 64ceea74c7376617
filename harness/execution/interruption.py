"""Signals that ask the whole command to stop: noted where states must be saved first, else obeyed at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupted(BaseException):
    """The command leaves at once; exit_code is 128 + the signal's number.

    No KeyboardInterrupt, which the command line's library would turn into an exit code of its own.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


class Interruption:
    """While entered, the first SIGINT, SIGTERM or SIGHUP is noted; calling the object tells whether one came.

    A second one, or one inside `at_once`, raises Interrupted.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._at_once = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interruption:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def __call__(self) -> bool:
        return self.signal is not None

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
