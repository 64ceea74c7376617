"""How maps lie in memory, whether they are overwritten, what memory holds before: not a bit depends on it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from gan_tasks import CPU, NO_OWN_CODE, digits, small, small_task, stored_state
from torch import nn

from harness.gan import state as state_module
from harness.gan import training
from harness.gan.networks import layers
from harness.gan.networks.layout import lay_out
from harness.gan.state import initial_state
from harness.gan.training import fresh_memory, make_deterministic, train

CELLS: dict[str, dict[str, Any]] = {
    "cnn": {},
    "without norm": {"normalization": "none", "activation": "relu"},
    "instance norm": {"normalization": "instance"},
    "spectral norm, gradient penalty": {"discriminator_normalization": "spectral", "loss": "wasserstein_gp"},
    "mlp": {"architecture": "mlp", "dropout": 0.3},
    "mlp without norm": {"generator": "mlp_conv", "discriminator": "cnn2", "normalization": "none"},
}


def test_maps_of_gray_images_lie_channels_last() -> None:
    discriminator = initial_state(small(), 1, 0, CPU, NO_OWN_CODE).discriminator
    lies: dict[str, bool] = {}

    def look(layer: nn.Module, inputs: object, maps: torch.Tensor, name: str) -> None:
        lies[name] = maps.is_contiguous(memory_format=torch.channels_last)

    for name, layer in discriminator.named_modules():
        if isinstance(layer, nn.Conv2d | nn.BatchNorm2d | nn.LeakyReLU):
            layer.register_forward_hook(partial(look, name=name))
    discriminator(torch.zeros(4, 1, 8, 8))
    assert len(lies) == 3
    assert all(lies.values()), lies


@pytest.mark.parametrize("cell", CELLS)
def test_no_bit_depends_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cell: str) -> None:
    quick = trained(tmp_path / "quick", CELLS[cell])
    plain = layers.activation_layer
    monkeypatch.setattr(layers, "activation_layer", lambda activation, inplace: plain(activation))
    monkeypatch.setattr(state_module, "lay_out", lambda network, layout: network.to(memory_format=layout))
    monkeypatch.setattr(training, "fresh_memory", lambda filled: fresh_memory(filled=True))
    slow = trained(tmp_path / "slow", CELLS[cell])
    assert quick["generator"].keys() == slow["generator"].keys()
    for network in ("generator", "discriminator"):
        for name, tensor in quick[network].items():
            assert torch.equal(tensor, slow[network][name]), name
    assert torch.equal(quick["sums"], slow["sums"])


def test_only_channels_last_turns_maps() -> None:
    layer = nn.Conv2d(1, 2, 3)
    lay_out(layer, torch.contiguous_format)
    assert layer(torch.zeros(1, 1, 8, 8)).is_contiguous()


@pytest.mark.parametrize("filled", [True, False])
def test_memory_is_filled_only_inside(filled: bool) -> None:
    settings: Any = torch.utils.deterministic
    before = settings.fill_uninitialized_memory
    with pytest.raises(RuntimeError, match="inside"), fresh_memory(filled=filled):
        assert settings.fill_uninitialized_memory is filled
        raise RuntimeError("inside")
    assert settings.fill_uninitialized_memory is before


def trained(folder: Path, levels: dict[str, Any]) -> Any:
    make_deterministic(CPU)
    task = small_task(folder, steps=6, checkpoint_every=6, **levels)
    assert train(task, digits(), lambda: False).outcome == "finished"
    return stored_state(task.run)
