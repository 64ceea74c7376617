"""What many tests share: the data folder beside the project, and freedom from the caller's MLflow settings."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real images beside the checkout (MNIST, two folders of RGB images); tests that want them skip where absent."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real images: {folder} does not exist")
    return folder


@pytest.fixture(autouse=True)
def _no_mlflow_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "HARNESS_INCEPTION_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
