"""A few trials of hard surroundings and of signals; `python -m tests.faults surroundings` and `signals` do hundreds."""

from __future__ import annotations

import sys

import pytest

from tests.faults.subject import Reference

if sys.platform == "win32":
    pytest.skip("Windows has neither these signals nor mounts", allow_module_level=True)

from tests.faults import signals, surroundings
from tests.faults.trial import carry_out

pytestmark = pytest.mark.faults

OFTEN = {
    "surroundings": ("full disk while training", "runs folder removed under way"),
    "signals": ("SIGUSR1 to its whole process group",),
}
"""What every run of the tests tries; the slow tier tries all."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("family", [surroundings, signals], ids=["surroundings", "signals"])
def test_a_trial_of_the_commonest_rows(fault_reference: Reference, family: object) -> None:
    _all_survive(family, fault_reference, 10, only=OFTEN[_name(family)])


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("family", [surroundings, signals], ids=["surroundings", "signals"])
def test_a_trial_of_every_row(fault_reference: Reference, family: object) -> None:
    _all_survive(family, fault_reference, 10)


def _all_survive(family: object, reference: Reference, count: int, only: tuple[str, ...] = ()) -> None:
    """Trials that nothing can be done to here, as mounting without being root, count neither way."""
    rows = {trial.fault: trial for trial in family.trials(count, reference)}  # type: ignore[attr-defined]
    chosen = [trial for fault, trial in rows.items() if not only or fault in only]
    assert len(chosen) == (len(only) or len(rows))
    outcomes = list(carry_out(chosen, seed=0, jobs=2))
    assert [f"{outcome.trial.fault}: {outcome.lost}" for outcome in outcomes if outcome.lost and outcome.hit] == []
    assert any(outcome.hit for outcome in outcomes)


def _name(family: object) -> str:
    return family.__name__.rsplit(".", 1)[-1]  # type: ignore[attr-defined,no-any-return]
