"""Fixtures of the tests of tracking: a laboratory whose store is there already, empty."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tracking_data import Laboratory

from harness.tracking.connection import connected
from harness.tracking.stores import StoreAddress, resolve_address


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh store, made once as the harness makes it: making one takes seconds."""
    address = resolve_address(f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db", Path("runs"))
    with connected(address):
        pass
    assert address.sqlite_path is not None
    return address.sqlite_path


@pytest.fixture
def lab(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Laboratory:
    """A laboratory whose store is there already, empty."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    runs_dir = tmp_path / "runs"
    runs_dir.mkdir()
    shutil.copy(empty_store, runs_dir / "mlflow.db")
    return Laboratory(runs_dir)


@pytest.fixture
def address(lab: Laboratory) -> StoreAddress:
    return resolve_address(None, lab.runs_dir)
