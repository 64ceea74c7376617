"""What is known of the tasks in a Ray cluster: an actor that they tell how far they are, and who hangs. No ray."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.execution.assignment import Assignment
from harness.execution.ray_messages import Pulse, Wishes

STARTING = -1
"""How far a task is that loads torch and looks at the storage."""
START_S = 60.0
"""What that may take beyond the stall timeout."""


class Board:
    """An actor: tasks tell it how far they are and read what is wished; the command reads and writes the other way."""

    def __init__(self) -> None:
        self._pulses: dict[int, Pulse] = {}
        self._wishes = Wishes()

    def tell(self, pulse: Pulse) -> Wishes:
        self._pulses[pulse.ticket] = pulse
        return self._wishes

    def look(self, wishes: Wishes) -> list[Pulse]:
        """Pulses since the last look."""
        self._wishes = wishes
        pulses, self._pulses = list(self._pulses.values()), {}
        return pulses


@dataclass
class Flight:
    """A task that was handed to Ray. pulse: its newest; silent_s: since when its work did not go on; stalled: it is to
    be killed for that."""

    ticket: int
    assignment: Assignment
    pulse: Pulse | None = None
    silent_s: float = 0.0
    stalled: bool = False

    @property
    def is_starting(self) -> bool:
        """Whether its process was heard, and not yet its work."""
        return self.pulse is not None and self.pulse.asked == STARTING

    def feel(self, pulse: Pulse | None, passed_s: float) -> None:
        """pulse: since the last look, `passed_s` ago, if any."""
        before = self.pulse
        goes_on = pulse is not None and (before is None or pulse.asked != before.asked)
        if before is not None or pulse is not None:
            self.silent_s = 0.0 if goes_on else self.silent_s + passed_s
        self.pulse = pulse or before


def feel_all(
    flights: Iterable[Flight], pulses: Iterable[Pulse], passed_s: float, stall_timeout_s: float
) -> tuple[list[Flight], list[Flight]]:
    """Takes in pulses since the last look; returns the flights that have begun, and those that stall, since then."""
    by_ticket = {pulse.ticket: pulse for pulse in pulses}
    begun, stalled = [], []
    for flight in flights:
        waited = flight.pulse is None
        flight.feel(by_ticket.get(flight.ticket), passed_s)
        if waited and flight.pulse:
            begun.append(flight)
        patience_s = stall_timeout_s + (START_S if flight.is_starting else 0.0)
        if flight.silent_s > patience_s and not flight.stalled:
            flight.stalled = True
            stalled.append(flight)
    return begun, stalled
