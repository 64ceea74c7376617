"""No factor is without an effect: any two levels give other networks, batches, losses, optimizers or first weights.

And the other way round: a factor that a plan puts back to its default changes no bit where it does so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import torch
from gan_tasks import CPU, digits, records, small, small_task, stored_state

from harness.data.cache import training_indices
from harness.data.own_code import OwnCode
from harness.data.resize import resize, to_float
from harness.design.factors import Hyperparameters
from harness.design.folding import fold
from harness.design.own_parts import parameters_of, read_own_source
from harness.gan.batches import Batches
from harness.gan.draws import Draws
from harness.gan.inputs import DrawnInputs
from harness.gan.state import initial_state
from harness.gan.training import train

OWN_PARTS = """
import torch
from torch import nn


class Generator(nn.Module):
    def __init__(self, latent_dim, resolution, alpha=1.0):
        super().__init__()
        self.pixels = nn.Linear(latent_dim, resolution**2)
        self.resolution, self.alpha = resolution, alpha

    def forward(self, z):
        return (self.alpha * self.pixels(z)).tanh().view(-1, 1, self.resolution, self.resolution)


class Discriminator(nn.Module):
    def __init__(self, resolution):
        super().__init__()
        self.logit = nn.Linear(resolution**2, 1)

    def forward(self, images):
        return self.logit(images.flatten(1))


class Scale(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), 2.0))

    def forward(self, maps):
        return maps * self.scale.view(1, -1, *[1] * (maps.dim() - 2))


class Shifted:
    def discriminator(self, real_logits, fake_logits):
        return nn.functional.softplus(1 - real_logits).mean() + nn.functional.softplus(fake_logits).mean()

    def generator(self, fake_logits):
        return nn.functional.softplus(-fake_logits).mean()
"""

Aspect = Literal["network", "first weights", "batch", "optimizer", "loss"]
STEPS = 4
OWN = {"generator": "own.py:Generator", "discriminator": "own.py:Discriminator"}
CRITIC: dict[str, Any] = {"loss": "wasserstein_gp", "discriminator_normalization": "none"}


@dataclass(frozen=True)
class Entry:
    """Levels of one factor that all differ from each other in `aspect`, beside what else the cell needs."""

    aspect: Aspect
    levels: tuple[Any, ...]
    beside: tuple[tuple[str, Any], ...] = ()


def entry(aspect: Aspect, *levels: Any, **beside: Any) -> Entry:
    return Entry(aspect, levels, tuple(beside.items()))


ENTRIES: dict[str, Entry] = {
    "generator": entry("network", "cnn", "mlp", "mlp_conv", "upsample_cnn", "own.py:Generator"),
    "discriminator": entry("network", "cnn", "mlp", "cnn2", "cnn2_mlp", "cnn4", "own.py:Discriminator", resolution=16),
    "latent_dim": entry("network", 5, 6),
    "generator_hidden_dim": entry("network", 3, 4),
    "discriminator_hidden_dim": entry("network", 3, 4),
    "generator_kernel_size": entry("network", 4, 5),
    "discriminator_kernel_size": entry("network", 4, 5),
    "generator_normalization": entry("network", "batch", "none", "instance", "own.py:Scale", resolution=16),
    "discriminator_normalization": entry(
        "network", "batch", "none", "instance", "spectral", "own.py:Scale", resolution=16
    ),
    "generator_activation": entry("network", "leaky_relu", "relu"),
    "discriminator_activation": entry("network", "leaky_relu", "relu"),
    "generator_output": entry("batch", "tanh", "sigmoid"),
    "generator_dropout": entry("network", 0.0, 0.25, 0.5),
    "discriminator_dropout": entry("network", 0.0, 0.25, 0.5),
    "initialization": entry("first weights", "dcgan", "dcgan_bn0", "pytorch"),
    "loss": entry(
        "loss", "bce", "least_squares", "hinge", "wasserstein_gp", "sigmoid_logits", "own.py:Shifted",
        discriminator_normalization="none",
    ),
    "gradient_penalty": entry("loss", 0.0, 1.0, 10.0, **CRITIC),
    "discriminator_loss_reduction": entry("loss", "sum", "mean"),
    "real_label": entry("batch", 1.0, 0.9, (0.9, 1.0), (0.8, 1.0)),
    "fake_label": entry("batch", 0.0, 0.1, (0.0, 0.1), (0.0, 0.2)),
    "generator_target": entry("loss", 1.0, 0.9),
    "label_swap": entry("batch", 0.0, 0.2, 0.7),
    "label_swap_decay": entry("loss", "none", 0.5, 1.0, label_swap=0.5),
    "instance_noise": entry("batch", 0.0, 0.1, 0.2),
    "instance_noise_decay": entry("loss", "none", 0.5, 1.0, instance_noise=0.3),
    "fake_batch": entry("loss", "shared", "fresh"),
    "discriminator_steps": entry("loss", 1, 2),
    "generator_steps": entry("loss", 1, 2),
    "generator_lr": entry("optimizer", 1e-4, 2e-4),
    "discriminator_lr": entry("optimizer", 1e-4, 2e-4),
    "lr_decay_from": entry("loss", "none", 0.0, 0.5),
    "generator_betas": entry("optimizer", (0.5, 0.999), (0.9, 0.999), (0.5, 0.9)),
    "discriminator_betas": entry("optimizer", (0.5, 0.999), (0.9, 0.999), (0.5, 0.9)),
    "generator_weight_decay": entry("optimizer", 0.0, 0.1),
    "discriminator_weight_decay": entry("optimizer", 0.0, 0.1),
    "ema_decay": entry("loss", 0.0, 0.5, 0.9),
    "resolution": entry("network", 8, 16),
    "batch_size": entry("batch", 16, 32),
    "limit": entry("batch", "all", 200, 100),
    "precision": entry("loss", "float32", "bf16"),
    "own": entry("loss", {"alpha": 0.5}, {"alpha": 1.5}, generator="own.py:Generator"),
}  # fmt: skip
"""Every factor; a new one needs its line here. The aspects beside "loss" are looked at before anything trains."""

NEEDS_A_GPU = {"precision": {"tf32"}}
"""Levels that no CPU trains with; that one is refused there."""


@pytest.fixture
def own_code(tmp_path: Path) -> OwnCode:
    path = tmp_path / "own.py"
    path.write_text(OWN_PARTS)
    return OwnCode({"own.py": path})


def images_of(hp: Hyperparameters) -> torch.Tensor:
    return resize(digits(), hp.resolution)[training_indices(len(digits()), hp.limit)]


def digest(*parts: object) -> str:
    plain = [[part.dtype, part.shape, part.tolist()] if isinstance(part, torch.Tensor) else part for part in parts]
    return hashlib.sha256(repr(plain).encode()).hexdigest()


def aspects(hp: Hyperparameters, own_code: OwnCode) -> dict[Aspect, str]:
    """What a run is before its first step."""
    state = initial_state(hp, 1, 0, CPU, own_code)
    networks = (state.generator, state.discriminator)
    given = DrawnInputs(Batches(images_of(hp), hp.batch_size, 0), Draws(hp, 0, STEPS, CPU), 0).discriminator(0)
    real = to_float(given.real, hp.generator_output)
    return {
        "network": digest(*(f"{network} {_shapes(network)}" for network in networks)),
        "first weights": digest(*(value for network in networks for value in network.state_dict().values())),
        "batch": digest(real, given.real_noise, given.real_targets, given.fake_targets),
        "optimizer": digest(
            state.generator_optimizer.state_dict()["param_groups"],
            state.discriminator_optimizer.state_dict()["param_groups"],
        ),
    }


def _shapes(network: torch.nn.Module) -> list[tuple[str, torch.Size]]:
    return [(name, value.shape) for name, value in network.state_dict().items()]


def trained(root: Path, hp: Hyperparameters, own_code: OwnCode) -> str:
    """What a few steps make of it: weights, moments, the moving average and the records."""
    task = small_task(root, steps=STEPS, log_every=1, checkpoint_every=STEPS)
    task = replace(task, hyperparameters=hp, own_code=own_code)
    assert train(task, images_of(hp), lambda: False).outcome == "finished"
    return digest(*_flat(stored_state(task.run)), records(task.run))


def _flat(value: Any) -> Iterator[object]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _flat(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _flat(inner)
    else:
        yield value


def test_every_factor_has_an_entry() -> None:
    assert ENTRIES.keys() == Hyperparameters.model_fields.keys()


def literals(annotation: Any) -> set[Any]:
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    return set().union(*(literals(part) for part in get_args(annotation)))


@pytest.mark.parametrize("factor", ENTRIES)
def test_entries_hold_every_named_level(factor: str) -> None:
    trained_here = literals(Hyperparameters.model_fields[factor].annotation) - NEEDS_A_GPU.get(factor, set())
    assert trained_here <= set(map(_hashable, ENTRIES[factor].levels))


def _hashable(level: Any) -> Any:
    return tuple(level.items()) if isinstance(level, dict) else level


@pytest.mark.parametrize("factor", ENTRIES)
def test_any_two_levels_differ(tmp_path: Path, own_code: OwnCode, factor: str) -> None:
    found = ENTRIES[factor]
    cells = [small(**{**dict(found.beside), factor: level}) for level in found.levels]
    ends = [trained(tmp_path / str(number), hp, own_code) for number, hp in enumerate(cells)]
    starts = [aspects(hp, own_code) for hp in cells]
    for (one, first), (other, second) in combinations(enumerate(found.levels), 2):
        assert ends[one] != ends[other], f"{factor} {first} trains as {second}"
        if found.aspect != "loss":
            assert starts[one][found.aspect] != starts[other][found.aspect], f"{factor}: {first}, {second}"


def test_what_is_compared_is_a_function_of_the_levels(tmp_path: Path, own_code: OwnCode) -> None:
    """Else two levels would differ by accident."""
    hp = small(dropout=0.2, label_swap=0.3, generator="own.py:Generator", own={"alpha": 0.5})
    assert aspects(hp, own_code) == aspects(hp, own_code)
    assert trained(tmp_path / "1", hp, own_code) == trained(tmp_path / "2", hp, own_code)


FOLDED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "kernel sizes without strided networks": (
        {"generator": "mlp_conv", "discriminator": "cnn2"},
        {"generator_kernel_size": 5, "discriminator_kernel_size": 5},
    ),
    "kernel sizes of the mlp": ({"architecture": "mlp"}, {"kernel_size": 5}),
    "normalization at 8 pixels": ({}, {"discriminator_normalization": "none"}),
    "first weights of normalization where there is none": (
        {"normalization": "none", "initialization": "dcgan"},
        {"initialization": "dcgan_bn0"},
    ),
    "gradient_penalty without its loss": ({"loss": "hinge"}, {"gradient_penalty": 3.0}),
    "labels without a loss of labels": (
        {"loss": "hinge"},
        {
            "real_label": (0.7, 0.9), "fake_label": 0.2, "generator_target": 0.8, "label_swap": 0.5,
            "label_swap_decay": 0.5,
        },
    ),
    "labels with the critic": (CRITIC, {"real_label": 0.9, "fake_label": (0.0, 0.2), "label_swap": 0.4}),
    "labels with a loss of one's own": ({"loss": "own.py:Shifted"}, {"real_label": 0.9, "label_swap": 0.4}),
    "the swaps' decay without swaps": ({}, {"label_swap_decay": 0.5}),
    "the noise's decay without noise": ({}, {"instance_noise_decay": 0.5}),
    "the reduction with a loss of one's own": (
        {"loss": "own.py:Shifted"},
        {"discriminator_loss_reduction": "mean"},
    ),
    "the reduction with the critic": (CRITIC, {"discriminator_loss_reduction": "mean"}),
    "what networks of one's own replace": (
        OWN,
        {"hidden_dim": 9, "kernel_size": 5, "normalization": "none", "activation": "relu", "dropout": 0.25},
    ),
    "own factors that no part takes": ({"loss": "own.py:Shifted"}, {"own": {"alpha": 0.5}}),
}  # fmt: skip
"""What is beside, and the levels that cannot matter there: every rule by which a plan folds."""


@pytest.mark.parametrize("rule", FOLDED)
def test_a_folded_factor_changes_no_bit(
    tmp_path: Path, own_code: OwnCode, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside, idle = FOLDED[rule]
    default, set_apart = small(**beside), small(**{**beside, **idle})
    monkeypatch.chdir(tmp_path)
    source = read_own_source("own.py")
    names = ("Generator", "Discriminator", "Scale", "Shifted")
    parameters = {f"own.py:{name}": parameters_of(source, name) for name in names}
    assert set_apart != default
    folded, changed = fold(set_apart, parameters)
    assert folded == fold(default, parameters)[0] and changed
    runs = [trained(tmp_path / str(number), hp, own_code) for number, hp in enumerate((default, set_apart, folded))]
    assert len(set(runs)) == 1
