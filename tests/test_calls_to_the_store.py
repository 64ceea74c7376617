"""How often a projection asks the store: for thousands of runs the number of questions per run is what counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tracking_data import Laboratory, assert_mirrors, small_experiment

from harness.tracking.projection import is_up_to_date, project, project_and_finish
from harness.tracking.stores import StoreAddress

pytest_plugins = ["tracking_fixtures"]

PER_NEW_RUN = 8
"""Of a run with files, points, data sets and one logged model, however many files and points."""


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Calls of MlflowClient inside the block, by name."""
    from mlflow.tracking import MlflowClient

    calls: Counter[str] = Counter()

    def counting(name: str) -> Any:
        real = getattr(MlflowClient, name)

        def call(self: MlflowClient, *arguments: Any, **options: Any) -> Any:
            calls[name] += 1
            return real(self, *arguments, **options)

        return call

    with monkeypatch.context() as patched:
        for name in [name for name in dir(MlflowClient) if not name.startswith("_") and name != "tracking_uri"]:
            patched.setattr(MlflowClient, name, counting(name))
        yield calls


def test_a_new_run_takes_few_calls(lab: Laboratory, address: StoreAddress, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.experiment = small_experiment(seeds=tuple(range(4)))
    runs = len(lab.plan.runs)
    lab.prepare()
    with counted(monkeypatch) as shared:
        project_and_finish(lab.view(), address, None)
    lab.complete(*range(runs))
    with counted(monkeypatch) as calls:
        assert project_and_finish(lab.view(), address, None).changed == runs
    assert calls.total() - shared.total() <= PER_NEW_RUN * runs, calls
    assert calls["search_runs"] <= 3  # of all runs at once
    assert calls["log_artifacts"] <= runs + 1
    assert_mirrors(lab)


def test_what_is_there_is_asked_for_once(
    lab: Laboratory, address: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many runs: one look at all of them, and none where the cursors say all there is to know."""
    lab.complete(0, 1, 2, 3)
    project_and_finish(lab.view(), address, None)
    with counted(monkeypatch) as calls:
        assert is_up_to_date(lab.view(), address)
        assert not calls
        assert project_and_finish(lab.view(), address, None).changed == 0
        assert calls["search_runs"] == 2  # parents, children
        assert calls.total() <= 5, calls


def test_a_run_that_goes_on_takes_few_calls(
    lab: Laboratory, address: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.prepare()
    lab.start(0)
    with lab.running(0):
        lab.train(0, 20)
        project(lab.view(), address)
        lab.train(0, 40)
        lab.measure(0)
        with counted(monkeypatch) as calls:
            project(lab.view(), address)
    assert calls.total() <= 7, calls
    assert calls["log_batch"] == calls["log_artifacts"] == 1
