"""A few trials of MLflow being away and of several commands at once; `python -m tests.faults tracking` does many."""

from __future__ import annotations

import os

import pytest

from tests.faults import together, tracking
from tests.faults.subject import Reference
from tests.faults.trial import Outcome, carry_out

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

FAULTS = (
    "MLflow server dies in the middle",
    "MLflow's store deleted between two calls",
    "two `harness run` on one file at once",
    "two at once where a killed one left its locks",
)


@pytest.fixture(scope="module")
def outcomes(fault_reference: Reference) -> dict[str, Outcome]:
    """One trial of each fault, several at a time: much of each is waiting."""
    trials = [*tracking.trials(10, fault_reference), *together.trials(15, fault_reference)]
    chosen = [trial for trial in trials if trial.fault in FAULTS and trial.number == 0]
    return {outcome.trial.fault: outcome for outcome in carry_out(chosen, seed=0, jobs=1 + (os.cpu_count() or 1))}


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost(fault: str, outcomes: dict[str, Outcome]) -> None:
    assert outcomes[fault].hit and not outcomes[fault].lost, (outcomes[fault].lost, outcomes[fault].folder)
