"""The probe takes the quickest of those that agree, and no other for a few percent."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from harness.evaluation.features import no_beat
from harness.evaluation.probe import HOPELESS, MARGIN, ROUNDS, Candidate, Probed, probe, why_not

INPUTS = torch.arange(1.0, 9.0).view(8, 1)
EXPECTED = 2 * INPUTS


class Machine:
    """A clock that only work moves: `rate` images a second, one for each round, the last for all further."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.calls: dict[str, int] = {}

    def candidate(self, name: str, *rates: float, batch_size: int = 4, factor: float = 2.0) -> Candidate:
        waiting: Iterator[float] = iter(rates)
        last = rates[-1]

        def network(batch: Tensor) -> Tensor:
            self.calls[name] = self.calls.get(name, 0) + 1
            if self.calls[name] > 1:  # the first call is the check
                self.seconds += len(batch) / next(waiting, last)
            return factor * batch

        return Candidate(name, batch_size, lambda: network)

    def probe(self, *candidates: Candidate, beat: Callable[[], None] = no_beat) -> Probed:
        return probe(candidates, INPUTS, EXPECTED, 1e-4, clock=lambda: self.seconds, beat=beat)


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_the_quickest_is_best_whatever_its_place(machine: Machine) -> None:
    found = machine.probe(
        machine.candidate("a", 10.0), machine.candidate("b", 20.0, batch_size=8), machine.candidate("c", 11.0)
    )
    assert found.best == "b"
    assert found.images_per_s == pytest.approx({"a": 10.0, "b": 20.0, "c": 11.0})


def test_a_few_percent_do_not_displace_an_earlier_one(machine: Machine) -> None:
    assert machine.probe(machine.candidate("a", 10.0), machine.candidate("b", 10.0 * (1 + MARGIN) - 0.01)).best == "a"
    other = Machine()
    assert other.probe(other.candidate("a", 10.0), other.candidate("b", 10.0 * (1 + MARGIN) + 0.01)).best == "b"


def test_one_slow_round_does_not_count(machine: Machine) -> None:
    found = machine.probe(machine.candidate("a", 10.0), machine.candidate("b", 9.0, 14.0, 2.0))
    assert found.best == "b" and found.images_per_s["b"] == pytest.approx(14.0)


def test_those_without_hope_are_timed_once(machine: Machine) -> None:
    machine.probe(machine.candidate("a", 10.0), machine.candidate("b", 10.0 * HOPELESS - 0.1))
    assert machine.calls == {"a": 1 + ROUNDS, "b": 1 + 1}


def test_what_disagrees_or_fails_is_refused_however_quick(machine: Machine) -> None:
    def absent() -> Callable[[Tensor], Tensor]:
        raise AttributeError("no such\n operation")

    def breaks(_batch: Tensor) -> Tensor:
        raise RuntimeError("out of memory " + "x" * 999)

    found = machine.probe(
        machine.candidate("wrong", 100.0, factor=2.001),
        Candidate("absent", 4, absent),
        Candidate("breaks", 4, lambda: breaks),
        machine.candidate("right", 1.0),
    )
    assert found.best == "right" and list(found.images_per_s) == ["right"]
    assert found.refused["absent"] == "AttributeError no such operation"
    assert "features are" in found.refused["wrong"] and len(found.refused["breaks"]) == 200
    assert machine.calls["wrong"] == 1


def test_nan_is_no_agreement() -> None:
    assert why_not(lambda: EXPECTED * float("nan"), EXPECTED, 1e-4) == "its features are nan off"
    assert why_not(lambda: EXPECTED, EXPECTED, 1e-4) is None


def test_where_no_one_agrees_there_is_no_best(machine: Machine) -> None:
    assert machine.probe(machine.candidate("wrong", 1.0, factor=3.0)).best is None


def test_who_watches_may_end_it_between_measurements(machine: Machine) -> None:
    beats = 0

    def beat() -> None:
        nonlocal beats
        beats += 1

    machine.probe(machine.candidate("a", 10.0), machine.candidate("b", 10.0), beat=beat)
    assert beats == 2 * (1 + ROUNDS)
