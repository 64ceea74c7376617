"""The networks are those of the reference experiments: their sizes, shapes, ranges, and where each level acts."""

from __future__ import annotations

import hashlib
from itertools import product
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from harness.data.own_code import OwnCode
from harness.design.combinations import CNN_RESOLUTIONS
from harness.design.factors import Hyperparameters
from harness.gan.networks.build import build_discriminator, build_generator, generator_with, parameter_count
from harness.gan.randomness import random_stream

NOTHING = OwnCode({})
SMALL = {"latent_dim": 5, "generator_hidden_dim": 2, "discriminator_hidden_dim": 2}
GENERATORS = {"cnn": CNN_RESOLUTIONS, "mlp": (4, 33), "mlp_conv": (4, 28, 33), "upsample_cnn": (8, 12, 28, 64)}
DISCRIMINATORS = {
    "cnn": CNN_RESOLUTIONS,
    "mlp": (4, 33),
    "cnn2": (8, 9, 28),
    "cnn2_mlp": (8, 9, 28),
    "cnn4": (16, 28, 33),
}


def generator(hp: Hyperparameters, channels: int = 1, seed: int = 0, own_code: OwnCode = NOTHING) -> nn.Module:
    return build_generator(hp, channels, random_stream(seed, "initialization", "generator"), own_code)


def discriminator(hp: Hyperparameters, channels: int = 1, seed: int = 0, own_code: OwnCode = NOTHING) -> nn.Module:
    return build_discriminator(hp, channels, random_stream(seed, "initialization", "discriminator"), own_code)


def both(**levels: Any) -> dict[str, Any]:
    """`normalization = "batch"` and the like, for both networks."""
    return {f"{network}{name}": level for name, level in levels.items() for network in ("generator", "discriminator")}


def count(network: nn.Module, *kinds: type[nn.Module]) -> int:
    return sum(isinstance(module, kinds) for module in network.modules())


def digest(network: nn.Module) -> str:
    """Of names, types, shapes and values of all parameters and buffers."""
    content = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        content.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        content.update(tensor.contiguous().numpy().tobytes())
    return content.hexdigest()[:16]


@pytest.mark.parametrize(
    ("family", "normalization", "resolution", "channels", "expected"),
    [
        ("cnn", "batch", 32, 1, ("08eb975c760aa2e5", "e84b0dc48172834f")),
        ("cnn", "none", 32, 1, ("e4a62f3f7f0ef6ab", "1304390f48e1e4d1")),
        ("cnn", "batch", 8, 3, ("022384cfaf97a31a", "46abb06661605acc")),
        ("cnn", "batch", 64, 3, ("bd6c117c443f30c8", "44e4f92431632a0e")),
        ("mlp", "batch", 32, 1, ("f24312b67b9014d8", "42df6cdc6a0e41ba")),
        ("mlp", "none", 28, 1, ("b6d500542b267da3", "5492418714a18007")),
    ],
)
def test_default_networks_keep_their_names_and_first_weights(
    family: str, normalization: str, resolution: int, channels: int, expected: tuple[str, str]
) -> None:
    """Bits of the first release: stored checkpoints and keys depend on them."""
    levels = {"generator": family, "discriminator": family} | both(_normalization=normalization)
    hp = Hyperparameters(resolution=resolution, **levels)
    assert (digest(generator(hp, channels)), digest(discriminator(hp, channels))) == expected


MLP = {"generator": "mlp", "discriminator": "mlp"}
STABLE = {"generator": "upsample_cnn", "discriminator": "cnn4", "resolution": 28} | both(_hidden_dim=64)
VERSIONS = {"resolution": 28, "generator": "mlp", "generator_output": "sigmoid"}


@pytest.mark.parametrize(
    ("levels", "channels", "expected"),
    [
        ({"latent_dim": 16} | both(_hidden_dim=16), 1, (57_936, 42_545)),
        ({"latent_dim": 16} | both(_hidden_dim=100), 1, (1_706_100, 1_609_901)),
        ({"latent_dim": 100} | both(_hidden_dim=16), 1, (143_952, 42_545)),
        ({"latent_dim": 100} | both(_hidden_dim=100), 1, (2_243_700, 1_609_901)),
        (MLP | {"latent_dim": 16} | both(_hidden_dim=16), 1, (21_328, 68_321)),
        (both(_kernel_size=5, _hidden_dim=128) | {"resolution": 64}, 3, (18_856_960, 17_234_689)),
        (both(_kernel_size=5, _hidden_dim=64) | {"resolution": 128}, 3, (19_057_152, 17_435_009)),
        (STABLE, 1, (856_065, 2_756_801)),
        (
            VERSIONS
            | {"discriminator": "cnn2", "discriminator_hidden_dim": 6, "discriminator_normalization": "none"}
            | {"generator_hidden_dim": 108},
            1,
            (247_564, 1_309),
        ),
        (
            VERSIONS | {"discriminator": "cnn2_mlp", "generator_hidden_dim": 940, "discriminator_hidden_dim": 80},
            1,
            (9_969_484, 10_156_801),
        ),
    ],
    ids=["A 16/16", "A 16/100", "A 100/16", "A 100/100", "A mlp", "B 64", "B 128", "D", "C v3", "C v5 and 40 MB"],
)
def test_parameter_counts(levels: dict[str, Any], channels: int, expected: tuple[int, int]) -> None:
    """Experiments A and D: the published ones. B and C: counted by formula from the widths that their files choose."""
    hp = Hyperparameters(**levels)
    assert (parameter_count(generator(hp, channels)), parameter_count(discriminator(hp, channels))) == expected


@pytest.mark.parametrize(
    ("family", "resolution", "channels", "output"),
    [
        (family, resolution, channels, output)
        for family, resolutions in GENERATORS.items()
        for resolution, channels, output in product(resolutions, [1, 3], ["tanh", "sigmoid"])
    ],
)
def test_generators_give_images_in_the_outputs_range(family: str, resolution: int, channels: int, output: str) -> None:
    kernel = 5 if channels == 3 else 4
    levels = {"generator": family, "discriminator": "mlp", "resolution": resolution, "generator_kernel_size": kernel}
    hp = Hyperparameters(**SMALL | levels | {"generator_output": output, "generator_normalization": "none"})
    network = generator(hp, channels)
    for parameter in network.parameters():
        parameter.data.mul_(1000)
    images = network(torch.randn(3, 5))
    assert images.shape == (3, channels, resolution, resolution)
    low = -1 if output == "tanh" else 0
    assert low <= images.min() and images.max() <= 1
    assert (images.min() < 0) == (output == "tanh")


@pytest.mark.parametrize(
    ("family", "resolution", "channels", "normalization"),
    [
        (family, resolution, channels, normalization)
        for family, resolutions in DISCRIMINATORS.items()
        for resolution, channels, normalization in product(resolutions, [1, 3], ["batch", "spectral"])
    ],
)
def test_discriminators_give_one_logit_each(family: str, resolution: int, channels: int, normalization: str) -> None:
    kernel = 5 if channels == 3 else 4
    levels = {
        "discriminator": family,
        "generator": "mlp",
        "resolution": resolution,
        "discriminator_kernel_size": kernel,
    }
    hp = Hyperparameters(**SMALL | levels | {"discriminator_normalization": normalization})
    assert discriminator(hp, channels)(torch.randn(3, channels, resolution, resolution)).shape == (3,)


def test_widths_follow_the_map_size() -> None:
    hp = Hyperparameters(resolution=128, **both(_hidden_dim=4))
    transposed = [module for module in generator(hp).modules() if isinstance(module, nn.ConvTranspose2d)]
    assert [module.out_channels for module in transposed] == [64, 32, 16, 8, 4, 1]
    assert [module.bias is None for module in transposed] == [False, False, False, False, False, True]
    convolutions = [module for module in discriminator(hp).modules() if isinstance(module, nn.Conv2d)]
    assert [module.out_channels for module in convolutions] == [4, 8, 16, 32, 64, 1]
    assert all(module.bias is not None for module in convolutions)


@pytest.mark.parametrize(
    ("resolution", "base", "widths"), [(32, 4, [16, 8, 4]), (28, 7, [8, 4]), (112, 7, [32, 16, 8, 4])]
)
@pytest.mark.parametrize("kernel", [4, 5])
def test_kernels_of_the_strided_pair(resolution: int, base: int, widths: list[int], kernel: int) -> None:
    hp = Hyperparameters(resolution=resolution, **both(_hidden_dim=4, _kernel_size=kernel))
    transposed = [module for module in generator(hp).modules() if isinstance(module, nn.ConvTranspose2d)]
    assert [module.kernel_size[0] for module in transposed] == [base, *[kernel] * len(widths)]
    assert [module.out_channels for module in transposed] == [*widths, 1]
    convolutions = [module for module in discriminator(hp).modules() if isinstance(module, nn.Conv2d)]
    assert [module.kernel_size[0] for module in convolutions] == [*[kernel] * len(widths), base]


NORMALIZED = {
    "generator": {"cnn": (3, 0), "mlp": (0, 3), "mlp_conv": (1, 1), "upsample_cnn": (3, 0)},
    "discriminator": {"cnn": (2, 0), "mlp": (0, 2), "cnn2": (1, 0), "cnn2_mlp": (1, 1), "cnn4": (3, 0)},
}
"""How many layers of maps and of features have a normalization at 32x32: in discriminators not the first."""


@pytest.mark.parametrize(
    ("network", "family"), [(network, family) for network, families in NORMALIZED.items() for family in families]
)
def test_normalization_is_everywhere_but_next_to_the_image(network: str, family: str) -> None:
    maps, features = NORMALIZED[network][family]
    build = generator if network == "generator" else discriminator

    def built(normalization: str) -> nn.Module:
        return build(Hyperparameters(**SMALL | {network: family, f"{network}_normalization": normalization}))

    batch = built("batch")
    assert (count(batch, nn.BatchNorm2d), count(batch, nn.BatchNorm1d)) == (maps, features)
    assert not count(built("none"), nn.BatchNorm1d, nn.BatchNorm2d, nn.InstanceNorm2d)
    first = next(module for name, module in batch.named_modules() if name.endswith(".normalization"))
    assert isinstance(first, nn.Identity) == (network == "discriminator")
    if not features:
        instance = built("instance")
        assert count(instance, nn.InstanceNorm2d) == maps
        assert all(module.affine for module in instance.modules() if isinstance(module, nn.InstanceNorm2d))


@pytest.mark.parametrize("family", DISCRIMINATORS)
def test_spectral_normalization_is_of_every_weight(family: str) -> None:
    """Miyato et al. 2018: each weight matrix has spectral norm 1, the images' own layer included."""
    levels = {"discriminator": family, "discriminator_normalization": "spectral", "discriminator_hidden_dim": 4}
    network = discriminator(Hyperparameters(**levels)).eval()
    weighted = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert weighted and all(is_parametrized(module, "weight") for module in weighted)
    assert not count(network, nn.BatchNorm1d, nn.BatchNorm2d)
    for module in weighted:
        largest = torch.linalg.matrix_norm(module.weight.flatten(1), ord=2)
        assert 0.99 < largest < 1.3  # torch's 15 power iterations come near, from above


@pytest.mark.parametrize(
    ("network", "family", "maps", "features"),
    [
        ("generator", "cnn", 3, 0),
        ("generator", "mlp", 0, 3),
        ("generator", "mlp_conv", 1, 1),
        ("generator", "upsample_cnn", 3, 0),
        ("discriminator", "cnn", 3, 0),
        ("discriminator", "mlp", 0, 3),
        ("discriminator", "cnn2", 2, 0),
        ("discriminator", "cnn2_mlp", 2, 1),
        ("discriminator", "cnn4", 4, 0),
    ],
)
def test_dropout_follows_every_hidden_activation(network: str, family: str, maps: int, features: int) -> None:
    build = generator if network == "generator" else discriminator
    with_dropout = build(Hyperparameters(**SMALL | {network: family, f"{network}_dropout": 0.3}))
    assert (count(with_dropout, nn.Dropout2d), count(with_dropout, nn.Dropout)) == (maps, features)
    assert {module.p for module in with_dropout.modules() if isinstance(module, nn.Dropout | nn.Dropout2d)} == {0.3}
    blocks = [module for module in with_dropout.children() if isinstance(module, nn.Sequential)]
    assert all([name for name, _ in block.named_children()][-2:] == ["activation", "dropout"] for block in blocks)
    without = build(Hyperparameters(**SMALL | {network: family}))
    assert not count(without, nn.Dropout, nn.Dropout2d)
    assert list(without.state_dict()) == list(with_dropout.state_dict())


@pytest.mark.parametrize("family", ["cnn", "mlp"])
def test_activation_is_chosen_for_each_network(family: str) -> None:
    levels = {"generator": family, "discriminator": family, "generator_activation": "relu"}
    hp = Hyperparameters(**SMALL | levels)

    def activations(network: nn.Module) -> set[tuple[type, float | None]]:
        kinds = (nn.ReLU, nn.LeakyReLU)
        found = [module for module in network.modules() if isinstance(module, kinds)]
        return {(type(module), getattr(module, "negative_slope", None)) for module in found}

    assert activations(generator(hp)) == {(nn.ReLU, None)}
    assert activations(discriminator(hp)) == {(nn.LeakyReLU, 0.2)}


def test_upsampling_repeats_pixels() -> None:
    network = generator(Hyperparameters(**SMALL | {"generator": "upsample_cnn", "resolution": 8}))
    upsample = network.get_submodule("map4.upsample")
    assert torch.equal(upsample(torch.tensor([[[[1.0, 2.0]]]])), torch.tensor([[[[1.0, 1, 2, 2], [1, 1, 2, 2]]]]))


def test_weights_that_do_not_fit_are_refused() -> None:
    hp = Hyperparameters(**SMALL | {"generator_hidden_dim": 4})
    weights = generator(hp).state_dict()
    rebuilt = generator_with(hp, 1, weights, NOTHING)
    latents = torch.randn(2, 5)
    assert torch.equal(rebuilt(latents), generator(hp)(latents))
    with pytest.raises(RuntimeError, match="size mismatch"):
        generator_with(Hyperparameters(**SMALL | {"generator_hidden_dim": 8}), 1, weights, NOTHING)
