"""Kills at named points and random moments lose nothing; and a trial that lost something, or hit nothing, is told."""

from __future__ import annotations

import importlib
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import __main__ as command_line
from tests.faults import kills
from tests.faults.points import GROUPS, Order, Point
from tests.faults.subject import Reference
from tests.faults.trial import NotHit, Row, Trial, carry_out, rows

Perform = Callable[[Path, random.Random], None]


@pytest.mark.faults
@pytest.mark.timeout(2400)
def test_twenty_kills_lose_nothing(fault_reference: Reference) -> None:
    trials = kills.trials(20, fault_reference)
    outcomes = list(carry_out(trials, seed=0, jobs=2))
    assert [f"{outcome.trial.fault}: {outcome.lost}" for outcome in outcomes if outcome.lost] == []
    assert sum(row.survived for row in rows(outcomes)) == 20


def test_few_trials_still_meet_every_group_and_every_victim() -> None:
    names = [trial.fault for trial in kills.trials(20, NO_REFERENCE)]
    for group in (*GROUPS, kills.RANDOM):
        assert any(name.endswith(f" {group.when}") for name in names)
    for victim in ("of a worker ", "of the command ", "of the command and its workers "):
        assert any(victim in name for name in names)


def test_many_trials_are_spread_evenly_and_differ() -> None:
    trials = kills.trials(200, NO_REFERENCE)
    tries: dict[str, int] = {}
    for trial in trials:
        tries[trial.fault] = tries.get(trial.fault, 0) + 1
    assert max(tries.values()) - min(tries.values()) <= 1
    assert len({(trial.fault, trial.number) for trial in trials}) == 200


@pytest.mark.parametrize("point", sorted({point for group in GROUPS for point in group.points}, key=str), ids=str)
def test_every_call_that_is_a_point_is_one_of_the_product(point: Point) -> None:
    module, _, name = point.target.partition(":")
    if "call" not in point.moment:
        assert not name
    elif module == "client":
        from mlflow.tracking import MlflowClient

        assert callable(getattr(MlflowClient, name))
    else:
        assert callable(getattr(importlib.import_module(module), name))


def test_an_order_reaches_the_command_as_it_was_given() -> None:
    order = Order(Point("half written", "*/run.json", 3), "worker", "both", 2, "/somewhere", 1.5)
    assert Order.of(order.text()) == order


def test_a_trial_that_hits_nothing_is_not_counted_as_survived() -> None:
    outcomes = list(carry_out([Trial("fault", 0, survives), Trial("fault", 1, hits_nothing)], seed=0, jobs=1))
    assert rows(outcomes) == [Row("fault", tries=1, survived=1, lost=0, not_hit=1)]


@pytest.mark.parametrize("number", range(2))
def test_a_lost_trial_is_counted_and_its_folder_kept(number: int) -> None:
    loses = (forgets_a_record, breaks)[number]
    (outcome,) = carry_out([Trial("fault", 0, loses)], seed=0, jobs=1)
    assert rows([outcome]) == [Row("fault", tries=1, survived=0, lost=1, not_hit=0)]
    assert outcome.folder and outcome.folder.is_dir()
    assert "in_this_trial" in outcome.lost
    outcome.folder.rmdir()


def test_trials_draw_the_same_numbers_for_the_same_seed() -> None:
    drawn: list[float] = []
    trials = [Trial("fault", number, lambda _, chance: drawn.append(chance.random())) for number in (0, 1)]
    for seed in (3, 3, 4):
        list(carry_out(trials, seed=seed, jobs=1))
    assert drawn[:2] == drawn[2:4]
    assert len(set(drawn)) == 4


@pytest.mark.parametrize(
    ("performs", "code", "figures"),
    [
        (["survives", "survives"], 0, "2 trials, 2 survived, 0 lost, 0 not hit"),
        (["survives", "forgets_a_record"], 1, "2 trials, 1 survived, 1 lost, 0 not hit"),
        (["survives", "hits_nothing"], 1, "2 trials, 1 survived, 0 lost, 1 not hit"),
        ([], 1, "0 trials, 0 survived, 0 lost, 0 not hit"),
    ],
)
def test_the_exit_code_is_0_only_where_every_fault_happened_and_nothing_was_lost(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    performs: list[str],
    code: int,
    figures: str,
) -> None:
    given = [Trial("fault", number, globals()[name]) for number, name in enumerate(performs)]
    monkeypatch.setattr(kills, "trials", lambda count, reference: given)
    monkeypatch.setattr(Reference, "make", lambda folder: NO_REFERENCE)
    assert command_line.main(["kills", "--count", str(len(performs))]) == code
    assert figures in capsys.readouterr().out.splitlines()[-1]


def test_the_command_explains_itself() -> None:
    command = [sys.executable, "-m", "tests.faults", "--help"]
    done = subprocess.run(command, cwd=kills.REPOSITORY, capture_output=True, text=True, check=True, timeout=60)
    for word in ("--count", "--seed", "kills", "exit 0 only if"):
        assert word in done.stdout


NO_REFERENCE = Reference(Path("no finished experiment"), Path("no store"))


def survives(folder: Path, chance: random.Random) -> None:
    assert folder.is_dir()


def hits_nothing(folder: Path, chance: random.Random) -> None:
    raise NotHit("nobody was there")


def forgets_a_record(folder: Path, chance: random.Random) -> None:
    in_this_trial = ["a record"]
    assert in_this_trial == []


def breaks(folder: Path, chance: random.Random) -> None:
    raise KeyError("in_this_trial")
