"""What is found before training: each layer's shape and size, and every way in which networks and losses do not fit."""

from __future__ import annotations

import pickle
import re
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from preflight_parts import check, refused

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.errors import HarnessError
from harness.gan.networks.build import build_discriminator, build_generator, parameter_count
from harness.gan.preflight import LayerCheck, PreflightError, check_networks
from harness.gan.randomness import random_stream

NOTHING = OwnCode({})


def test_layers_of_built_in_networks_as_they_run() -> None:
    hp = Hyperparameters(resolution=8, latent_dim=5, generator_hidden_dim=4, discriminator_hidden_dim=4)
    checked = check_networks(hp, 3, NOTHING)
    assert checked.generator.layers == (
        LayerCheck("latent", "Unflatten", (5, 1, 1), 0),
        LayerCheck("map4.weighted", "ConvTranspose2d", (4, 4, 4), 5 * 4 * 16 + 4),
        LayerCheck("map4.normalization", "BatchNorm2d", (4, 4, 4), 8),
        LayerCheck("map4.activation", "LeakyReLU", (4, 4, 4), 0),
        LayerCheck("image", "ConvTranspose2d", (3, 8, 8), 4 * 3 * 16),
        LayerCheck("tanh", "Tanh", (3, 8, 8), 0),
    )
    assert [(layer.name, layer.output) for layer in checked.discriminator.layers] == [
        ("map4.weighted", (4, 4, 4)),
        ("map4.activation", (4, 4, 4)),
        ("logit", (1, 1, 1)),
        ("flat", ()),
    ]
    assert checked.warnings == ()


@pytest.mark.parametrize(
    "levels",
    [
        {},
        {"generator": "upsample_cnn", "discriminator": "cnn4", "discriminator_normalization": "spectral"},
        {"generator": "mlp_conv", "discriminator": "cnn2_mlp", "generator_dropout": 0.5, "discriminator_dropout": 0.5},
        {"generator_normalization": "instance", "discriminator": "cnn2", "discriminator_normalization": "instance"},
    ],
)
def test_counts_and_sizes_are_those_of_the_built_networks(levels: dict[str, Any]) -> None:
    hp = Hyperparameters(**levels)
    checked = check_networks(hp, 3, NOTHING)
    for one, network in (
        (checked.generator, build_generator(hp, 3, random_stream(0, "g"), NOTHING)),
        (checked.discriminator, build_discriminator(hp, 3, random_stream(0, "d"), NOTHING)),
    ):
        assert one.parameters == parameter_count(network) == sum(layer.parameters for layer in one.layers)
        state = network.state_dict().values()
        assert one.weights_bytes == sum(tensor.numel() * tensor.element_size() for tensor in state)


def test_published_weight_sizes() -> None:
    """Experiment C: a generator of about 1 MB, discriminators of about 5 KB and 40 MB."""
    levels = {"resolution": 28, "generator": "mlp", "generator_hidden_dim": 108, "generator_output": "sigmoid"}
    little = {"discriminator": "cnn2", "discriminator_hidden_dim": 6, "discriminator_normalization": "none"}
    large = {"discriminator": "cnn2_mlp", "discriminator_hidden_dim": 80}
    checked = check_networks(Hyperparameters(**levels | little), 1, NOTHING)
    assert 0.95e6 < checked.generator.weights_bytes < 1.05e6
    assert checked.discriminator.weights_bytes == 4 * 1_309
    checked = check_networks(Hyperparameters(**levels | large), 1, NOTHING)
    assert 39e6 < checked.discriminator.weights_bytes < 42e6


def test_wide_built_in_networks_cost_nothing() -> None:
    """12 GB of weights each, if they were made."""
    hp = Hyperparameters(resolution=128, generator_hidden_dim=1024, discriminator_hidden_dim=1024)
    begin = time.monotonic()
    checked = check_networks(hp, 3, NOTHING)
    assert time.monotonic() - begin < 2
    assert checked.generator.parameters > 2.8e9


def test_the_global_random_state_is_left_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    check(tmp_path, NORM, generator_normalization="parts.py:Keep")
    assert torch.equal(torch.get_rng_state(), before)


GENERATOR = """
class Net(nn.Module):
    def __init__(self, latent_dim, channels, resolution):
        super().__init__()
        self.size = (%s)
        self.image = nn.Linear(latent_dim, %s)

    def forward(self, z):
        return %s
"""
SIZE = ("channels, resolution, resolution", "channels * resolution**2")


def test_an_own_generator_that_fits(tmp_path: Path) -> None:
    checked = check(
        tmp_path, GENERATOR % (*SIZE, "torch.tanh(self.image(z)).unflatten(1, self.size)"), generator="parts.py:Net"
    )
    assert checked.generator.layers == (LayerCheck("image", "Linear", (256,), 6 * 256),)
    assert (checked.generator.parameters, checked.generator.weights_bytes) == (1536, 6144)
    assert checked.warnings == ()


def test_own_images_of_a_wrong_shape(tmp_path: Path) -> None:
    text = GENERATOR % ("channels, 8, 8", "channels * 64", "torch.tanh(self.image(z)).unflatten(1, self.size)")
    said = refused(tmp_path, text, generator="parts.py:Net")
    assert "generator parts.py:Net: gives images of shape [2, 1, 8, 8], not [2, 1, 16, 16]" in said


def test_own_images_with_other_channels_than_the_data(tmp_path: Path) -> None:
    text = GENERATOR % (
        "1, resolution, resolution",
        "resolution**2",
        "torch.tanh(self.image(z)).unflatten(1, self.size)",
    )
    said = refused(tmp_path, text, channels=3, generator="parts.py:Net")
    assert "[2, 1, 16, 16], not [2, 3, 16, 16]" in said
    assert "The data's images have 3 channels" in said


@pytest.mark.parametrize(
    ("end", "output", "expected"),
    [
        (
            "torch.sigmoid(x)",
            "tanh",
            r"gives images in \[0, 1\] whatever its weights, as a sigmoid does; generator_output",
        ),
        (
            "torch.tanh(x)",
            "sigmoid",
            r'gives images in \[-0\.\d+, 0\.\d+\]; generator_output "sigmoid" scales the data to',
        ),
        ("x + 3", "tanh", r'gives images in \[[\d.]+, [\d.]+\]; generator_output "tanh" scales the data to \[-1, 1\]'),
        ("x / 0", "tanh", r"gives images with NaN or infinite values"),
    ],
)
def test_own_images_of_a_wrong_range(tmp_path: Path, end: str, output: str, expected: str) -> None:
    text = GENERATOR % (*SIZE, end.replace("x", "self.image(z).unflatten(1, self.size)"))
    assert re.search(expected, refused(tmp_path, text, generator="parts.py:Net", generator_output=output))


def test_a_range_that_only_first_weights_keep_is_a_warning(tmp_path: Path) -> None:
    text = GENERATOR % (*SIZE, "self.image(z).unflatten(1, self.size)")
    (warning,) = check(tmp_path, text, generator="parts.py:Net").warnings
    assert "generator parts.py:Net: other weights give images outside [-1, 1]" in warning


NORM = """
class Keep(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(channels))

    def forward(self, x):
        return x * self.scale.view(1, -1, *[1] * (x.dim() - 2))


class Halve(nn.Module):
    def __init__(self, channels):
        super().__init__()

    def forward(self, maps):
        return maps[..., ::2, ::2]


class MapsOnly(nn.Module):
    def __init__(self, channels):
        super().__init__()

    def forward(self, maps):
        n, c, h, w = maps.shape
        return maps
"""


def test_an_own_normalization(tmp_path: Path) -> None:
    checked = check(tmp_path, NORM, generator="mlp_conv", generator_normalization="parts.py:Keep")
    assert [layer for layer in checked.generator.layers if layer.kind == "Keep"] == [
        LayerCheck("hidden1.normalization", "Keep", (16,), 16),
        LayerCheck("hidden2.normalization", "Keep", (4, 16, 16), 4),
    ]
    assert checked.warnings == ()


def test_an_own_normalization_that_changes_the_shape(tmp_path: Path) -> None:
    said = refused(tmp_path, NORM, discriminator_normalization="parts.py:Halve")
    assert "discriminator cnn: layer map4.normalization (Halve): a normalization keeps the shape" in said
    assert "makes [2, 8, 2, 2] of [2, 8, 4, 4]" in said


def test_an_own_normalization_that_cannot_take_features(tmp_path: Path) -> None:
    said = refused(tmp_path, NORM, generator="mlp", generator_normalization="parts.py:MapsOnly")
    assert "generator mlp: layer hidden1.normalization: " in said
    assert "ValueError: not enough values to unpack" in said
    assert said.startswith("parts.py:")


def test_errors_are_harness_errors_and_cross_processes(tmp_path: Path) -> None:
    error = PreflightError("what", where="where", remedy="remedy")
    assert isinstance(error, HarnessError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
