"""The default SQLite store is left out on network file systems; a store that is named never is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from typer.testing import CliRunner

from experiments import opened, run_here, write_file
from harness.cli.app import app
from harness.cli.options import view_of
from harness.cli.tracker import Tracker
from harness.errors import HarnessError
from harness.tracking.network_files import network_file_system, why_no_default_store


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the system says to be mounted from another machine."""
    kinds = {"/": "ext4", str(tmp_path): "nfs4"}
    mounts = [SimpleNamespace(mountpoint=point, fstype=kind, opts="rw") for point, kind in kinds.items()]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)
    return tmp_path


def test_the_nearest_mount_counts(shared: Path) -> None:
    assert network_file_system(shared / "runs" / "not" / "there") == "nfs4"
    assert network_file_system(shared.parent) == ""


def test_only_the_default_store_is_left_out(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "(nfs4)" in why_no_default_store(None, shared / "runs")
    assert why_no_default_store("http://localhost:5000", shared / "runs") == ""
    assert why_no_default_store(None, shared.parent / "runs") == ""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    assert why_no_default_store(None, shared / "runs") == ""


def test_a_run_tells_that_mlflow_is_left_out(
    shared: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = Tracker.of(None, shared / "runs")
    assert "MLflow is left out" in capsys.readouterr().err
    path = write_file(shared)
    run_here(path)

    assert tracker.finish(view_of(opened(path), shared / "runs"), None) == "current"
    assert not (shared / "runs" / "mlflow.db").exists()
    monkeypatch.chdir(shared)
    refused = CliRunner().invoke(app, ["sync", path.name])
    assert isinstance(refused.exception, HarnessError) and "network file system" in str(refused.exception)
    local = shared.parent / "elsewhere.db"
    done = CliRunner().invoke(app, ["sync", path.name, "--tracking-uri", f"sqlite:///{local}"])
    assert done.exit_code == 0, done.output
    assert local.is_file()
    local.unlink()
