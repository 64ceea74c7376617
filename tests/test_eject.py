"""An ejected network is the built-in one, as a file of one's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import nn

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.errors import HarnessError
from harness.gan.eject import eject
from harness.gan.networks.build import build_discriminator, build_generator
from harness.gan.preflight import check_networks
from harness.gan.randomness import random_stream

Network = Literal["generator", "discriminator"]
CASES: list[tuple[Network, dict[str, Any]]] = [
    ("generator", {}),
    ("generator", {"generator_kernel_size": 5, "generator_normalization": "instance", "resolution": 28}),
    ("generator", {"generator": "mlp", "generator_dropout": 0.3, "generator_output": "sigmoid"}),
    ("generator", {"generator": "mlp_conv", "generator_activation": "relu", "generator_dropout": 0.25}),
    ("generator", {"generator": "upsample_cnn", "generator_normalization": "none"}),
    ("discriminator", {}),
    ("discriminator", {"discriminator_normalization": "spectral", "discriminator_dropout": 0.3}),
    ("discriminator", {"discriminator": "mlp", "discriminator_kernel_size": 5}),
    ("discriminator", {"discriminator": "cnn2", "discriminator_normalization": "instance"}),
    ("discriminator", {"discriminator": "cnn2_mlp", "discriminator_normalization": "spectral"}),
    ("discriminator", {"discriminator": "cnn4", "discriminator_dropout": 0.3, "resolution": 28}),
]
SMALL = {"latent_dim": 5, "generator_hidden_dim": 4, "discriminator_hidden_dim": 4}


def built(network: Network, hp: Hyperparameters, own_code: OwnCode) -> nn.Module:
    build = build_generator if network == "generator" else build_discriminator
    return build(hp, 3, random_stream(0, network), own_code)


def written(folder: Path, network: Network, hp: Hyperparameters) -> tuple[Hyperparameters, OwnCode]:
    """The levels with the ejected network in place of the built-in one, and its file."""
    path = folder / "nets.py"
    path.write_text(eject(hp, 3, network), encoding="utf-8")
    own = hp.model_copy(update={network: f"nets.py:{network.capitalize()}"})
    return own, OwnCode({"nets.py": path})


@pytest.mark.parametrize("initialization", ["dcgan", "dcgan_bn0", "pytorch"])
@pytest.mark.parametrize(("network", "levels"), CASES)
def test_first_weights_names_and_outputs_are_the_built_in_networks(
    tmp_path: Path, network: Network, levels: dict[str, Any], initialization: str
) -> None:
    hp = Hyperparameters(**SMALL | levels | {"initialization": initialization})
    own, code = written(tmp_path, network, hp)
    expected, found = built(network, hp, OwnCode({})), built(network, own, code)
    assert list(found.state_dict()) == list(expected.state_dict())
    for name, value in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], value), name

    batch = torch.randn(3, 5) if network == "generator" else torch.randn(3, 3, hp.resolution, hp.resolution)
    outputs = []
    for one in (expected, found):
        torch.manual_seed(0)  # dropout
        outputs.append(one(batch))
    assert torch.equal(*outputs)


@pytest.mark.parametrize(("network", "levels"), CASES)
def test_preflight_sees_the_same_layers(tmp_path: Path, network: Network, levels: dict[str, Any]) -> None:
    hp = Hyperparameters(**SMALL | levels)
    own, code = written(tmp_path, network, hp)
    assert getattr(check_networks(own, 3, code), network) == getattr(check_networks(hp, 3, OwnCode({})), network)


def test_files_pass_ruff_and_know_nothing_of_the_harness(tmp_path: Path) -> None:
    for number, (network, levels) in enumerate(CASES):
        text = eject(Hyperparameters(**SMALL | levels), 3, network)
        assert "import harness" not in text and "from harness" not in text
        (tmp_path / f"net{number}.py").write_text(text, encoding="utf-8")
    config = Path(__file__).parent.parent / "pyproject.toml"
    for command in (["check", "--no-cache"], ["format", "--check", "--no-cache"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--config", str(config), str(tmp_path)]
        done = subprocess.run(ruff, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_file_is_short_and_says_what_it_holds() -> None:
    text = eject(Hyperparameters(latent_dim=16, generator_hidden_dim=16, resolution=32), 1, "generator")
    assert 'The generator "cnn" of hidden_dim 16, resolution 32: 57,936 parameters.' in text
    assert '"""z [N, 16] -> images [N, 1, 32, 32] in [-1, 1]."""' in text
    assert "weighted=nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1)," in text
    assert "x = self.map8(x)  # [N, 32, 8, 8]" in text
    assert "normalization=nn.Identity" not in text
    assert len(text.splitlines()) < 60


@pytest.mark.parametrize(
    ("network", "factor"),
    [
        ("generator", "generator"),
        ("discriminator", "discriminator_normalization"),
        ("generator", "generator_normalization"),
    ],
)
def test_own_parts_are_not_written_out(network: Network, factor: str) -> None:
    hp = Hyperparameters(**{factor: "nets.py:Mine"})
    with pytest.raises(HarnessError, match=rf"{factor} is nets\.py:Mine, a part of your own"):
        eject(hp, 3, network)
