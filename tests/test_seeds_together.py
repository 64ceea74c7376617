"""The trial of seeds trained together trains the same as one by one."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest
from gan_tasks import digits, small
from torch import nn

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def batched(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("seeds_batched")


@pytest.mark.parametrize("family", ["cnn", "mlp"])
@pytest.mark.parametrize("way", ["vmap", "grouped", "grouped NCHW"])
def test_seeds_together_have_the_losses_of_separate_runs(batched: ModuleType, way: str, family: str) -> None:
    hp = small(generator=family, discriminator=family)
    assert batched.difference(way, hp, 3, digits(), steps=3) < 1e-4


def test_every_seed_has_its_own_losses(batched: ModuleType) -> None:
    """So that equal losses mean that no seed was mixed up with another."""
    losses = batched.program("separate", small(), 3, digits()).step()[:, 1].tolist()
    assert len({round(loss, 3) for loss in losses}) == 3


def test_what_the_trial_does_not_know_is_refused(batched: ModuleType) -> None:
    with pytest.raises(ValueError, match="experiment A's step only"):
        batched.program("grouped", small(fake_batch="fresh"), 2, digits())
    with pytest.raises(TypeError, match="no grouped form of Dropout"):
        batched.grouped([nn.Dropout(), nn.Dropout()])
