"""The networks are those of reference experiment A; their first weights come from the given stream alone."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from harness.design.factors import CNN_RESOLUTIONS, Hyperparameters
from harness.gan.networks.build import build_discriminator, build_generator, generator_with, parameter_count
from harness.gan.randomness import random_stream


def generator(channels: int = 1, seed: int = 0, **levels: Any) -> nn.Module:
    return build_generator(hyperparameters(**levels), channels, random_stream(seed, "test"))


def discriminator(channels: int = 1, seed: int = 0, **levels: Any) -> nn.Module:
    return build_discriminator(hyperparameters(**levels), channels, random_stream(seed, "test"))


def hyperparameters(*, architecture: str = "cnn", hidden: int = 4, **levels: Any) -> Hyperparameters:
    both = {"generator": architecture, "discriminator": architecture}
    widths = {"generator_hidden_dim": hidden, "discriminator_hidden_dim": hidden}
    return Hyperparameters(**{"latent_dim": 5} | both | widths | levels)


@pytest.mark.parametrize(
    ("architecture", "latent_dim", "hidden", "expected"),
    [
        ("cnn", 16, 16, (57_936, 42_545)),
        ("cnn", 16, 100, (1_706_100, 1_609_901)),
        ("cnn", 100, 16, (143_952, 42_545)),
        ("cnn", 100, 100, (2_243_700, 1_609_901)),
        ("mlp", 16, 16, (21_328, 68_321)),
    ],
)
def test_published_parameter_counts(architecture: str, latent_dim: int, hidden: int, expected: tuple[int, int]) -> None:
    levels = {"architecture": architecture, "latent_dim": latent_dim, "hidden": hidden, "resolution": 32}
    assert (parameter_count(generator(**levels)), parameter_count(discriminator(**levels))) == expected


@pytest.mark.parametrize(
    ("architecture", "resolution", "channels"),
    [*product(["cnn"], CNN_RESOLUTIONS, [1, 2, 3]), *product(["mlp"], [4, 28, 33], [1, 2, 3])],
)
def test_forward_shapes_and_ranges(architecture: str, resolution: int, channels: int) -> None:
    levels = {"architecture": architecture, "resolution": resolution, "hidden": 2}
    images = generator(channels, **levels)(torch.randn(3, 5) * 100)
    assert images.shape == (3, channels, resolution, resolution)
    assert images.abs().max() <= 1
    assert discriminator(channels, **levels)(images).shape == (3,)


def test_networks_may_be_of_different_families() -> None:
    hp = Hyperparameters(generator="mlp", discriminator="cnn", latent_dim=5, resolution=16)
    images = build_generator(hp, 3, random_stream(0, "g"))(torch.randn(2, 5))
    assert build_discriminator(hp, 3, random_stream(0, "d"))(images).shape == (2,)


def test_widths_follow_the_map_size() -> None:
    transposed = [m for m in generator(hidden=4, resolution=128).modules() if isinstance(m, nn.ConvTranspose2d)]
    assert [m.out_channels for m in transposed] == [64, 32, 16, 8, 4, 1]
    assert [m.bias is None for m in transposed] == [False, False, False, False, False, True]
    convolutions = [m for m in discriminator(hidden=4, resolution=128).modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [4, 8, 16, 32, 64, 1]
    assert all(m.bias is not None for m in convolutions)


@pytest.mark.parametrize("architecture", ["cnn", "mlp"])
def test_normalization_is_everywhere_but_next_to_the_image(architecture: str) -> None:
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)

    def count(network: nn.Module) -> int:
        return sum(isinstance(module, kinds) for module in network.modules())

    batch = {"architecture": architecture, "resolution": 32, "normalization": "batch"}
    assert (count(generator(**batch)), count(discriminator(**batch))) == (3, 2)
    none = batch | {"normalization": "none"}
    assert (count(generator(**none)), count(discriminator(**none))) == (0, 0)


@pytest.mark.parametrize("architecture", ["cnn", "mlp"])
def test_activation_is_chosen_for_each_network(architecture: str) -> None:
    levels = {
        "architecture": architecture,
        "generator_activation": "relu",
        "discriminator_activation": "leaky_relu",
    }

    def activations(network: nn.Module) -> set[tuple[type, float | None]]:
        kinds = (nn.ReLU, nn.LeakyReLU)
        found = [module for module in network.modules() if isinstance(module, kinds)]
        return {(type(module), getattr(module, "negative_slope", None)) for module in found}

    assert activations(generator(**levels)) == {(nn.ReLU, None)}
    assert activations(discriminator(**levels)) == {(nn.LeakyReLU, 0.2)}


@pytest.mark.parametrize("architecture", ["cnn", "mlp"])
@pytest.mark.parametrize("build", [generator, discriminator])
def test_initial_values(architecture: str, build: Any) -> None:
    network = build(architecture=architecture, hidden=64, resolution=32)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert abs(module.weight.mean() - 1) < 0.01
            assert 0.01 < module.weight.std() < 0.03
            assert module.running_mean is not None and not module.running_mean.any()
            assert module.running_var is not None and (module.running_var == 1).all()
            assert module.num_batches_tracked == 0
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            few = 5 / module.weight.numel() ** 0.5
            assert abs(module.weight.mean()) < 0.02 * few
            assert abs(module.weight.std() / 0.02 - 1) < few
        else:
            continue
        assert module.bias is None or not module.bias.any()


@pytest.mark.parametrize("architecture", ["cnn", "mlp"])
@pytest.mark.parametrize("build", [generator, discriminator])
def test_only_the_given_stream_matters(architecture: str, build: Any) -> None:
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        states.append(build(architecture=architecture).state_dict())
        assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])

    other = build(architecture=architecture, seed=1).state_dict()
    assert not any(torch.equal(states[0][name], other[name]) for name in other if name.endswith("weighted.weight"))


def test_weights_that_do_not_fit_are_refused() -> None:
    weights = generator(hidden=4).state_dict()
    rebuilt = generator_with(hyperparameters(hidden=4), 1, weights)
    latents = torch.randn(2, 5)
    assert torch.equal(rebuilt(latents), generator(hidden=4)(latents))
    with pytest.raises(RuntimeError, match="size mismatch"):
        generator_with(hyperparameters(hidden=8), 1, weights)
