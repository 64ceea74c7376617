"""From a real MLflow store come the same bytes as from run directories, also when these are gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from report_data import Story, live, measured_plan, paint_nothing
from tracking_data import Laboratory, artifact_folder, children, database, parents

from harness.cli.reporting import write_report
from harness.design.expansion import Plan
from harness.errors import TrackingError
from harness.store.rundir import experiment_directory
from harness.tracking.connection import connected
from harness.tracking.download import downloaded
from harness.tracking.projection import finish, is_up_to_date, project
from harness.tracking.reader import read_experiment
from harness.tracking.stores import StoreAddress, resolve_address

pytest_plugins = ["tracking_fixtures"]

HOSTILE = "a|b `c` <script>alert(1)</script> 'q' _"


def planned() -> Plan:
    """Every section of a report."""
    return measured_plan(
        evaluation=[{"samples": 100, "repeats": 2, "metrics": ["fid", "kid", "missing_classes"]}],
        report={"samples": 16, "classes": 64, "interpolations": [5, 10]},
        seeds=[0],
        grid=[],
        cell=[
            {"name": HOSTILE, "latent_dim": 7},
            {"name": "half", "latent_dim": 9},
            {"name": "lost", "latent_dim": 11},
        ],
    )


STORIES = {
    f"{HOSTILE} seed 0": Story("diverged", reached=200, fid=90),
    "half seed 0": Story("interrupted", reached=200, evaluated=False),
    "broken seed 0": Story("failed", reached=200, repeats=1),
}


def files(folder: Path) -> dict[str, bytes]:
    names = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in names}


def test_the_report_from_mlflow_is_that_from_the_runs_byte_for_byte(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    paint_nothing(monkeypatch)
    runs = tmp_path / "runs"
    plan = planned()
    live(plan, runs, STORIES)
    shutil.rmtree(next(runs.glob("*/lost--s0--*")))
    next(runs.glob("*/baseline--s0--*/checkpoints/*400.safetensors")).unlink()
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    address = resolve_address(f"sqlite:///{tmp_path / 'mlflow.db'}", runs)
    view = read_experiment(plan, runs)
    write_report(view.plan, view.directory, tmp_path / "one")
    project(view, address)
    finish(view, address, tmp_path / "one")
    assert is_up_to_date(view, address, tmp_path / "one")
    expected = files(tmp_path / "one")
    assert {Path(name).suffix for name in expected} == {".md", ".html", ".csv", ".tex", ".json", ".png", ".svg"}
    meant = experiment_directory(runs, plan.experiment.name)
    shutil.rmtree(runs)
    with downloaded(plan, address, meant) as folder:
        assert not list(folder.rglob("*.safetensors")) and not list(folder.rglob("*.pt"))
        stored = read_experiment(plan, folder, has_weights=False)
        assert [run.status.state for run in stored.runs] == ["complete", "diverged", "interrupted", "pending"]
        write_report(stored.plan, stored.directory, tmp_path / "two")
    assert not folder.exists()
    found = files(tmp_path / "two")
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
    for name, content in expected.items():
        assert str(tmp_path).encode() not in content, name


@pytest.fixture
def stored(lab: Laboratory, address: StoreAddress) -> StoreAddress:
    """Two runs of four, and nothing left to do."""
    lab.complete(0, 1)
    project(lab.view(), address)
    finish(lab.view(), address, None)
    return address


def fetched(lab: Laboratory, address: StoreAddress) -> list[str]:
    with downloaded(lab.plan, address, lab.view().directory) as folder:
        view = read_experiment(lab.plan, folder, has_weights=False)
        assert view.fingerprint() == lab.view().fingerprint()
        return [run.status.state for run in view.runs]


def test_runs_that_the_store_does_not_know_have_not_started(lab: Laboratory, stored: StoreAddress) -> None:
    assert fetched(lab, stored) == ["complete", "complete", "pending", "pending"]


def test_a_run_that_is_worked_on_is_refused(lab: Laboratory, stored: StoreAddress) -> None:
    lab.start(2)
    lab.train(2, 20)
    with lab.running(2):
        project(lab.view(), stored)
        with pytest.raises(TrackingError, match="latent_dim=7 seed 0 are not all in MLflow") as refused:
            fetched(lab, stored)
        assert "harness sync FILE" in refused.value.remedy
    lab.end(2, "interrupted")
    project(lab.view(), stored)
    finish(lab.view(), stored, None)
    assert fetched(lab, stored) == ["complete", "complete", "interrupted", "pending"]


def test_a_file_that_was_lost_or_changed_in_the_store_is_refused(lab: Laboratory, stored: StoreAddress) -> None:
    with connected(stored) as client:
        run_id = children(database(lab))[lab.plan.runs[0].key].run_id
        folder = artifact_folder(client.get_run(run_id).info.artifact_uri)
    for name in ("run.json", "evaluations", "metrics.jsonl", "commit.json"):
        path = folder / name if (folder / name).is_file() else sorted((folder / name).iterdir())[0]
        content = path.read_bytes()
        if name == "evaluations":
            path.unlink()
        else:
            path.write_bytes(content[:-2] + b"!\n")
        with pytest.raises(TrackingError, match="baseline seed 0 in MLflow are not those"):
            fetched(lab, stored)
        path.write_bytes(content)
    (folder / "log.txt").unlink()  # no report reads it
    assert fetched(lab, stored)[0] == "complete"


def test_a_projection_that_was_cut_short_is_refused(
    lab: Laboratory, address: StoreAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.complete(0)
    project(lab.view(), address)
    with pytest.raises(TrackingError, match="the experiment 'small' are not all in MLflow"):
        fetched(lab, address)  # its own files come at the end of a call
    finish(lab.view(), address, None)
    assert fetched(lab, address)[0] == "complete"
    lab.start(0)
    lab.end(0, "finished")
    monkeypatch.setattr("harness.tracking.children._log", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        project(lab.view(), address)
    monkeypatch.undo()
    with pytest.raises(TrackingError, match="not those that were put there last"):
        fetched(lab, address)
    project(lab.view(), address)
    assert fetched(lab, address)[0] == "complete"


def test_what_is_not_there_is_said(lab: Laboratory, address: StoreAddress, tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="no experiment 'small'"):
        fetched(lab, address)
    nowhere = resolve_address(f"sqlite:///{tmp_path / 'nowhere.db'}", lab.runs_dir)
    with pytest.raises(TrackingError, match="there is no MLflow store"):
        fetched(lab, nowhere)
    assert not (tmp_path / "nowhere.db").exists()
    with pytest.raises(TrackingError, match="does not answer"):
        fetched(lab, StoreAddress("http://127.0.0.1:9", None))


def test_of_several_folders_the_own_one_is_meant(lab: Laboratory, stored: StoreAddress, tmp_path: Path) -> None:
    other = Laboratory(tmp_path / "other", lab.experiment)
    other.runs_dir.mkdir()
    other.complete(0)
    project(other.view(), stored)
    finish(other.view(), stored, None)
    assert len(parents(database(lab))) == 2
    assert fetched(lab, stored) == ["complete", "complete", "pending", "pending"]
    assert fetched(other, stored) == ["complete", "pending", "pending", "pending"]
    with (
        pytest.raises(TrackingError, match="from several folders"),
        downloaded(lab.plan, stored, experiment_directory(tmp_path / "third", "small")),
    ):
        pass
