"""What a person sees while runs go on: a live table on a terminal, a line per event elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Protocol, TextIO, cast

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harness.cli.console import duration, plain, say
from harness.design.expansion import Plan
from harness.execution.events import Event
from harness.store.records import Record

PROGRESS_EVERY_S = 60.0
"""How often a long run gets a line where there is no terminal."""


class Screen(Protocol):
    def observe(self, event: Event) -> None: ...


class _Deaf:
    """A stream whose terminal may go away: what cannot be written is dropped, and the work goes on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:
        return self._stream.encoding


@contextmanager
def display(plan: Plan, tracking_note: Callable[[], str]) -> Iterator[Screen]:
    """A screen for the runs of `plan`. tracking_note: what is to be told about MLflow, empty when all is well."""
    logging.getLogger("harness").propagate = False  # workers write it to their logs
    console = Console(stderr=True, file=cast(IO[str], _Deaf(sys.stderr)))
    if not console.is_terminal:
        yield LineScreen(tracking_note)
        return
    screen = LiveScreen(plan, console, tracking_note)
    with Live(get_renderable=screen.render, console=console, refresh_per_second=4, transient=True):
        yield screen


@dataclass
class _Row:
    """What the live table knows of one run."""

    steps: int
    cost: float = 0.0
    state: str = "waiting"
    step: int = 0
    started: float = 0.0
    record: Record | None = None
    measured: int = 0

    @property
    def share(self) -> float:
        """The part of the run that is done; the last tenth stands for its evaluations."""
        return 1.0 if self.state in ENDED else 0.9 * min(1.0, self.step / max(1, self.steps))


ENDED = frozenset({"finished", "diverged", "failed", "elsewhere"})


class LiveScreen:
    """A table of what works now, with counts of the rest, and the time left."""

    def __init__(self, plan: Plan, console: Console, tracking_note: Callable[[], str]) -> None:
        self._rows: dict[str, _Row] = {}
        self._console = console
        self._note = tracking_note
        self._name = plan.experiment.name
        self._started = time.monotonic()
        self._awaited = ""

    def observe(self, event: Event) -> None:
        if event.kind == "elsewhere":
            if event.text != self._awaited:
                self._console.print(Text(plain(_line(event))))
            self._awaited = event.text
            return
        if event.kind == "note":
            self._console.print(Text(plain(_line(event))))
            return
        row = self._rows.setdefault(event.run, _Row(event.steps))
        match event.kind:
            case "queued":
                row.steps, row.cost, row.state = event.steps, event.cost, "waiting"
            case "started":
                row.state, row.started, row.step = "training", time.monotonic(), event.step
            case "progress":
                row.step, row.record = event.step, event.record
            case "measured":
                row.measured = event.step
                row.state = "measuring" if row.step >= row.steps - 1 else row.state
            case "died":
                row.state = "waiting"
                self._console.print(Text(plain(_line(event))))
            case "finished":
                row.state, row.step = event.outcome, event.step
                self._console.print(Text(plain(_line(event))))

    def render(self) -> Group:
        table = Table(box=None, pad_edge=False)
        for name in ("run", "state", "step", "steps/s", "loss G", "loss D"):
            table.add_column(name, justify="left" if name in ("run", "state") else "right")
        active = {name: row for name, row in self._rows.items() if row.state in ("training", "measuring")}
        room = max(3, self._console.height - 6)
        for name, row in list(active.items())[:room]:
            record = row.record or {}
            table.add_row(
                Text(plain(name)),
                row.state,
                f"{row.step}/{row.steps}",
                _rate(row),
                *(f"{record[key]:.3f}" if key in record else "" for key in ("loss/generator", "loss/discriminator")),
            )
        return Group(table, Text(plain(self._summary())))

    def _summary(self) -> str:
        states = [row.state for row in self._rows.values()]
        done = sum(state in ENDED for state in states)
        waiting = states.count("waiting")
        left = self._time_left()
        parts = [f"{self._name}: {done}/{len(states)} runs done, {waiting} waiting"]
        parts += [f"about {duration(left)} left"] if left is not None else []
        parts += [self._note()] if self._note() else []
        return " · ".join(parts)

    def _time_left(self) -> float | None:
        """From the share of the expected cost that is done; None before there is anything to go by."""
        total = sum(row.cost for row in self._rows.values())
        done = sum(row.cost * row.share for row in self._rows.values())
        elapsed = time.monotonic() - self._started
        return elapsed * (total - done) / done if done > 0.01 * total and elapsed > 3 else None


class LineScreen:
    """A line per event on stderr; long runs get one a minute."""

    def __init__(self, tracking_note: Callable[[], str]) -> None:
        self._note = tracking_note
        self._told = ""
        self._awaited = ""
        self._last: dict[str, float] = {}

    def observe(self, event: Event) -> None:
        if self._is_due(event):
            say(_line(event))
        if self._note() != self._told:
            self._told = self._note()
            say(self._told or "MLflow is up to date again")

    def _is_due(self, event: Event) -> bool:
        """Whether an event gets a line: waiting only when it is for other runs, progress once a minute."""
        now = time.monotonic()
        match event.kind:
            case "queued" | "measured":
                return False
            case "elsewhere":
                before, self._awaited = self._awaited, event.text
                return event.text != before
            case "progress" if now - self._last.setdefault(event.run, now) < PROGRESS_EVERY_S:
                return False
            case "started" | "progress":
                self._last[event.run] = now
        return True


def _line(event: Event) -> str:
    at = f"step {event.step}/{event.steps}"
    match event.kind:
        case "started":
            return f"started   {event.run}" + (f" from {at}" if event.step else "")
        case "progress":
            losses = ", ".join(
                f"{name} {value:.3f}" for name, value in event.record.items() if name.startswith("loss/")
            )
            return f"training  {event.run}: {at}, {losses}"
        case "died":
            return f"died      {event.run} at {at}: {event.text}; it goes on from its last state"
        case "elsewhere":
            return f"waiting for another process: {event.text}"
        case "finished":
            reason = f": {event.text}" if event.text else ""
            return f"{event.outcome:<9} {event.run}, {at}{reason}"
        case _:
            return event.text


def _rate(row: _Row) -> str:
    """Steps per second of the last log interval."""
    if not row.record or not row.record.get("seconds"):
        return ""
    return f"{row.record['n'] / row.record['seconds']:.1f}"
