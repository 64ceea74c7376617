"""First weights come from the given stream alone, as the level of `initialization` says."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.gan.networks.build import build_discriminator, build_generator
from harness.gan.networks.initialization import initialize
from harness.gan.preflight import check_networks
from harness.gan.randomness import random_stream

NOTHING = OwnCode({})
LEVELS: dict[str, dict[str, Any]] = {
    "cnn": {},
    "mlp": {"generator": "mlp", "discriminator": "mlp"},
    "mixed": {"generator": "mlp_conv", "discriminator": "cnn2_mlp"},
    "spectral": {"generator": "upsample_cnn", "discriminator": "cnn4", "discriminator_normalization": "spectral"},
    "instance": {"generator_normalization": "instance", "discriminator_normalization": "instance"},
}
NORMALIZING = (nn.BatchNorm1d, nn.BatchNorm2d, nn.InstanceNorm2d)


def networks(seed: int = 0, own_code: OwnCode = NOTHING, **levels: Any) -> tuple[nn.Module, nn.Module]:
    hp = Hyperparameters(**{"latent_dim": 5, "generator_hidden_dim": 4, "discriminator_hidden_dim": 4} | levels)
    return (
        build_generator(hp, 1, random_stream(seed, "g"), own_code),
        build_discriminator(hp, 1, random_stream(seed, "d"), own_code),
    )


def weights(*of: nn.Module) -> dict[str, torch.Tensor]:
    return {f"{number} {name}": value for number, one in enumerate(of) for name, value in one.state_dict().items()}


@pytest.mark.parametrize(("family", "kind"), [*product(LEVELS, ["dcgan", "dcgan_bn0"])])
def test_values_of_dcgan(family: str, kind: str) -> None:
    wide = {"generator_hidden_dim": 32, "discriminator_hidden_dim": 32, "initialization": kind}
    mean = 1.0 if kind == "dcgan" else 0.0
    for module in (module for network in networks(**LEVELS[family] | wide) for module in network.modules()):
        if isinstance(module, NORMALIZING):
            assert abs(module.weight.mean() - mean) < 0.02
            assert 0.01 < module.weight.std() < 0.03
            if not isinstance(module, nn.InstanceNorm2d):
                assert module.running_mean is not None and not module.running_mean.any()
                assert module.running_var is not None and (module.running_var == 1).all()
                assert module.num_batches_tracked == 0
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            drawn = dict(module.named_parameters()).get("parametrizations.weight.original", module.weight)
            few = 5 / drawn.numel() ** 0.5
            assert abs(drawn.mean()) < 0.02 * few
            assert abs(drawn.std() / 0.02 - 1) < few
        else:
            continue
        assert module.bias is None or not module.bias.any()


def test_dcgan_bn0_moves_nothing_but_the_norms_mean() -> None:
    around_one, around_zero = weights(*networks()), weights(*networks(initialization="dcgan_bn0"))
    for name, value in around_one.items():
        if name.endswith("normalization.weight"):
            assert torch.allclose(around_zero[name], value - 1, atol=1e-6)
        else:
            assert torch.equal(around_zero[name], value)


@pytest.mark.parametrize("family", LEVELS)
def test_pytorchs_own_initialization(family: str) -> None:
    """Uniform within 1 / sqrt(fan-in) for convolutions and linear layers, biases too; norms 1 and 0."""
    wide = {"generator_hidden_dim": 32, "discriminator_hidden_dim": 32, "initialization": "pytorch"}
    for module in (module for network in networks(**LEVELS[family] | wide) for module in network.modules()):
        if isinstance(module, NORMALIZING):
            assert (module.weight == 1).all() and not module.bias.any()
        elif isinstance(module, nn.Conv2d | nn.Linear):
            drawn = dict(module.named_parameters()).get("parametrizations.weight.original", module.weight)
            bound = drawn[0].numel() ** -0.5
            assert 0.5 * bound < drawn.abs().max() <= bound
            assert module.bias is not None and module.bias.any() and module.bias.abs().max() <= bound


@pytest.mark.parametrize(("family", "kind"), [*product(LEVELS, ["dcgan", "pytorch"])])
def test_only_the_given_stream_matters(family: str, kind: str) -> None:
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        found.append(weights(*networks(**LEVELS[family], initialization=kind)))
        assert torch.equal(torch.get_rng_state(), before)
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])

    other = weights(*networks(**LEVELS[family], initialization=kind, seed=1))
    drawn = [name for name in other if name.endswith(("weighted.weight", "original", "_u"))]
    assert drawn and not any(torch.equal(found[0][name], other[name]) for name in drawn)


OWN = """
import torch
from torch import nn
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm


class Net(nn.Module):
    def __init__(self, latent_dim):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(1))
        self.blur = nn.Conv2d(1, 1, 3, padding=1, bias=False)
        self.blur.weight = nn.Parameter(torch.full((1, 1, 3, 3), 1 / 9), requires_grad=False)
        self.plain = nn.BatchNorm2d(1, affine=False)
        self.normed = weight_norm(nn.Linear(latent_dim, 8))
        self.spectral = spectral_norm(nn.Linear(8, 8))
        self.layer = nn.LayerNorm(8)
        self.last = nn.Linear(8, 1024)

    def forward(self, z):
        hidden = self.layer(self.spectral(self.normed(z)))
        return torch.tanh(self.blur(self.plain(self.last(hidden).view(-1, 1, 32, 32))) * self.scale)
"""


@pytest.mark.parametrize("kind", ["dcgan", "dcgan_bn0", "pytorch"])
def test_known_layers_of_own_networks(tmp_path: Path, kind: str) -> None:
    """Others keep what their constructor gave them, drawn from the run's stream; so do weights that are not trained."""
    (tmp_path / "nets.py").write_text(OWN, encoding="utf-8")
    code = OwnCode({"nets.py": tmp_path / "nets.py"})
    levels = {"generator": "nets.py:Net", "initialization": kind}
    torch.manual_seed(1)
    net, _ = networks(own_code=code, **levels)
    torch.manual_seed(2)
    again, _ = networks(own_code=code, **levels)
    other, _ = networks(own_code=code, seed=1, **levels)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in net.state_dict().items())
    assert not torch.equal(net.get_parameter("scale"), other.get_parameter("scale"))

    assert torch.allclose(net.get_parameter("blur.weight"), torch.tensor(1 / 9))
    assert (net.get_parameter("layer.weight") == 1).all()
    dcgan = kind != "pytorch"
    assert (net.get_parameter("last.weight").std() < 0.022) == dcgan
    assert (net.get_parameter("spectral.parametrizations.weight.original").std() < 0.03) == dcgan
    spectral = net.get_submodule("spectral").eval()
    assert abs(torch.linalg.matrix_norm(spectral.weight, ord=2) - 1) < 0.1  # type: ignore[arg-type]
    assert net.get_parameter("normed.parametrizations.weight.original1").std() > 0.1
    assert net(torch.randn(2, 5)).shape == (2, 1, 32, 32)


OLDER = """
import torch
from torch import nn
from torch.nn.utils import parametrizations, spectral_norm, weight_norm


class Net(nn.Module):
    def __init__(self, latent_dim, resolution):
        super().__init__()
        self.first = spectral_norm(nn.Linear(latent_dim, 64))
        self.hooked = weight_norm(nn.Linear(64, 64))
        self.newer = parametrizations.weight_norm(nn.Linear(64, 64))
        self.image = nn.Linear(64, resolution**2)
        self.resolution = resolution

    def forward(self, z):
        pixels = self.image(self.newer(self.hooked(self.first(z))))
        return pixels.tanh().view(-1, 1, self.resolution, self.resolution)
"""


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("kind", ["dcgan", "pytorch"])
def test_older_spectral_norm_is_drawn_and_what_cannot_be_is_told(tmp_path: Path, kind: str) -> None:
    (tmp_path / "nets.py").write_text(OLDER, encoding="utf-8")
    code = OwnCode({"nets.py": tmp_path / "nets.py"})
    net, _ = networks(own_code=code, generator="nets.py:Net", initialization=kind)
    drawn = net.get_parameter("first.weight_orig")
    assert (drawn.std() < 0.025) == (kind == "dcgan")
    assert net.get_parameter("hooked.weight_v").std() > 0.05

    hp = Hyperparameters(generator="nets.py:Net", initialization=kind)
    left = [f"generator nets.py:Net: layer {name} makes its weight of several tensors" for name in ("hooked", "newer")]
    warnings = check_networks(hp, 1, code).warnings
    assert [warning.partition(",")[0] for warning in warnings] == (left if kind == "dcgan" else [])


def test_weights_are_drawn_in_the_order_of_the_modules() -> None:
    """What an own network shares with a built-in one, layer by layer, it shares in bits."""
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    initialize(network, "dcgan", random_stream(0, "g"))
    stream = random_stream(0, "g")
    for layer, mean in ((network[0], 0.0), (network[1], 1.0), (network[2], 0.0)):
        assert torch.equal(layer.weight, torch.empty_like(layer.weight).normal_(mean, 0.02, generator=stream))
