"""Which changes between attempts count, since when bits are not promised, and which parts of two keys differ."""

from __future__ import annotations

import pytest

from harness.design import keys
from harness.design.differences import Difference, differences
from harness.design.experiment import DataSettings
from harness.design.factors import Hyperparameters
from harness.store.attempts import Attempt
from harness.store.changes import BIT_RELEVANT, attempt_reports, end_of_promise

MACHINE = {"torch": "2.15.0", "device": "cpu", "threads": 1, "harness": "0.1.0", "host": "here"}


def attempt(start: int, end: int | None, **machine: object) -> Attempt:
    outcome = None if end is None else "finished"
    return Attempt({**MACHINE, **machine}, 1.0, start, outcome=outcome, ended=end and 2.0, end_step=end)


def test_only_what_changes_bits_is_a_change() -> None:
    first, second = attempt_reports([attempt(0, 10), attempt(10, 20, host="there", python="3.12")])
    assert first.changes == second.changes == ()
    assert end_of_promise([first, second]) is None


@pytest.mark.parametrize("name", BIT_RELEVANT)
def test_each_change_ends_the_promise_from_its_attempt_on(name: str) -> None:
    reports = attempt_reports([attempt(0, 10), attempt(10, 20, **{name: "other"}), attempt(20, 30)])
    assert [report.changes for report in reports[1:]] == [
        (Difference(name, str(MACHINE[name]), "other"),),
        (Difference(name, "other", str(MACHINE[name])),),
    ]
    found = end_of_promise(reports)
    assert found
    assert found[0].number == 2  # going back does not mend it


def test_an_attempt_that_left_no_step_behind_ends_no_promise() -> None:
    killed_at_once = attempt(10, None, torch="1.0")
    measured = Attempt({**MACHINE, "torch": "1.1"}, 1.0, 20, "finished", 2.0, 20, work="evaluate")
    reports = attempt_reports([attempt(0, 10), killed_at_once, attempt(10, 20), measured])
    assert [report.end_step for report in reports] == [10, 10, 20, 20]
    assert reports[1].changes == (Difference("torch", "2.15.0", "1.0"),)
    assert end_of_promise(reports) is None


def test_an_attempt_that_still_works_counts() -> None:
    found = end_of_promise(attempt_reports([attempt(0, 10), attempt(10, None, threads=2)]))
    assert found
    assert (found[0].number, found[1]) == (2, (Difference("threads", "1", "2"),))


def test_an_attempt_that_names_no_machine_is_passed_over() -> None:
    nameless = Attempt({}, 1.0, 10, "failed", 1.0, 10)
    reports = attempt_reports([attempt(0, 10), nameless, attempt(10, 20, threads=2)])
    assert reports[1].changes == ()
    assert reports[2].changes == (Difference("threads", "1", "2"),)


def test_differences_spell_values_alike_and_name_what_is_absent() -> None:
    found = differences({"a": 1, "b": (0.5, 0.9), "c": "x"}, {"a": 2, "b": [0.5, 0.9], "d": True})
    assert [str(difference) for difference in found] == [
        "a 1 -> 2",
        "c x -> not recorded",
        "d not recorded -> true",
    ]


def test_parts_of_keys_that_differ_use_the_alias_where_its_fields_went_together() -> None:
    data = DataSettings()
    before = keys.key_parts(Hyperparameters(generator_hidden_dim=8, discriminator_hidden_dim=8), 0, data, 100, {})
    after = keys.key_parts(Hyperparameters(latent_dim=5, generator_lr=1e-3), 0, DataSettings(source="mnist"), 100, {})
    found = [str(difference) for difference in keys.key_differences(before, after)]
    assert sorted(found) == sorted([
        "latent_dim 100 -> 5", "hidden_dim 8 -> 16", "generator_lr 0.0002 -> 0.001", "data.source digits -> mnist",
    ])  # fmt: skip
    assert keys.key_differences(before, before) == ()


def test_a_raised_training_version_is_a_part_that_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys.key_parts(Hyperparameters(), 0, DataSettings(), 100, {})
    key = keys.run_key(Hyperparameters(), 0, DataSettings(), 100, {})
    monkeypatch.setattr(keys, "TRAINING_VERSION", 2)
    after = keys.key_parts(Hyperparameters(), 0, DataSettings(), 100, {})
    assert [str(difference) for difference in keys.key_differences(before, after)] == ["training_version 1 -> 2"]
    assert keys.run_key(Hyperparameters(), 0, DataSettings(), 100, {}) != key
