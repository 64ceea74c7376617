"""What the discriminator is told of each image: smoothed, drawn, swapped, the same at every resume."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from gan_tasks import CPU, small

from harness.gan.draws import Draws
from harness.gan.labels import Targets

MANY = 4096


def draws(steps: int = 100, seed: int = 0, **levels: Any) -> Draws:
    return Draws(small(batch_size=MANY, **levels), seed, steps, CPU)


def shares(targets: torch.Tensor) -> dict[float, float]:
    values, counts = targets.unique(return_counts=True)
    return {
        round(value, 6): count / len(targets) for value, count in zip(values.tolist(), counts.tolist(), strict=True)
    }


def test_plain_labels_are_one_and_zero_and_draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    source = draws()
    monkeypatch.setattr("harness.gan.draws.random_stream", lambda *_: pytest.fail("a stream was opened"))
    targets = source.targets(5, 0)
    assert shares(targets.real) == {1.0: 1.0} and shares(targets.fake) == {0.0: 1.0}
    assert targets.real.dtype == torch.float32 and targets.real.shape == (MANY,)


def test_labels_may_be_smoothed_on_one_or_both_sides() -> None:
    both = draws(real_label=0.9, fake_label=0.1).targets(0, 0)
    assert shares(both.real) == {0.9: 1.0} and shares(both.fake) == {0.1: 1.0}
    one = draws(real_label=0.9).targets(0, 0)
    assert shares(one.real) == {0.9: 1.0} and shares(one.fake) == {0.0: 1.0}


def test_a_range_is_drawn_uniformly_for_each_image() -> None:
    targets = draws(real_label=(0.9, 1.0)).targets(0, 0)
    assert 0.9 <= targets.real.min() < 0.901 and 0.999 < targets.real.max() <= 1.0
    assert targets.real.double().mean().item() == pytest.approx(0.95, abs=0.002)
    assert targets.real.double().std().item() == pytest.approx(0.1 / 12**0.5, rel=0.05)
    assert shares(targets.fake) == {0.0: 1.0}
    both = draws(real_label=(0.7, 0.9), fake_label=(0.0, 0.2)).targets(0, 0)
    assert not torch.allclose((both.real - 0.7), both.fake, atol=1e-3)  # each class has its own draw


def test_swaps_hit_single_images_with_their_probability() -> None:
    targets = draws(label_swap=0.25, real_label=0.9, fake_label=0.1).targets(3, 0)
    assert shares(targets.real)[0.1] == pytest.approx(0.25, abs=0.03)
    assert shares(targets.fake)[0.9] == pytest.approx(0.25, abs=0.03)
    assert set(shares(targets.real)) == set(shares(targets.fake)) == {0.1, 0.9}
    both = ((targets.real < 0.5) & (targets.fake > 0.5)).double().mean().item()
    assert both == pytest.approx(0.0625, abs=0.02)  # the two batches are swapped apart
    always = draws(label_swap=1.0).targets(0, 0)
    assert shares(always.real) == {0.0: 1.0} and shares(always.fake) == {1.0: 1.0}


def test_a_swapped_image_gets_a_label_of_the_other_class() -> None:
    targets = draws(label_swap=0.5, real_label=(0.9, 1.0), fake_label=0.2).targets(0, 0)
    swapped = targets.real < 0.5
    assert shares(targets.real[swapped]) == {0.2: 1.0} and swapped.double().mean().item() == pytest.approx(
        0.5, abs=0.03
    )
    assert targets.real[~swapped].min() >= 0.9 and len(targets.real[~swapped].unique()) > 1000
    assert len(targets.fake[targets.fake > 0.5].unique()) > 1000


def test_swaps_fall_to_nothing() -> None:
    source = draws(steps=200, label_swap=0.8, label_swap_decay=0.5)
    for step, share in ((0, 0.8), (25, 0.6), (50, 0.4), (75, 0.2), (99, 0.008), (100, 0.0), (150, 0.0)):
        assert shares(source.targets(step, 0).real).get(0.0, 0.0) == pytest.approx(share, abs=0.03), step
    assert shares(source.targets(100, 0).real) == {1.0: 1.0}


def test_fewer_swaps_are_a_part_of_more() -> None:
    """Cells that differ in the probability alone share their draws."""
    few, many = (draws(label_swap=p).targets(4, 0).real == 0 for p in (0.1, 0.3))
    assert (few & ~many).sum() == 0 and few.sum() < many.sum()


def test_targets_are_a_function_of_seed_step_and_update() -> None:
    levels: dict[str, Any] = {"label_swap": 0.3, "real_label": (0.7, 1.0), "fake_label": (0.0, 0.3)}
    first = draws(**levels).targets(7, 0)
    assert all(torch.equal(*pair) for pair in zip(parts(first), parts(draws(**levels).targets(7, 0)), strict=True))
    others = [draws(**levels).targets(8, 0), draws(**levels).targets(7, 1), draws(seed=1, **levels).targets(7, 0)]
    for other in others:
        assert not any(torch.equal(*pair) for pair in zip(parts(first), parts(other), strict=True))


def parts(targets: Targets) -> tuple[torch.Tensor, torch.Tensor]:
    return targets.real, targets.fake


@pytest.mark.parametrize(("output", "half_range"), [("tanh", 1.0), ("sigmoid", 0.5)])
def test_instance_noise_has_its_deviation_in_units_of_the_range(output: str, half_range: float) -> None:
    source = draws(steps=100, instance_noise=0.4, instance_noise_decay=0.5, generator_output=output)
    shape = torch.Size((512, 1, 8, 8))
    for step, deviation in ((0, 0.4), (25, 0.2), (40, 0.08)):
        noise = source.noise(shape, step, ("discriminator", 0), "real")
        assert noise is not None and noise.double().std().item() == pytest.approx(deviation * half_range, rel=0.02)
        assert abs(noise.double().mean().item()) < 0.01
    assert source.noise(shape, 50, ("discriminator", 0), "real") is None
    assert draws().noise(shape, 0, ("discriminator", 0), "real") is None


def test_every_look_at_images_has_noise_of_its_own() -> None:
    source, shape = draws(instance_noise=0.1), torch.Size((4, 1, 8, 8))
    looks = [
        source.noise(shape, step, (network, update), kind)  # type: ignore[arg-type]
        for step in (0, 1)
        for network, kind in (("discriminator", "real"), ("discriminator", "fake"), ("generator", "fake"))
        for update in (0, 1)
    ]
    assert len({look.sum().item() for look in looks if look is not None}) == 12


def test_latents_of_further_updates_are_streams_of_their_own() -> None:
    source = draws()
    places = [
        (step, network, update) for step in (0, 1) for network in ("discriminator", "generator") for update in (0, 1)
    ]
    assert len({source.latents(*place).sum().item() for place in places}) == 8  # type: ignore[arg-type]
    assert torch.equal(source.latents(1, "discriminator", 0), draws(steps=7).latents(1, "discriminator", 0))


def test_mixing_is_uniform() -> None:
    mixing = draws(loss="wasserstein_gp", discriminator_normalization="none").mixing(0, 0)
    assert mixing.shape == (MANY,) and 0 <= mixing.min() < 0.01 and 0.99 < mixing.max() < 1
    assert mixing.double().mean().item() == pytest.approx(0.5, abs=0.02)
