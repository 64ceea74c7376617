"""Projection into a real SQLite store: one point per (run, metric, step) after any history, nothing left RUNNING."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tracking_data import (
    Laboratory,
    artifact_folder,
    assert_mirrors,
    children,
    database,
    parents,
    small_experiment,
    stored_runs,
)

from harness.design.factors import canonical_level, levels_of
from harness.errors import StoreError
from harness.store import atomic
from harness.store.rundir import ExperimentDirectory
from harness.tracking import children as writing
from harness.tracking.connection import connected
from harness.tracking.projection import finish, is_up_to_date, project
from harness.tracking.stores import StoreAddress

pytest_plugins = ["tracking_fixtures"]


def test_a_run_is_projected_once_with_everything_that_it_is(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0, 1, 2, 3)
    done = project(lab.view(), address)
    assert (done.runs, done.changed, done.rebuilt) == (4, 4, 0)
    assert done.points == sum(len(lab.expected_points(index)) for index in range(4))
    finish(lab.view(), address, None)
    again = project(lab.view(), address)
    assert (again.runs, again.changed, again.points) == (4, 0, 0)
    stored = assert_mirrors(lab)
    (parent,) = parents(database(lab))
    view = lab.view().runs[2]
    run = stored[view.run.key]
    assert run.name == "latent_dim=7 seed 0"
    assert run.status == "FINISHED"
    assert run.tags["mlflow.parentRunId"] == parent.run_id
    assert run.tags["harness.state"] == "complete"
    assert view.protocols[0] is not None
    assert run.tags["harness.protocol.digits"] == view.protocols[0].sha256
    levels = levels_of(view.run.cell.hyperparameters)
    assert run.params == {
        **{name: canonical_level(level) for name, level in levels.items()},
        **{"seed": "0", "data.source": "digits", "data.split": "train", "data.channels": "1"},
    }
    times = {(key, step): timestamp for key, step, _, timestamp in run.points}
    last = view.metrics()[-1]
    assert times["loss/generator", last["step"]] == times["eval/fid.digits", last["step"]] == round(last["time"] * 1e3)
    assert "| baseline | 2/2 complete | 4 (n = 2) |" in parent.tags["mlflow.note.content"]  # of 3.5 and 4.5


def test_steps_are_added_as_they_are_committed_and_statuses_follow(lab: Laboratory, address: StoreAddress) -> None:
    lab.prepare()
    lab.start(0)
    with lab.running(0):
        project(lab.view(), address)
        lab.train(0, 20)
        first = project(lab.view(), address)
        lab.measure(0, repeats=1)  # of three: waits until the run has all of them
        assert project(lab.view(), address).points == 0
        lab.measure(0)
        assert project(lab.view(), address).points == 3
        assert children(database(lab))[lab.plan.runs[0].key].status == "RUNNING"
        assert parents(database(lab))[0].status == "RUNNING"
        lab.train(0, 40)
        lab.measure(0)
    lab.end(0, "finished")
    lab.start(1)
    lab.train(1, 20)
    lab.end(1, "diverged", "the loss is not finite")
    lab.start(2)
    lab.end(2, "failed", "no memory")
    lab.start(3)
    lab.train(3, 20)
    lab.end(3, "interrupted")
    done = project(lab.view(), address)
    assert first.points > 0 and done.rebuilt == 0
    stored = assert_mirrors(lab)
    statuses = [stored[run.key].status for run in lab.plan.runs]
    assert statuses == ["FINISHED", "FINISHED", "FAILED", "KILLED"]
    assert stored[lab.plan.runs[1].key].tags["harness.state"] == "diverged"
    assert stored[lab.plan.runs[1].key].tags["harness.reason"] == "the loss is not finite"
    assert parents(database(lab))[0].status == "FINISHED"


def test_deaths_at_every_call_to_the_store_leave_no_point_twice(
    lab: Laboratory, address: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies in the middle of projecting, at another place each time, and the run goes on in between."""
    from mlflow.tracking import MlflowClient

    class Died(BaseException):
        """Like SIGKILL: nothing in the code gets to handle it."""

    left = 0

    def mortal(name: str) -> Callable[..., Any]:
        real = getattr(MlflowClient, name)

        def call(self: MlflowClient, *args: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Died
            answer = real(self, *args, **options)
            if left < 0:
                return answer
            left -= 1
            if left == 0:
                raise Died  # the store did it, and nobody here knows
            return answer

        return call

    for name in ("create_run", "log_batch", "log_artifacts", "set_terminated", "create_logged_model", "log_outputs"):
        monkeypatch.setattr(MlflowClient, name, mortal(name))
    lab.prepare()
    lab.start(0)
    deaths = 0
    for phase in ("begun", "trained", "finished"):
        step = 20 if phase == "begun" else 40
        lab.train(0, step)
        lab.measure(0)
        if phase == "finished":
            lab.end(0, "finished")  # from here on with logged models
        for calls in range(1, 40):
            left = calls
            try:
                project(lab.view(), address)
                break
            except Died:
                deaths += 1
            if calls in (4, 6) and phase == "trained":
                lab.roll_back(0)  # and what had been logged of those steps is trained again, at another time
                lab.train(0, 40)
                lab.measure(0)
    left = 0
    project(lab.view(), address)
    finish(lab.view(), address, None)
    assert deaths > 15
    assert_mirrors(lab)
    assert {run.status for run in stored_runs(database(lab))} == {"FINISHED"}
    with connected(address) as client:
        (experiment,) = [found for found in client.search_experiments() if found.name == "small"]
        models = client.search_logged_models([experiment.experiment_id])
        assert sorted(model.tags["harness.step"] for model in models) == ["40"]


def test_a_death_between_points_and_cursor_is_harmless(
    lab: Laboratory, address: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Points are in the store, the cursor does not say so: they are logged again, and MLflow keeps each once."""
    lab.complete(0)
    written = 0
    real = writing.write_cursor

    def dies_at_the_end(path: Path, cursor: Any) -> None:
        nonlocal written
        written += 1
        if written == 3:
            raise KeyboardInterrupt
        real(path, cursor)

    with monkeypatch.context() as patched:
        patched.setattr(writing, "write_cursor", dies_at_the_end)
        with pytest.raises(KeyboardInterrupt):
            project(lab.view(), address)
    before = children(database(lab))[lab.plan.runs[0].key]
    assert before.values() == pytest.approx(lab.expected_points(0))
    assert not is_up_to_date(lab.view(), address)
    done = project(lab.view(), address)
    assert done.points > 0 and done.rebuilt == 0
    assert assert_mirrors(lab)[lab.plan.runs[0].key].run_id == before.run_id


def test_more_repeats_make_the_run_anew(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0, 1)
    project(lab.view(), address)
    before = children(database(lab))
    lab.experiment = small_experiment(evaluation=({"extractor": "digits", "repeats": 5},))
    lab.measure(0, repeats=5)
    assert not is_up_to_date(lab.view(), address)
    done = project(lab.view(), address)
    assert done.rebuilt == 1
    after = assert_mirrors(lab)
    key, other = lab.plan.runs[0].key, lab.plan.runs[1].key
    assert after[key].run_id != before[key].run_id
    assert after[other].run_id == before[other].run_id
    assert after[key].values()["eval/fid.digits", 40] == pytest.approx(2.5 + 2.0)


def test_a_state_rolled_back_below_the_cursor_makes_the_run_anew(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0)
    project(lab.view(), address)
    lab.roll_back(0)
    lab.start(0)
    with lab.running(0):
        assert project(lab.view(), address).rebuilt == 1
        assert max(step for _, step in assert_mirrors(lab)[lab.plan.runs[0].key].counts()) == 20
        lab.train(0, 40)
    lab.measure(0)
    lab.end(0, "finished")
    assert project(lab.view(), address).rebuilt == 0
    assert_mirrors(lab)


def test_a_retrained_prefix_of_equal_length_makes_the_run_anew(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0)
    project(lab.view(), address)
    lab.roll_back(0)
    lab.train(0, 40)  # the same steps at another time, before anybody looked
    lab.measure(0)
    assert project(lab.view(), address).rebuilt == 1
    assert_mirrors(lab)


def test_a_run_deleted_in_mlflow_comes_back(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0, 1)
    project(lab.view(), address)
    finish(lab.view(), address, None)
    assert is_up_to_date(lab.view(), address)
    with connected(address) as client:
        client.delete_run(children(database(lab))[lab.plan.runs[1].key].run_id)
    assert not is_up_to_date(lab.view(), address)
    assert project(lab.view(), address).changed == 1
    assert_mirrors(lab)


def test_lost_cursors_and_retried_creates_leave_one_of_each(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0)
    project(lab.view(), address)
    finish(lab.view(), address, None)
    (parent,) = parents(database(lab))
    child = children(database(lab))[lab.plan.runs[0].key]
    with connected(address) as client:  # what a server does when an answer is lost and the request comes again
        for run in (parent, child):
            experiment_id = client.get_run(run.run_id).info.experiment_id
            client.create_run(experiment_id, tags=dict(run.tags), run_name=run.name)
    finish(lab.view(), address, None)
    assert [run.run_id for run in parents(database(lab))] == [parent.run_id]
    assert_mirrors(lab)
    for folder in lab.view().directory.root.rglob("tracking"):
        shutil.rmtree(folder)
    project(lab.view(), address)
    assert [run.run_id for run in parents(database(lab))] == [parent.run_id]
    assert_mirrors(lab)


def test_nothing_stays_running_not_even_what_the_file_no_longer_names(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0)
    lab.start(2)
    lab.train(2, 20)
    with lab.running(0), lab.running(2):
        project(lab.view(), address)
    dropped = lab.plan.runs[2].key
    lab.experiment = small_experiment(cell=())
    project(lab.view(), address)
    finish(lab.view(), address, None)
    stored = {run.tags.get("harness.key"): run.status for run in stored_runs(database(lab))}
    assert stored == {None: "FINISHED", lab.plan.runs[0].key: "FINISHED", dropped: "KILLED"}


def test_artifacts_and_models(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0)
    project(lab.view(), address)
    finish(lab.view(), address, None)
    directory, commit = lab.directory(0), lab.view().runs[0].status.commit
    assert commit is not None
    with connected(address) as client:
        parent = client.get_run(parents(database(lab))[0].run_id)
        child = client.get_run(children(database(lab))[lab.plan.runs[0].key].run_id)
        models = client.search_logged_models([child.info.experiment_id])
        kept, files = artifact_folder(parent.info.artifact_uri), artifact_folder(child.info.artifact_uri)
    assert (kept / "experiment.json").read_bytes() == lab.view().directory.manifest.read_bytes()
    assert (files / "metrics.jsonl").read_bytes() == directory.metrics.read_bytes()[: commit.metrics_offset]
    for name in ("run.json", "attempts.jsonl", "log.txt", "samples/step-000040.png"):
        assert (files / name).read_bytes() == (directory.root / name).read_bytes()
    assert (files / "commit.json").read_bytes() == directory.commit(40).read_bytes()
    assert {path.name for path in (files / "evaluations").iterdir()} == {
        path.name for path in directory.evaluations.iterdir()
    }
    (model,) = models
    assert model.tags["harness.checkpoint"] == commit.checkpoints["40"]
    assert model.tags["harness.role"] == "last, best"
    assert str(model.status) == "READY"
    assert {(metric.key, metric.step): metric.value for metric in model.metrics or []} == pytest.approx(
        {
            point: value
            for point, value in lab.expected_points(0).items()
            if point[0].startswith("eval/") and point[1] == 40
        }
    )
    assert child.outputs is not None
    assert [output.model_id for output in child.outputs.model_outputs] == [model.model_id]


def test_training_on_supersedes_the_last_model(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0)
    project(lab.view(), address)
    training = {"steps": 60, "log_every": 10, "checkpoint_every": 20}
    lab.experiment = small_experiment(training=training)
    lab.train(0, 60)
    lab.measure(0)
    done = project(lab.view(), address)
    assert done.rebuilt == 0
    assert_mirrors(lab)
    with connected(address) as client:
        (experiment,) = [found for found in client.search_experiments() if found.name == "small"]
        models = client.search_logged_models([experiment.experiment_id])
    assert {model.tags["harness.step"]: model.tags["harness.role"] for model in models} == {
        "40": "superseded",
        "60": "last, best",
    }


def test_a_damaged_cursor_says_nothing(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0)
    project(lab.view(), address)
    path = lab.directory(0).cursor(address.fingerprint)
    atomic.write_json(path, {**atomic.read_json(path), "format": 0})
    assert not is_up_to_date(lab.view(), address)
    assert project(lab.view(), address).rebuilt == 1
    path.write_bytes(path.read_bytes()[:-20])
    assert project(lab.view(), address).rebuilt == 1
    assert_mirrors(lab)
    shared: ExperimentDirectory = lab.view().directory
    assert address.shown in shared.tracking(address.fingerprint).read_text(encoding="utf-8")


def test_an_experiment_that_was_moved_does_not_come_back(lab: Laboratory, address: StoreAddress) -> None:
    lab.complete(0)
    view = lab.view()
    root = view.directory.root
    root.rename(root.with_name("moved"))
    assert project(view, address).runs == 0
    with pytest.raises(StoreError, match="folder is gone"):
        finish(view, address, None)
    assert not root.exists()
