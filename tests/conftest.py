"""What many tests share: the data folder beside the project, and freedom from the caller's MLflow settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.faults.subject import Reference


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


@pytest.fixture(scope="session")
def fault_reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """The experiment that faults are done to, never interrupted, and an empty MLflow store."""
    from tests.faults.subject import Reference

    return Reference.make(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="session")
def random_inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict of pytorch-fid's network, drawn at random, with statistics of batch norm that matter."""
    from benchmarks.random_weights import write_random_weights

    path = tmp_path_factory.mktemp("weights") / "random.pth"
    write_random_weights(path)
    return path
