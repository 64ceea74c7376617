"""Own networks that a checkpoint or a state cannot bring back are refused before anything trains."""

from __future__ import annotations

from pathlib import Path

import pytest
from preflight_parts import HEAD, check, refused

from harness.data.own_code import OwnCode
from harness.design.factors import Hyperparameters
from harness.gan.preflight import PreflightError, check_networks

GENERATOR = """
CHANCE = torch.randn(1)

class Count(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("passes", torch.zeros(()), persistent=False)

    def forward(self, x):
        if self.training:
            self.passes += 1
        return x

class Net(nn.Module):
    def __init__(self, latent_dim, channels, resolution):
        super().__init__()
        self.size = (channels, resolution, resolution)
        self.image = nn.Linear(latent_dim, channels * resolution**2)
        self.gate = nn.Parameter(torch.zeros(()))
        self.calls = 0
        %s

    def forward(self, z):
        shift = %s
        return torch.tanh(self.image(z) + self.gate * shift).unflatten(1, self.size)
"""
OUTSIDE = "holds values outside its parameters and buffers"


@pytest.mark.parametrize(
    ("made", "shift"),
    [
        ("self.b = torch.randn(1)", "self.b"),
        ("self.register_buffer('b', torch.randn(1), persistent=False)", "self.b"),
        ("self.b = numpy.random.rand()", "self.b"),
        ("self.calls = 0", "CHANCE"),
    ],
)
def test_constants_that_no_checkpoint_holds(tmp_path: Path, made: str, shift: str) -> None:
    """Under the first weights the gate is 0 and hides them."""
    said = refused(tmp_path, GENERATOR % (made, shift), generator="parts.py:Net")
    assert said.startswith(f"generator parts.py:Net: {OUTSIDE}")
    assert "register_buffer(NAME, VALUE)" in said


@pytest.mark.parametrize(
    ("made", "shift"),
    [
        ("self.register_buffer('b', torch.randn(1))", "self.b"),
        ("self.b = nn.Parameter(torch.randn(1), requires_grad=False)", "self.b"),
        ("self.register_buffer('b', torch.arange(3.0).sum(), persistent=False)", "self.b"),
        ("self.drop = nn.Dropout(0.5)", "self.drop(torch.randn(len(z), 1))"),
        ("self.norm = nn.BatchNorm1d(latent_dim)", "self.norm(z).sum(1, keepdim=True)"),
    ],
)
def test_what_a_checkpoint_holds_or_the_code_gives_again(tmp_path: Path, made: str, shift: str) -> None:
    assert not check(tmp_path, GENERATOR % (made, shift), generator="parts.py:Net").warnings


@pytest.mark.parametrize("shift", ["numpy.random.rand()", "self.__dict__.update(calls=self.calls + 1) or self.calls"])
def test_outputs_that_differ_each_time(tmp_path: Path, shift: str) -> None:
    said = refused(tmp_path, GENERATOR % ("self.calls = 0", shift), generator="parts.py:Net")
    assert said.startswith("generator parts.py:Net: gives other outputs each time for the same weights and input")


@pytest.mark.parametrize("level", ["generator", "generator_normalization", "discriminator_normalization"])
def test_buffers_that_change_and_are_not_stored(tmp_path: Path, level: str) -> None:
    text = GENERATOR % ("self.count = Count()", "self.count(z).sum(1, keepdim=True)")
    said = refused(tmp_path, text, **{level: "parts.py:Net" if level == "generator" else "parts.py:Count"})
    assert "passes changes while the network trains, and a checkpoint does not hold it" in said
    assert said.startswith(level.partition("_")[0])


PARTS = """
class Shift(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.shift = torch.randn(1)

    def forward(self, x):
        return x * self.shift

class Judge(nn.Module):
    def __init__(self, channels, resolution):
        super().__init__()
        self.logit = nn.Conv2d(channels, 1, resolution)
        self.mask = (torch.rand(resolution) < 0.5).float()

    def forward(self, images):
        return self.logit(images * self.mask if self.training else images).flatten()
"""


@pytest.mark.parametrize(
    ("level", "part"),
    [
        ("generator_normalization", "Shift"),
        ("discriminator_normalization", "Shift"),
        ("discriminator", "Judge"),
    ],
)
def test_normalizations_and_discriminators_likewise(tmp_path: Path, level: str, part: str) -> None:
    """A discriminator is filled from a state when its run is resumed, and goes on in train mode."""
    said = refused(tmp_path, PARTS, **{level: f"parts.py:{part}"})
    assert OUTSIDE in said and said.startswith(level.partition("_")[0])


def test_networks_whose_files_are_gone_are_checked_too(tmp_path: Path) -> None:
    """Commands that keep nothing import from copies that they remove before they check."""
    path = tmp_path / "parts.py"
    path.write_text(HEAD + PARTS, encoding="utf-8")
    code = OwnCode({"parts.py": path})
    code.load("parts.py:Shift")
    path.unlink()
    with pytest.raises(PreflightError, match=OUTSIDE):
        check_networks(Hyperparameters(resolution=8, generator_normalization="parts.py:Shift"), 1, code)


def test_weights_that_another_network_cannot_take(tmp_path: Path) -> None:
    text = GENERATOR % ("self.b = nn.Parameter(torch.ones(1 + int(torch.randint(10**6, ()))))", "self.b[0]")
    assert "cannot be filled with its own weights" in refused(tmp_path, text, generator="parts.py:Net")
