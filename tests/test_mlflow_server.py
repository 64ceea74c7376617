"""A real `mlflow server`, started with the very flags of docker-compose.yml, and a run projected into it over HTTP."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from server_stack import mlflow_server
from tracking_data import Laboratory, children

from harness.store import atomic
from harness.tracking.connection import connected
from harness.tracking.projection import finish, is_up_to_date, project
from harness.tracking.stores import resolve_address


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with mlflow_server(tmp_path, f"sqlite:///{tmp_path}/server.db", str(tmp_path / "artifacts")) as address:
        yield address


def test_a_run_goes_to_a_server_once_with_its_files(
    server: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lab = Laboratory(tmp_path / "runs")
    lab.complete(0, 1)
    report = tmp_path / "report"
    report.mkdir()
    for name in ("report.md", "old.csv"):
        (report / name).write_text("a,b", encoding="utf-8")
    atomic.write_json(report / "report.json", {"files": {"report.md": "", "old.csv": ""}})
    address = resolve_address(server, lab.runs_dir)
    done = project(lab.view(), address)
    assert (done.changed, done.rebuilt) == (2, 0)
    finish(lab.view(), address, report)
    assert is_up_to_date(lab.view(), address, report)
    for cursor in lab.directory(1).root.rglob("tracking/*.json"):
        cursor.unlink()  # makes the second run anew
    (report / "old.csv").unlink()
    atomic.write_json(report / "report.json", {"files": {"report.md": ""}})
    assert project(lab.view(), address).rebuilt == 1
    finish(lab.view(), address, report)
    assert capfd.readouterr() == ("", "")
    with connected(address) as client:
        experiment = client.get_experiment_by_name("small")
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id])
        by_key = {run.data.tags.get("harness.key"): run for run in runs}
        assert len(runs) == len(by_key) == 3
        assert {run.info.status for run in runs} == {"FINISHED"}
        for index in (0, 1):
            run = by_key[lab.plan.runs[index].key]
            history = [point for name in run.data.metrics for point in client.get_metric_history(run.info.run_id, name)]
            assert set(Counter((point.key, point.step) for point in history).values()) == {1}
            values = {(point.key, point.step): point.value for point in history}
            assert values == pytest.approx(lab.expected_points(index))
        child, parent = by_key[lab.plan.runs[0].key], by_key[None]
        records = Path(client.download_artifacts(child.info.run_id, "metrics.jsonl", str(tmp_path)))
        shared = [file.path for file in client.list_artifacts(parent.info.run_id, "report")]
        assert sorted(shared) == ["report/report.json", "report/report.md"]
        models = client.search_logged_models([experiment.experiment_id])
        assert {model.source_run_id for model in models} == {by_key[run.key].info.run_id for run in lab.plan.runs[:2]}
        assert child.outputs is not None and len(child.outputs.model_outputs) == 1
    commit = lab.view().runs[0].status.commit
    assert commit is not None
    assert records.read_bytes() == lab.directory(0).metrics.read_bytes()[: commit.metrics_offset]


def test_what_a_restored_backup_lacks_is_brought_back(server: str, tmp_path: Path) -> None:
    """As docs/deploy.md says: once the notes of what a server has are gone, it is asked, and filled."""
    lab = Laboratory(tmp_path / "runs")
    lab.complete(0, 1)
    address = resolve_address(server, lab.runs_dir)
    project(lab.view(), address)
    finish(lab.view(), address, None)
    with closing(sqlite3.connect(tmp_path / "server.db", isolation_level=None)) as store:
        store.execute("DELETE FROM metrics WHERE step > 20")
    assert is_up_to_date(lab.view(), address)  # what a server holds is believed
    folders = [folder for folder in lab.runs_dir.rglob("tracking") if folder.is_dir()]
    assert len(folders) == 3
    for folder in folders:
        shutil.rmtree(folder)
    project(lab.view(), address)
    finish(lab.view(), address, None)
    stored = children(tmp_path / "server.db")
    for index in (0, 1):
        run = stored[lab.plan.runs[index].key]
        assert run.values() == pytest.approx(lab.expected_points(index))
        assert set(run.counts().values()) == {1}
