"""MLflow and the report from it, on the machine that runs were brought to: as where they ran."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pack_data import RENTED, call, contents, home_of, trained
from report_data import paint_nothing
from tracking_data import StoredRun, children

from experiments import TINY

pytest_plugins = ["tracking_fixtures"]
pytestmark = pytest.mark.services

TEXT = TINY.replace("[report]", '[report]\nsections = ["comparison", "problems"]')


def told(run: StoredRun) -> dict[str, object]:
    """All that the store says of a run but where it was projected from, and when."""
    here = ("mlflow.", "harness.directory")
    tags = {name: value for name, value in run.tags.items() if not name.startswith(here)}
    return {"name": run.name, "status": run.status, "tags": tags, "params": run.params, "points": sorted(run.points)}


def test_mlflow_and_its_report_are_as_where_it_ran(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint_nothing(monkeypatch)
    away = tmp_path / "away"
    trained(away, text=TEXT, machine=RENTED)
    call(away, "report", "tiny.toml", "--format", "md")
    call(away, "pack", "tiny.toml")
    home = home_of(away, tmp_path / "home")
    call(home, "unpack", str(away / "tiny.zip"))
    for place in (away, home):
        shutil.copy(empty_store, place / "runs" / "mlflow.db")
        assert call(place, "sync", "tiny.toml", "--json").document["runs"] == 2
    there, here = (children(place / "runs" / "mlflow.db") for place in (away, home))
    assert {key: told(run) for key, run in here.items()} == {key: told(run) for key, run in there.items()}
    assert all(run.points for run in here.values())
    call(home, "report", "tiny.toml", "--format", "md", "--source", "mlflow", "--output", "from-mlflow")
    assert contents(home / "from-mlflow") == contents(away / "reports" / "tiny")
    said = call(home, "sync", "tiny.toml", "--json")
    assert said.document["points"] == 0
