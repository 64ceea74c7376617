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
    import torch
    import torchvision

    generator = torch.Generator().manual_seed(0)
    # pytorch-fid's patched blocks compute otherwise than torchvision's, with the same tensors.
    with torch.device("meta"):
        network = torchvision.models.inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    state = {}
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(1)
        elif name.endswith(("running_var", "bn.weight")):
            state[name] = 0.5 + torch.rand(tensor.shape, generator=generator)
        elif tensor.ndim > 1:
            scale = (2 / tensor[0].numel()) ** 0.5
            state[name] = scale * torch.randn(tensor.shape, generator=generator)
        else:
            state[name] = 0.1 * torch.randn(tensor.shape, generator=generator)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save(state, path)
    return path
