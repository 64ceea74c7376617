"""Networks and normalization layers of one's own: what they are handed, and how they take the built-in ones' places."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.errors import OwnPartError
from harness.gan.networks.build import build_discriminator, build_generator, generator_with
from harness.gan.randomness import random_stream

SMALL = {"latent_dim": 5, "generator_hidden_dim": 2, "discriminator_hidden_dim": 2}


def generator(hp: Hyperparameters, channels: int = 1, *, own_code: OwnCode) -> nn.Module:
    return build_generator(hp, channels, random_stream(0, "initialization", "generator"), own_code)


def discriminator(hp: Hyperparameters, channels: int = 1, *, own_code: OwnCode) -> nn.Module:
    return build_discriminator(hp, channels, random_stream(0, "initialization", "discriminator"), own_code)


def own(folder: Path, text: str) -> OwnCode:
    path = folder / "parts.py"
    path.write_text("import torch\nfrom torch import nn\n\n\n" + text, encoding="utf-8")
    return OwnCode({"parts.py": path})


OWN_NETWORKS = """
class Paint(nn.Module):
    def __init__(self, latent_dim, channels, resolution, gain, hidden_dim=3):
        super().__init__()
        self.size = (channels, resolution, resolution)
        self.hidden = nn.Linear(latent_dim, hidden_dim)
        self.scale = nn.Parameter(torch.randn(hidden_dim) * gain)
        self.image = nn.Linear(hidden_dim, channels * resolution**2)

    def forward(self, z):
        return torch.tanh(self.image(self.hidden(z) * self.scale)).unflatten(1, self.size)


class Judge(nn.Module):
    def __init__(self, channels, resolution, tail):
        super().__init__()
        self.logit = nn.Conv2d(channels, 1, resolution)
        self.tail = (1,) * tail

    def forward(self, images):
        return self.logit(images).reshape(len(images), *self.tail)


class Power(nn.Module):
    def __init__(self, width, gain):
        super().__init__()
        self.scale = nn.Parameter(torch.full((width,), float(gain)))

    def forward(self, x):
        shape = [1, -1] + [1] * (x.dim() - 2)
        return x * self.scale.view(shape) / x.square().mean(1, keepdim=True).add(1e-8).sqrt()


class Pixel(nn.Module):
    def __init__(self, eps=1e-8):
        super().__init__()
        self.eps = eps

    def forward(self, x):
        return x / x.square().mean(1, keepdim=True).add(self.eps).sqrt()


def no_module(channels):
    return channels


class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.LazyLinear(3)
"""


def test_own_networks_get_levels_and_own_factors_by_name(tmp_path: Path) -> None:
    code = own(tmp_path, OWN_NETWORKS)
    levels = {"generator": "parts.py:Paint", "latent_dim": 7, "resolution": 10, "generator_hidden_dim": 6}
    hp = Hyperparameters(**levels, discriminator="mlp", own=(("gain", 2.0), ("unused", 1)))
    network = generator(hp, 3, own_code=code)
    assert network(torch.randn(2, 7)).shape == (2, 3, 10, 10)
    assert list(network.state_dict()) == ["scale", "hidden.weight", "hidden.bias", "image.weight", "image.bias"]
    assert network.get_parameter("hidden.weight").shape == (6, 7)
    doubled = generator(hp.model_copy(update={"own": (("gain", 4.0),)}), 3, own_code=code)
    assert torch.equal(doubled.get_parameter("scale"), 2 * network.get_parameter("scale"))

    rebuilt = generator_with(hp, 3, network.state_dict(), code)
    latents = torch.randn(2, 7)
    assert torch.equal(rebuilt(latents), network(latents))


@pytest.mark.parametrize("tail", [0, 1, 3])
def test_own_discriminators_may_leave_ones_in_their_shape(tmp_path: Path, tail: int) -> None:
    hp = Hyperparameters(discriminator="parts.py:Judge", own=(("tail", tail),), resolution=8)
    network = discriminator(hp, 3, own_code=own(tmp_path, OWN_NETWORKS))
    assert network(torch.randn(2, 3, 8, 8)).shape == (2,)
    assert list(network.state_dict()) == ["logit.weight", "logit.bias"]


@pytest.mark.parametrize(("network", "family"), [("generator", "mlp_conv"), ("discriminator", "cnn2_mlp")])
def test_own_normalization_takes_the_place_of_batch_norm(tmp_path: Path, network: str, family: str) -> None:
    code = own(tmp_path, OWN_NETWORKS)
    build = generator if network == "generator" else discriminator
    levels = {network: family, f"{network}_normalization": "parts.py:Power", "own": (("gain", 3.0),)}
    built = build(Hyperparameters(**SMALL | levels), own_code=code)
    power = [module for module in built.modules() if type(module).__name__ == "Power"]
    assert len(power) == 2
    batch = build(Hyperparameters(**SMALL | {network: family}), own_code=code)
    widths = [module.num_features for module in batch.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert [len(module.get_parameter("scale")) for module in power] == widths
    assert all((module.get_parameter("scale") == 3).all() for module in power)


@pytest.mark.parametrize(("own_levels", "eps"), [((), 1e-8), ((("eps", 0.5),), 0.5)])
def test_a_first_parameter_with_a_default_is_not_the_width(
    tmp_path: Path, own_levels: tuple[tuple[str, float], ...], eps: float
) -> None:
    hp = Hyperparameters(**SMALL, generator_normalization="parts.py:Pixel", own=own_levels)
    built = generator(hp, own_code=own(tmp_path, OWN_NETWORKS))
    found = [module.eps for module in built.modules() if type(module).__name__ == "Pixel"]
    assert found == [eps] * 3


def test_own_parts_that_are_no_networks(tmp_path: Path) -> None:
    code = own(tmp_path, OWN_NETWORKS)
    with pytest.raises(OwnPartError, match=r"gives a int, not a torch\.nn\.Module"):
        generator(Hyperparameters(generator="parts.py:no_module"), own_code=code)
    with pytest.raises(OwnPartError, match=r"hidden\.weight has no size before the first batch"):
        generator(Hyperparameters(generator="parts.py:Lazy"), own_code=code)
