"""Schedules are functions of the step and the total: where they begin, where they end, and what they leave behind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from gan_tasks import run, small_task, stored_state

from harness.gan.schedules import fallen, learning_rate_factor, scaled_learning_rates


def test_falling_ends_at_its_fraction() -> None:
    assert [fallen(0.8, 0.5, step, 8) for step in range(9)] == pytest.approx([0.8, 0.6, 0.4, 0.2, 0, 0, 0, 0, 0])
    assert fallen(0.8, 0.5, 4, 8) == 0 and fallen(0.8, 1.0, 7, 8) == pytest.approx(0.1)
    assert [fallen(0.8, "none", step, 8) for step in (0, 8)] == [0.8, 0.8]


def test_learning_rates_fall_from_their_fraction_on() -> None:
    factors = [learning_rate_factor(0.5, step, 8) for step in range(8)]
    assert factors == pytest.approx([1, 1, 1, 1, 1, 0.75, 0.5, 0.25])
    assert [learning_rate_factor(0.0, step, 4) for step in range(4)] == pytest.approx([1, 0.75, 0.5, 0.25])
    assert [learning_rate_factor("none", step, 4) for step in (0, 3)] == [1.0, 1.0]
    assert all(learning_rate_factor(0.3, step, 7) > 0 for step in range(7))


def test_rates_are_back_after_each_step() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    adam = torch.optim.Adam([weight], lr=0.1)
    with pytest.raises(ValueError, match="any"), scaled_learning_rates(0.3, adam):
        assert adam.param_groups[0]["lr"] == pytest.approx(0.03)
        raise ValueError("any")
    assert adam.param_groups[0]["lr"] == 0.1


def first_move(root: Path, **levels: Any) -> dict[str, torch.Tensor]:
    """By how much the last of eight steps moves the weights of both networks."""
    states = []
    for name, upto in (("before", 7), ("after", 8)):
        task = small_task(root / name, steps=8, log_every=1, checkpoint_every=8, **levels)
        calls = iter(range(100))
        run(task, lambda calls=calls, upto=upto: next(calls) >= upto)  # type: ignore[misc]
        states.append(stored_state(task.run))
    return {
        network: torch.cat([(states[1][network][name] - value).flatten() for name, value in weights.items()])
        for network in ("generator", "discriminator")
        for weights in ({n: v for n, v in states[0][network].items() if n.endswith("weight")},)
    }


def test_both_rates_reach_the_optimizers(tmp_path: Path) -> None:
    """Adam's step is proportional to the rate: in the last of eight steps it is a quarter under decay from one half."""
    levels: dict[str, Any] = {"generator_betas": (0.0, 0.0), "discriminator_betas": (0.0, 0.0)}
    falling = first_move(tmp_path / "falling", lr_decay_from=0.5, **levels)
    constant = first_move(tmp_path / "constant", **levels)
    for network in falling:
        ratio = falling[network].abs().median() / constant[network].abs().median()
        assert ratio.item() == pytest.approx(0.25, rel=0.02)  # with betas 0 every weight moves by the rate


def test_states_hold_the_levels_rates_at_any_place_of_the_schedule(tmp_path: Path) -> None:
    task = small_task(tmp_path, steps=10, lr_decay_from=0.2, generator_lr=1e-3)
    run(task)
    state = stored_state(task.run)
    assert state["generator_optimizer"]["param_groups"][0]["lr"] == 1e-3
    assert state["discriminator_optimizer"]["param_groups"][0]["lr"] == 2e-4
