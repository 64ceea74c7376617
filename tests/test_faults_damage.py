"""A damaged file of any kind is named, mended, and changes no result: one trial of each kind, in this process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from tests.experiments import run_here
from tests.faults.damage import KINDS, in_this_process, trials
from tests.faults.subject import FILE, Reference
from tests.faults.trial import carry_out

pytestmark = pytest.mark.faults


def test_damage_of_every_kind_is_named_and_mended(fault_reference: Reference) -> None:
    """Truncations of every other kind and flipped bits in the rest; the whole campaign does both in all."""
    both = trials(2 * len(KINDS), fault_reference, in_this_process)
    chosen = [both[2 * index + index % 2] for index in range(len(KINDS))]
    outcomes = list(carry_out(chosen, seed=0, jobs=1))
    assert [f"{outcome.trial.fault}: {outcome.lost}" for outcome in outcomes if outcome.lost] == []


def test_the_campaign_does_as_many_truncations_as_flips(fault_reference: Reference) -> None:
    faults = [trial.fault for trial in trials(200, fault_reference)]
    assert sum(fault.startswith("truncation of") for fault in faults) == 100
    assert sum(fault.startswith("flipped bit in") for fault in faults) == 100
    tries = {fault: faults.count(fault) for fault in faults}
    assert len(tries) == 2 * len(KINDS) and max(tries.values()) - min(tries.values()) <= 1


@pytest.mark.parametrize("fault", ["flipped bit in a state", "truncation of records of attempts"])
def test_a_trial_fails_where_damage_is_not_looked_for(fault_reference: Reference, fault: str) -> None:
    """Without the thorough look the same trials lose something: they can fail."""

    def without_a_look(folder: Path, executor: Literal["local", "inline"]) -> str:
        run_here(folder / FILE)
        return ""

    (trial,) = [t for t in trials(2 * len(KINDS), fault_reference, without_a_look) if t.fault == fault]
    (outcome,) = carry_out([replace(trial, number=0)], seed=0, jobs=1)
    assert "is not named" in outcome.lost
