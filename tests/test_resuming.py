"""Whatever a run draws or carries along: stopped and killed anywhere, it ends with the bits of the unbroken run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from gan_tasks import (
    KillAfter,
    Killed,
    StopAfter,
    assert_equal,
    assert_same_run,
    digits,
    records,
    run,
    small_task,
    stored_state,
)

from harness.data.own_code import OwnCode
from harness.gan.training import TrainingTask, train

OWN_PARTS = """
import torch
from torch import nn


class Power(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gain = nn.Parameter(torch.rand(channels))
        self.unused = nn.Parameter(torch.ones(channels))
        self.frozen = nn.Parameter(torch.ones(channels), requires_grad=False)
        self.register_buffer("power", torch.ones(channels))

    def forward(self, maps):
        if self.training:
            self.power.lerp_(maps.detach().square().mean((0, 2, 3)), 0.25)
        shape = (1, -1, 1, 1)
        return maps * (self.gain / (self.power + 1e-3).sqrt()).view(shape)


class Noisy(nn.Module):
    def __init__(self, latent_dim, resolution, alpha):
        super().__init__()
        self.pixels = nn.Linear(latent_dim, resolution**2)
        self.unused = nn.Parameter(torch.ones(3))
        self.first = nn.Parameter(torch.ones(1), requires_grad=False)
        self.resolution, self.alpha = resolution, alpha

    def forward(self, z):
        noise = self.alpha * torch.randn(len(z), self.resolution**2)
        return (self.pixels(z) + noise).tanh().view(-1, 1, self.resolution, self.resolution)


class Jittered:
    probabilities = True

    def discriminator(self, real_logits, fake_logits):
        shift = 0.1 * torch.rand_like(real_logits)
        return nn.functional.softplus(shift - real_logits).mean() + nn.functional.softplus(fake_logits).mean()

    def generator(self, fake_logits):
        return nn.functional.softplus(-fake_logits).mean()
"""

LEVELS: dict[str, dict[str, Any]] = {
    "dropout": {"dropout": 0.3},
    "dropout of features": {"architecture": "mlp", "dropout": 0.3},
    "drawn labels": {"real_label": (0.7, 1.0), "fake_label": (0.0, 0.3)},
    "swaps that fall": {"label_swap": 0.5, "label_swap_decay": 0.6},
    "instance noise that falls": {"instance_noise": 0.3, "instance_noise_decay": 0.6},
    "moving average": {"ema_decay": 0.9},
    "rates that fall": {"lr_decay_from": 0.25},
    "several updates": {"discriminator_steps": 3, "generator_steps": 2, "fake_batch": "fresh"},
    "gradient penalty": {"loss": "wasserstein_gp", "discriminator_normalization": "none"},
    "spectral normalisation": {"discriminator_normalization": "spectral", "loss": "hinge"},
    "one's own normalisation": {"normalization": "own.py:Power", "discriminator": "cnn2"},
    "one's own generator": {"generator": "own.py:Noisy", "own": {"alpha": 0.5}},
    "one's own loss": {"loss": "own.py:Jittered"},
    "all at once": {
        "generator": "own.py:Noisy",
        "own": {"alpha": 0.5},
        "discriminator_normalization": "spectral",
        "discriminator_dropout": 0.3,
        "real_label": (0.7, 1.0),
        "label_swap": 0.5,
        "label_swap_decay": 0.9,
        "instance_noise": 0.3,
        "instance_noise_decay": 0.6,
        "ema_decay": 0.9,
        "lr_decay_from": 0.25,
        "discriminator_steps": 2,
        "generator_steps": 2,
    },
}


def task(root: Path, levels: dict[str, Any]) -> TrainingTask:
    path = root / "own.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(OWN_PARTS)
    made = small_task(root / "run", steps=9, log_every=4, checkpoint_every=6, **levels)
    return replace(made, own_code=OwnCode({"own.py": path}))


@pytest.mark.parametrize("case", LEVELS)
def test_stopping_at_every_step_changes_no_bit(tmp_path: Path, case: str) -> None:
    """A new process at each step is stood for by other states of torch's global generator and a fresh import."""
    whole = task(tmp_path / "whole", LEVELS[case])
    assert run(whole).outcome == "finished"
    stopped = task(tmp_path / "stopped", LEVELS[case])
    for seed in range(9):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        result = run(task(tmp_path / "stopped", LEVELS[case]), StopAfter(1))
        assert result.step == seed + 1
        assert torch.equal(torch.get_rng_state(), before)
    assert result.outcome == "finished"
    assert_same_run(stopped.run, whole.run)


@pytest.mark.parametrize("case", ["all at once", "moving average"])
def test_a_killed_run_is_replayed_from_its_state(tmp_path: Path, case: str) -> None:
    whole, killed = task(tmp_path / "whole", LEVELS[case]), task(tmp_path / "killed", LEVELS[case])
    run(whole)
    with pytest.raises(Killed):
        run(killed, KillAfter(8))
    assert killed.run.committed_steps() == [6]
    assert run(killed).outcome == "finished"
    assert_same_run(killed.run, whole.run)


def test_each_of_these_levels_is_another_run(tmp_path: Path) -> None:
    """Else the cases above would show nothing: each must differ from the default, in records or in the state."""
    run(task(tmp_path / "default", {}))
    plain = task(tmp_path / "default", {})
    for case, levels in LEVELS.items():
        other = task(tmp_path / case.replace(" ", "-").replace("'", ""), levels)
        run(other)
        if case == "moving average":
            assert "average" in stored_state(other.run)
        else:
            assert records(other.run)[-1] != records(plain.run)[-1], case


@pytest.mark.parametrize("case", ["dropout", "one's own generator"])
def test_what_is_dropped_differs_by_step_and_seed(tmp_path: Path, case: str) -> None:
    """The stream is the step's: training twice as many steps begins with the same bits, another seed does not."""
    first, longer = task(tmp_path / "first", LEVELS[case]), task(tmp_path / "longer", LEVELS[case])
    run(first)
    longer = replace(longer, settings=longer.settings.model_copy(update={"steps": 12}))
    train(longer, digits(), StopAfter(9))
    assert_equal(stored_state(first.run), stored_state(longer.run))
    other = replace(task(tmp_path / "other", LEVELS[case]), seed=1)
    run(other)
    assert records(other.run) != records(first.run)


def test_a_state_with_an_average_is_of_another_run_where_none_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    averaged, plain = task(tmp_path / "1", LEVELS["moving average"]), task(tmp_path / "2", {})
    run(averaged)
    run(plain)
    for mine, other in ((averaged, plain), (plain, averaged)):
        again = replace(mine, run=other.run)
        caplog.clear()
        with caplog.at_level("WARNING", "harness"):
            run(again, StopAfter(0))
        assert "of another run or version" in caplog.text
