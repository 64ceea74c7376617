"""Fixtures of the tests of `harness report --verify`: a finished report with its runs beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from report_data import Story, live, report
from verify_parts import planned


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished report with its runs beside it."""
    folder = tmp_path_factory.mktemp("made")
    live(planned(), folder / "runs", {"latent_dim=100 seed 1": Story("diverged", reached=200, fid=90)})
    report(planned(), folder / "runs", folder / "report", painted=True)
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "place")
    return tmp_path / "place"
