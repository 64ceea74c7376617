"""The default levels train as the first version did, to the bit: its loop, kept here, and numbers that it gave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from gan_tasks import NO_OWN_CODE, assert_equal, records, run, small_task, stored_state
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from harness.gan.networks.build import build_discriminator, build_generator
from harness.gan.randomness import random_stream
from harness.gan.training import TrainingTask, train


class FirstLoop:
    """The first version's step as it was written, with its order of all operations."""

    def __init__(self, task: TrainingTask, images: Tensor) -> None:
        self.hp, self.images = task.hyperparameters, images
        self.layout = {"cnn": torch.channels_last, "mlp": torch.preserve_format}
        self.g = self.made("generator", build_generator, task.channels)
        self.d = self.made("discriminator", build_discriminator, task.channels)
        self.adam_g, self.adam_d = self.adam(self.g), self.adam(self.d)

    def made(self, network: str, build: Any, channels: int) -> Any:
        made = build(self.hp, channels, random_stream(0, "initialization", network), NO_OWN_CODE)
        return made.to(memory_format=self.layout[getattr(self.hp, network)])

    def adam(self, network: torch.nn.Module) -> torch.optim.Adam:
        return torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999), weight_decay=0.0, fused=True)

    def step(self, number: int) -> Tensor:
        size, layout = self.hp.batch_size, self.layout[self.hp.discriminator]
        epoch, place = divmod(number, len(self.images) // size)
        order = torch.randperm(len(self.images), generator=random_stream(0, "data order", epoch))
        real = self.images[order[place * size : (place + 1) * size]].float() / 127.5 - 1.0
        real = real.contiguous(memory_format=layout)
        fake = self.g(torch.randn(size, self.hp.latent_dim, generator=random_stream(0, "latents", number)))

        real_logits = self.d(real)
        fake_logits = self.d(fake.detach())
        loss_d = binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits))
        loss_d = loss_d + binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
        self.adam_d.zero_grad()
        torch.autograd.backward(loss_d)
        self.adam_d.step()

        self.d.requires_grad_(False)
        updated = self.d(fake)
        loss_g = binary_cross_entropy_with_logits(updated, torch.ones_like(updated))
        self.adam_g.zero_grad()
        torch.autograd.backward(loss_g)
        self.adam_g.step()
        self.d.requires_grad_(True)
        values = [loss_g.detach(), loss_d.detach()]
        values += [logits.detach().sigmoid().mean() for logits in (real_logits, fake_logits, updated)]
        values += [(real_logits > 0).float().mean(), (fake_logits < 0).float().mean()]
        return torch.stack(values).double()


FAMILIES = [("cnn", "cnn", 1), ("mlp", "mlp", 1), ("mlp", "cnn", 3), ("cnn", "mlp", 3)]


@pytest.mark.parametrize("normalization", ["batch", "none"])
@pytest.mark.parametrize(("generator", "discriminator", "channels"), FAMILIES)
def test_the_first_versions_loop_gives_the_same_bits(
    tmp_path: Path, generator: str, discriminator: str, channels: int, normalization: str
) -> None:
    shape = (100, channels, 16, 16)
    images = torch.randint(0, 256, shape, dtype=torch.uint8, generator=random_stream(0, "images"))
    levels = {"generator": generator, "discriminator": discriminator, "normalization": normalization}
    task = replace(small_task(tmp_path, steps=7, log_every=1, resolution=16, **levels), channels=channels)
    first = FirstLoop(task, images)
    expected = [first.step(number).tolist() for number in range(7)]
    train(task, images, lambda: False)

    found = [list(record.values())[2:] for record in records(task.run)]
    assert found == expected
    state = stored_state(task.run)
    assert_equal(dict(state["generator"]), dict(first.g.state_dict()))
    assert_equal(dict(state["discriminator"]), dict(first.d.state_dict()))
    assert_equal(state["generator_optimizer"], first.adam_g.state_dict())


FIRST_VERSION: dict[tuple[str, str], dict[str, Any]] = {
    ("cnn", "batch"): {
        "record": [0.6938796758651733, 1.383512282371521, 0.5010858416557312, 0.4996917963027954, 0.49963390827178955],
        "generator": {"map4.weighted.weight": 6.286223316, "image.weight": 1.068613448},
        "discriminator": {"map4.weighted.weight": 0.989158262, "logit.weight": 1.084122761},
    },
    ("cnn", "none"): {
        "record": [0.6940916657447815, 1.3831753253936767, 0.5011479377746582, 0.499585223197937, 0.4995279848575592],
        "generator": {"map4.weighted.weight": 6.629224273, "image.weight": 1.254651682},
        "discriminator": {"map4.weighted.weight": 0.989042989, "logit.weight": 1.091913812},
    },
    ("mlp", "batch"): {
        "record": [0.6940251350402832, 1.3850825548171997, 0.5002827525138855, 0.49963905215263366, 0.4995668470859528],
        "generator": {"hidden1.weighted.weight": 1.632488286, "image.weight": 4.103078578},
        "discriminator": {"hidden1.weighted.weight": 16.483099551, "logit.weight": 0.042860471},
    },
    ("mlp", "none"): {
        "record": [0.6931615114212036, 1.3862695693969727, 0.5000062465667725, 0.49999388456344607, 0.4999928057193756],
        "generator": {"hidden1.weighted.weight": 1.641020119, "image.weight": 4.484642332},
        "discriminator": {"hidden1.weighted.weight": 16.921636807, "logit.weight": 0.090447608},
    },
}
"""Of 20 steps on the digits: means of steps 16 to 20 in the order of the records, sums of absolute weights."""


@pytest.mark.parametrize(("architecture", "normalization"), FIRST_VERSION)
def test_the_first_versions_numbers_come_out(tmp_path: Path, architecture: str, normalization: str) -> None:
    """To the digits that all machines have in common; the last bits are the machine's own."""
    task = small_task(tmp_path, steps=20, log_every=5, architecture=architecture, normalization=normalization)
    run(task)
    expected = FIRST_VERSION[architecture, normalization]
    state = stored_state(task.run)
    assert list(records(task.run)[-1].values())[2:7] == pytest.approx(expected["record"], rel=2e-5)
    for network in ("generator", "discriminator"):
        for name, total in expected[network].items():
            assert state[network][name].double().abs().sum().item() == pytest.approx(total, rel=1e-3), name
