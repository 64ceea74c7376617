"""K replicates of one cell as one batched program: stacked by torch.func, or with K groups by hand.

A trial that is kept as evidence, no part of harness. By hand, each convolution has K groups, each batch norm K * C
channels, and linear layers go through `bmm`. `difference` compares losses with those of separate training.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.functional import binary_cross_entropy_with_logits

from harness.data.own_code import OwnCode
from harness.data.resize import to_float
from harness.design.factors import Hyperparameters
from harness.gan.adversarial import Rules, whole_step
from harness.gan.batches import Batches
from harness.gan.draws import Draws
from harness.gan.inputs import DrawnInputs
from harness.gan.losses import adversarial_loss
from harness.gan.networks.layout import lay_out
from harness.gan.state import TrainingState, discriminator_layout, initial_state

Way = Literal["separate", "vmap", "grouped", "grouped NCHW"]
"""One by one; stacked; with groups and maps channels last, or channels first."""

CPU = torch.device("cpu")
NO_OWN_CODE = OwnCode({})
STEPS_IN_ALL = 10**6


class Program(Protocol):
    """K seeds of one cell. step: one step of all of them; returns [K, 5], the metrics from losses to probabilities."""

    def step(self) -> Tensor: ...


class Separate:
    """K runs, each with its own networks, stepped one after the other."""

    def __init__(self, hp: Hyperparameters, seeds: int, images: Tensor) -> None:
        self._rules = Rules(hp, adversarial_loss(hp, NO_OWN_CODE), discriminator_layout(hp, CPU))
        self._states = _states(hp, seeds, images)
        self._inputs = _Inputs(hp, seeds, images)

    def step(self) -> Tensor:
        given = self._inputs.next()
        return torch.stack(
            [whole_step(state, one, self._rules)[:5] for state, one in zip(self._states, given, strict=True)]
        )


class Batched:
    """One program for K seeds: experiment A's step (cross entropy, one update each, a shared fake batch)."""

    def __init__(self, hp: Hyperparameters, seeds: int, images: Tensor, way: Way) -> None:
        if (hp.loss, hp.discriminator_steps, hp.generator_steps, hp.fake_batch) != ("bce", 1, 1, "shared"):
            raise ValueError("this trial knows experiment A's step only")
        states = _states(hp, seeds, images)
        kind = Stacked if way == "vmap" else Grouped
        last = way == "grouped" and hp.discriminator == "cnn"
        layout = torch.channels_last if last else torch.contiguous_format
        self._generator = kind([state.generator for state in states], layout)
        self._discriminator = kind([state.discriminator for state in states], layout)
        self._generator_adam = _adam(self._generator, hp.generator_lr, hp.generator_betas)
        self._discriminator_adam = _adam(self._discriminator, hp.discriminator_lr, hp.discriminator_betas)
        self._inputs = _Inputs(hp, seeds, images)
        self._hp = hp

    def step(self) -> Tensor:
        hp, generator, discriminator = self._hp, self._generator, self._discriminator
        given = [one.discriminator(0) for one in self._inputs.next()]
        fake = generator(generator.together([one.latents for one in given]))
        real = to_float(discriminator.together([one.real for one in given]), hp.generator_output)

        real_logits, fake_logits = discriminator.logits(real), discriminator.logits(fake.detach())
        loss_d = _bce(real_logits, torch.stack([one.real_targets for one in given]))
        loss_d = loss_d + _bce(fake_logits, torch.stack([one.fake_targets for one in given]))
        _update(self._discriminator_adam, loss_d)

        with discriminator.frozen():
            again = discriminator.logits(fake)
            loss_g = _bce(again, torch.full_like(again, hp.generator_target))
            _update(self._generator_adam, loss_g)
        with torch.no_grad():
            means = [logits.sigmoid().mean(1) for logits in (real_logits, fake_logits, again)]
            return torch.stack([loss_g, loss_d, *means], 1)


class Stacked:
    """K networks as one, stacked and mapped by torch. What goes in and comes out is [K, N, ...]."""

    def __init__(self, networks: Sequence[nn.Module], layout: torch.memory_format) -> None:
        self._weights, self._buffers = stack_module_state(list(networks))
        self._given = self._weights
        base = without_hooks(networks[0]).to("meta")
        self._mapped = vmap(lambda weights, buffers, x: functional_call(base, (weights, buffers), (x,)))

    def parameters(self) -> list[Tensor]:
        return list(self._weights.values())

    def __call__(self, batches: Tensor) -> Tensor:
        return self._mapped(self._given, self._buffers, batches)

    logits = __call__

    def together(self, of_each: list[Tensor]) -> Tensor:
        return torch.stack(of_each)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self._given = {name: weight.detach() for name, weight in self._weights.items()}
        yield
        self._given = self._weights


class Grouped:
    """K networks as one with K groups. What goes in and comes out is [N, K * C, ...], logits are [K, N]."""

    def __init__(self, networks: Sequence[nn.Module], layout: torch.memory_format) -> None:
        self._layout = layout
        self._network = lay_out(grouped([without_hooks(network) for network in networks]), layout)

    def parameters(self) -> list[Tensor]:
        return list(self._network.parameters())

    def __call__(self, batches: Tensor) -> Tensor:
        return self._network(batches)

    def logits(self, images: Tensor) -> Tensor:
        return self(images.contiguous(memory_format=self._layout)).t()

    def together(self, of_each: list[Tensor]) -> Tensor:
        return torch.cat(of_each, 1)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        self._network.requires_grad_(False)
        yield
        self._network.requires_grad_(True)


def without_hooks(network: nn.Module) -> nn.Module:
    """A copy without what harness does to lay out one network's maps."""
    made = copy.deepcopy(network)
    for layer in made.modules():
        layer._forward_hooks.clear()
    return made


def grouped(networks: Sequence[nn.Module]) -> nn.Module:
    """One network whose k-th group of channels is the k-th network; TypeError for a layer that this trial lacks."""
    first, count = networks[0], len(networks)
    match first:
        case nn.Sequential():
            names = [name for name, _ in first.named_children()]
            layers = [grouped([network.get_submodule(name) for network in networks]) for name in names]
            return nn.Sequential(*layers)
        case nn.Conv2d() | nn.ConvTranspose2d():
            made = copy.deepcopy(first)
            made.groups = count
            made.in_channels, made.out_channels = count * first.in_channels, count * first.out_channels
            return _joined(made, networks)
        case nn.BatchNorm1d() | nn.BatchNorm2d():
            made = copy.deepcopy(first)
            made.num_features = count * first.num_features
            return _joined(made, networks)
        case nn.Linear():
            return GroupedLinear(networks)
        case nn.Unflatten():
            features, *sides = first.unflattened_size
            return nn.Unflatten(1, (count * features, *sides))
        case nn.Flatten():
            return nn.Flatten(1)  # logits: [N, K, 1, 1] -> [N, K]
        case nn.Identity() | nn.LeakyReLU() | nn.ReLU() | nn.Tanh() | nn.Sigmoid():
            return copy.deepcopy(first)
    raise TypeError(f"no grouped form of {type(first).__name__}")


class GroupedLinear(nn.Module):
    """[N, K * I] -> [N, K * O], each I features by their own weights."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach().t() for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach()[None] for layer in layers]))

    def forward(self, features: Tensor) -> Tensor:
        apart = features.view(len(features), len(self.weight), -1).transpose(0, 1)
        return torch.baddbmm(self.bias, apart, self.weight).transpose(0, 1).reshape(len(features), -1)


def _joined(made: nn.Module, networks: Sequence[nn.Module]) -> nn.Module:
    """The layer with the networks' parameters and buffers one behind the other."""
    for name, parameter in made.named_parameters(recurse=False):
        joined = torch.cat([network.get_parameter(name).detach() for network in networks])
        setattr(made, name, nn.Parameter(joined, requires_grad=parameter.requires_grad))
    for name, buffer in made.named_buffers(recurse=False):
        if buffer.dim():  # not batch norm's counter
            setattr(made, name, torch.cat([network.get_buffer(name) for network in networks]))
    return made


class _Inputs:
    """What each of K seeds is given, step by step."""

    def __init__(self, hp: Hyperparameters, seeds: int, images: Tensor) -> None:
        self._batches = [Batches(images, hp.batch_size, seed) for seed in range(seeds)]
        self._draws = [Draws(hp, seed, STEPS_IN_ALL, CPU) for seed in range(seeds)]
        self._step = -1

    def next(self) -> list[DrawnInputs]:
        self._step += 1
        return [DrawnInputs(*pair, self._step) for pair in zip(self._batches, self._draws, strict=True)]


def _states(hp: Hyperparameters, seeds: int, images: Tensor) -> list[TrainingState]:
    return [initial_state(hp, images.shape[1], seed, CPU, NO_OWN_CODE) for seed in range(seeds)]


def _bce(logits: Tensor, targets: Tensor) -> Tensor:
    """[K] of logits and targets [K, N]."""
    return binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(1)


def _adam(network: Stacked | Grouped, lr: float, betas: tuple[float, float]) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=lr, betas=betas, fused=True)


def _update(adam: torch.optim.Adam, losses: Tensor) -> None:
    """losses: [K]; no seed's weights are in another's, so that their sum gives each its own gradient."""
    adam.zero_grad()
    torch.autograd.backward(losses.sum())
    adam.step()


def program(way: Way, hp: Hyperparameters, seeds: int, images: Tensor) -> Program:
    return Separate(hp, seeds, images) if way == "separate" else Batched(hp, seeds, images, way)


def difference(way: Way, hp: Hyperparameters, seeds: int, images: Tensor, steps: int) -> float:
    """The largest difference of a loss or mean probability of any seed at any step from separate training."""
    one, other = program("separate", hp, seeds, images), program(way, hp, seeds, images)
    return max(float((one.step() - other.step()).abs().max()) for _ in range(steps))
