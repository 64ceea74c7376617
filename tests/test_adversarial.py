"""A step's updates: how many, on which images, with which noise and loss, compared with a loop written plainly."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from gan_tasks import CPU, NO_OWN_CODE, StopAfter, assert_equal, digits, records, run, small_task, stored_state
from torch import Tensor, nn

from harness.data.own_code import OwnCode
from harness.errors import OwnPartError
from harness.gan.adversarial import Rules, adversarial_step
from harness.gan.batches import Batches
from harness.gan.draws import Draws
from harness.gan.inputs import DrawnInputs
from harness.gan.losses import adversarial_loss
from harness.gan.networks.build import build_discriminator, build_generator
from harness.gan.randomness import random_stream
from harness.gan.state import initial_state
from harness.gan.training import TrainingTask, make_deterministic, train

CRITIC: dict[str, Any] = {"loss": "wasserstein_gp", "discriminator_normalization": "none"}


class PlainLoop:
    """The updates of any levels, without freezing, memory formats, fused kernels and shared forward passes."""

    def __init__(self, task: TrainingTask) -> None:
        self.hp, self.total = task.hyperparameters, task.settings.steps
        hp = self.hp
        self.g = build_generator(hp, 1, random_stream(0, "initialization", "generator"), NO_OWN_CODE)
        self.d = build_discriminator(hp, 1, random_stream(0, "initialization", "discriminator"), NO_OWN_CODE)
        self.adam_g = torch.optim.Adam(self.g.parameters(), lr=hp.generator_lr, betas=hp.generator_betas)
        self.adam_d = torch.optim.Adam(self.d.parameters(), lr=hp.discriminator_lr, betas=hp.discriminator_betas)
        self.batch = 0

    def step(self, number: int) -> dict[str, float]:
        hp, losses_d, losses_g = self.hp, [], []
        for update in range(hp.discriminator_steps):
            name = ("latents", number) if update == 0 else ("latents", number, "discriminator", update)
            made = self.g(self.draw(torch.randn, name, hp.latent_dim))
            looks = [
                self.noisy(images, number, "discriminator", update, kind)
                for images, kind in ((self.next_real(), "real"), (made.detach(), "fake"))
            ]
            losses_d.append(self.update(self.adam_d, self.loss_d(*looks, number, update)))
        for update in range(hp.generator_steps):
            if update > 0 or hp.fake_batch == "fresh":
                made = self.g(self.draw(torch.randn, ("latents", number, "generator", update), hp.latent_dim))
            fake = self.noisy(made, number, "generator", update, "fake")
            losses_g.append(self.update(self.adam_g, self.loss_g(self.d(fake))))
        return {"loss/generator": sum(losses_g) / len(losses_g), "loss/discriminator": sum(losses_d) / len(losses_d)}

    def next_real(self) -> Tensor:
        size = self.hp.batch_size
        epoch, place = divmod(self.batch, len(digits()) // size)
        self.batch += 1
        order = torch.randperm(len(digits()), generator=random_stream(0, "data order", epoch))
        images = digits()[order[place * size : (place + 1) * size]].float() / 255
        return images if self.hp.generator_output == "sigmoid" else images * 2 - 1

    def draw(self, kind: Any, name: tuple[Any, ...], *shape: int) -> Tensor:
        drawn: Tensor = kind(self.hp.batch_size, *shape, generator=random_stream(0, *name))
        return drawn

    def noisy(self, images: Tensor, number: int, network: str, update: int, kind: str) -> Tensor:
        deviation = self.hp.instance_noise * (0.5 if self.hp.generator_output == "sigmoid" else 1)
        if self.hp.instance_noise_decay != "none":
            deviation *= max(0, 1 - number / (self.hp.instance_noise_decay * self.total))
        noise = self.draw(torch.randn, ("instance noise", number, network, update, kind), *images.shape[1:])
        return images + deviation * noise

    def loss_d(self, real: Tensor, fake: Tensor, number: int, update: int) -> Tensor:
        on_real, on_fake = self.d(real), self.d(fake)
        match self.hp.loss:
            case "wasserstein_gp":
                e = self.draw(torch.rand, ("penalty mixing", number, update), 1, 1, 1)
                between = (real + (1 - e) * (fake - real)).requires_grad_()
                (slope,) = torch.autograd.grad(self.d(between).sum(), between, create_graph=True)
                penalty = ((slope.square().sum((1, 2, 3)).sqrt() - 1) ** 2).mean()
                return on_fake.mean() - on_real.mean() + self.hp.gradient_penalty * penalty
            case "least_squares":
                return ((on_real - 0.9) ** 2 + (on_fake - 0.1) ** 2).mean() / 2
            case _:
                return -on_real.sigmoid().log().mean() - (1 - on_fake.sigmoid()).log().mean()

    def loss_g(self, on_fake: Tensor) -> Tensor:
        match self.hp.loss:
            case "wasserstein_gp":
                return -on_fake.mean()
            case "least_squares":
                return ((on_fake - 1) ** 2).mean() / 2
            case _:
                return -on_fake.sigmoid().log().mean()

    def update(self, adam: torch.optim.Adam, loss: Tensor) -> float:
        self.adam_g.zero_grad()
        self.adam_d.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        return loss.item()


CASES: dict[str, dict[str, Any]] = {
    "three updates of D": {"discriminator_steps": 3},
    "three updates of G": {"generator_steps": 3},
    "fresh fakes": {"fake_batch": "fresh"},
    "fresh fakes, two updates each": {"fake_batch": "fresh", "discriminator_steps": 2, "generator_steps": 2},
    "least squares, smoothed": {"loss": "least_squares", "real_label": 0.9, "fake_label": 0.1},
    "gradient penalty": {**CRITIC, "gradient_penalty": 3.0, "discriminator_steps": 2},
    "gradient penalty on noisy images": {**CRITIC, "instance_noise": 0.2},
    "gradient penalty beside instance norm": {
        **CRITIC,
        "discriminator_normalization": "instance",
        "discriminator": "cnn2",
    },
    "noise that falls": {"instance_noise": 0.5, "instance_noise_decay": 0.75, "generator_output": "sigmoid"},
}


@pytest.mark.parametrize("case", CASES)
def test_updates_equal_a_plain_loop(tmp_path: Path, case: str) -> None:
    rates = {"generator_lr": 1e-3, "discriminator_lr": 2e-3}
    task = small_task(tmp_path, steps=4, log_every=1, **rates, **CASES[case])
    loop = PlainLoop(task)
    run(task)
    for number, record in enumerate(records(task.run)):
        expected = loop.step(number)
        for name, value in expected.items():
            assert record[name] == pytest.approx(value, rel=2e-4, abs=1e-5), (name, number)
    state = stored_state(task.run)
    for network, weights in ((loop.g, state["generator"]), (loop.d, state["discriminator"])):
        for name, value in network.state_dict().items():
            if name.endswith(("weighted.bias", "running_mean")):
                continue  # batch norm undoes this bias: its gradient is rounding noise, which Adam scales up
            torch.testing.assert_close(weights[name], value, rtol=2e-3, atol=5e-5, msg=lambda m, n=name: f"{n}: {m}")


def test_every_update_of_the_discriminator_has_its_own_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    at = Batches.at
    monkeypatch.setattr(Batches, "at", lambda self, number: asked.append(number) or at(self, number))
    run(small_task(tmp_path, steps=3, discriminator_steps=4, generator_steps=2))
    assert asked == list(range(12))


def test_only_shared_fakes_go_back_through_the_generator(tmp_path: Path) -> None:
    """Three updates of D, one of G: the generator runs four times for fresh fakes, three times for a shared batch."""
    for fake_batch, expected in (("fresh", [False, False, False, True]), ("shared", [False, False, True])):
        state = initial_state(small_task(tmp_path).hyperparameters, 1, 0, CPU, NO_OWN_CODE)
        graphs: list[bool] = []
        state.generator.register_forward_hook(lambda *a, graphs=graphs: graphs.append(a[2].requires_grad))
        step_once(state, fake_batch=fake_batch, discriminator_steps=3)
        assert graphs == expected


def step_once(state: Any, **levels: Any) -> Tensor:
    hp = small_task(Path("unused"), **levels).hyperparameters
    rules = Rules(hp, adversarial_loss(hp, NO_OWN_CODE), torch.preserve_format)
    inputs = DrawnInputs(Batches(digits(), hp.batch_size, 0), Draws(hp, 0, 10, CPU), state.step)
    return adversarial_step(state, inputs, rules)


class Logits(nn.Module):
    """Gives the logits that it is told, one batch at each call; its weight does nothing but have a gradient."""

    def __init__(self, rows: list[list[float]]) -> None:
        super().__init__()
        self.rows = iter(rows)
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        return torch.tensor(next(self.rows)) + self.weight + 0 * images.sum()


def test_metrics_are_means_over_a_steps_updates(tmp_path: Path) -> None:
    levels = {"batch_size": 2, "discriminator_steps": 2, "generator_steps": 2, "discriminator_lr": 1e-9}
    hp = small_task(tmp_path, **levels).hyperparameters
    rows = [[1.0, -1.0], [-2.0, 0.5], [3.0, 0.25], [-1.0, -0.5], [0.75, 0.5], [9.0, 9.0]]
    state = initial_state(hp, 1, 0, CPU, NO_OWN_CODE)
    state.discriminator = Logits(rows)
    loss_g, loss_d, real, before, after, right_real, right_fake = step_once(state, **levels).tolist()
    s = [[1 / (1 + math.exp(-logit)) for logit in row] for row in rows]
    assert real == pytest.approx((sum(s[0]) + sum(s[2])) / 4)
    assert before == pytest.approx((sum(s[1]) + sum(s[3])) / 4)
    assert after == pytest.approx(sum(s[4]) / 2)
    assert (right_real, right_fake) == (0.75, 0.75)
    assert loss_g == pytest.approx(-sum(map(math.log, s[4] + s[5])) / 4)
    on_real, on_fake = -sum(map(math.log, s[0] + s[2])) / 4, -sum(math.log(1 - p) for p in s[1] + s[3]) / 4
    assert loss_d == pytest.approx(on_real + on_fake)


def test_accuracies_are_counted_at_the_losses_threshold(tmp_path: Path) -> None:
    rows = [[0.75, 0.25], [0.4, 0.6], [0.0, 0.0]]
    for loss, expected in (("least_squares", (0.5, 0.5)), ("hinge", (1.0, 0.0))):
        levels = {"batch_size": 2, "loss": loss}
        state = initial_state(small_task(tmp_path, **levels).hyperparameters, 1, 0, CPU, NO_OWN_CODE)
        state.discriminator = Logits(rows)
        assert tuple(step_once(state, **levels).tolist()[2:]) == expected


def test_frozen_weights_of_ones_own_stay_frozen(tmp_path: Path) -> None:
    state = initial_state(small_task(tmp_path).hyperparameters, 1, 0, CPU, NO_OWN_CODE)
    weight = next(state.discriminator.parameters()).requires_grad_(False)
    before = weight.clone()
    for _ in range(2):
        step_once(state)
    assert not weight.requires_grad and torch.equal(weight, before)
    assert all(parameter.requires_grad for parameter in list(state.discriminator.parameters())[1:])


@pytest.mark.parametrize("case", ["gradient penalty", "gradient penalty beside instance norm"])
def test_the_gradient_penalty_repeats_in_deterministic_mode(tmp_path: Path, case: str) -> None:
    tasks = [small_task(tmp_path / name, steps=4, **CASES[case]) for name in ("plain", "strict", "again")]
    run(tasks[0])
    try:
        make_deterministic(CPU)
        run(tasks[1])
        run(tasks[2])
    finally:
        torch.use_deterministic_algorithms(False)
    for task in tasks[1:]:
        assert_equal(stored_state(tasks[0].run), stored_state(task.run))


BROKEN = """
from torch import nn

class Broken(nn.Module):
    def __init__(self, channels, resolution):
        super().__init__()
        self.weight = nn.Linear(channels * resolution ** 2, 1)
        self.seen = 0

    def forward(self, images):
        self.seen += 1
        if self.seen > 5:
            raise ValueError("too many batches")
        return self.weight(images.view(len(images), -1))
"""


def test_what_the_users_code_raises_in_training_is_told_at_its_line(tmp_path: Path) -> None:
    path = tmp_path / "nets.py"
    path.write_text(BROKEN)
    task = small_task(tmp_path / "run", discriminator="nets.py:Broken")
    task = replace(task, own_code=OwnCode({"nets.py": path}))
    with pytest.raises(OwnPartError, match="ValueError: too many batches") as caught:
        train(task, digits(), StopAfter(100))
    assert caught.value.where == "nets.py:13"
    assert torch.is_grad_enabled()
