"""What many tests share: the data folder beside the project, and freedom from the caller's MLflow settings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ray_servers import Cluster

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


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """An empty Ray cluster on the loopback address."""
    from ray_servers import ray_cluster

    with ray_cluster() as started:
        yield started


@pytest.fixture
def joined(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A Ray cluster whose token, and the rest of its variables, this process has, too."""
    for name, value in cluster.environment.items():
        if name.startswith("RAY_"):
            monkeypatch.setenv(name, value)
    return cluster
